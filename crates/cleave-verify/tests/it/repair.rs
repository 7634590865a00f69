//! Rows of the follower become those of the home, and nothing newer is written over.

use crate::{
    sides::{Sides, described, settled, table},
    zoo::{ZOO, zoo},
};
use cleave_model::QualifiedName;
use cleave_pg::{Endpoint, Session};
use cleave_sandbox::Version;
use cleave_verify::{Repair, Repaired, RowKey, VerifyTable};

const FILMS: &str = "create table film (id int primary key, code text unique, title text, n int generated always as (id * 2) stored);
    insert into film select g, 'c' || g, 'film ' || g from generate_series(1, 1000) g; analyze film";

fn film() -> VerifyTable {
    table("film", &["id", "code", "title"], 1)
}

async fn open(sides: &Sides, table: &VerifyTable) -> (Repair, Session) {
    let follower = Endpoint::parse(&sides.follower_url).unwrap();
    let repair = Repair::open(&Endpoint::parse(&sides.home_url).unwrap(), &follower, table).await.unwrap();
    (repair, cleave_pg::connect(&follower, "repair").await.unwrap())
}

/// Repairs rows; `meanwhile` happens on home and follower after they were read.
async fn repair(sides: &Sides, table: &VerifyTable, rows: &[Vec<String>], meanwhile: [&str; 2]) -> Repaired {
    let (repair, writer) = Box::pin(open(sides, table)).await;
    let before = Box::pin(repair.before(rows, &settled())).await.unwrap();
    sides.home.batch_execute(meanwhile[0]).await.unwrap();
    sides.on_follower(meanwhile[1]).await;
    writer.batch_execute("begin").await.unwrap();
    let repaired = Box::pin(repair.write(&writer, &before)).await.unwrap();
    writer.batch_execute("commit").await.unwrap();
    repaired
}

fn keys(keys: &[i32]) -> Vec<Vec<String>> {
    keys.iter().map(|key| vec![key.to_string()]).collect()
}

#[tokio::test]
async fn rows_that_are_changed_missing_extra_swapped_and_renumbered_become_those_of_the_home() {
    let sides = Sides::create(Version::V14, Version::V18, "repair").await;
    sides.both(FILMS).await;
    sides
        .on_follower(
            "update film set title = null where id = 1; delete from film where id = 2; \
             insert into film values (-1, 'x', 'extra'); update film set id = 9001 where id = 3; \
             update film set title = case id when 4 then 'film 5' else 'film 4' end where id in (4, 5); \
             update film set title = title || ' ' where id = 6; \
             update film set code = case id when 7 then 'c8x' else 'c7' end where id = 7; \
             update film set code = 'c8y' where id = 8; update film set code = 'c8' where id = 7",
        )
        .await;
    let rows = keys(&[1, 2, -1, 9001, 3, 4, 5, 6, 7, 8, 500]);
    let repaired = repair(&sides, &film(), &rows, ["", ""]).await;
    assert_eq!(repaired, Repaired { written: 8, removed: 2, skipped: 1 });
    assert!(sides.verify(vec![film()]).await.is_clean());
}

#[tokio::test]
async fn a_row_that_changes_while_it_is_repaired_is_left_to_the_next_comparison() {
    let sides = Sides::create(Version::V14, Version::V18, "newer").await;
    sides.both(FILMS).await;
    sides
        .on_follower("update film set title = 'broken' where id in (1, 2, 3); insert into film values (-1, 'x', 'extra'), (-2, 'y', 'extra')")
        .await;
    // Row 1 changes at home, to the same content even; row 2 is changed by the stream; -1 appears at home.
    let meanwhile = [
        "update film set title = title where id = 1; insert into film values (-1, 'x', 'home')",
        "update film set title = 'newer' where id = 2",
    ];
    let repaired = repair(&sides, &film(), &keys(&[1, 2, 3, -1, -2]), meanwhile).await;
    assert_eq!(repaired, Repaired { written: 1, removed: 1, skipped: 3 });
    let titles = "select string_agg(title, ',' order by id) from film where id < 4";
    let left: String = sides.follower.query_one(titles, &[]).await.unwrap().get(0);
    assert_eq!(left, "extra,broken,newer,film 3");
}

#[tokio::test]
async fn nothing_is_written_while_a_writer_of_before_is_open() {
    let sides = Sides::create(Version::V14, Version::V18, "open").await;
    sides.both(FILMS).await;
    sides.on_follower("update film set title = 'broken' where id = 1").await;
    let (repair, writer) = open(&sides, &film()).await;
    let before = repair.before(&keys(&[1]), &settled()).await.unwrap();
    sides.home.batch_execute("begin; update film set title = 'later' where id = 1").await.unwrap();
    writer.batch_execute("begin").await.unwrap();
    let repaired = Box::pin(repair.write(&writer, &before)).await.unwrap();
    writer.batch_execute("commit").await.unwrap();
    assert_eq!(repaired, Repaired { written: 0, removed: 0, skipped: 1 });
    sides.home.batch_execute("rollback").await.unwrap();
}

/// The follower can know a transaction that the home does not show yet; what it has from there is not extra.
#[tokio::test]
async fn a_row_that_the_follower_has_before_the_home_shows_it_is_not_removed() {
    let sides = Sides::create(Version::V14, Version::V18, "ahead").await;
    sides.both(FILMS).await;
    sides.home.batch_execute("begin; insert into film values (-1, 'x', 'new')").await.unwrap();
    sides.on_follower("insert into film values (-1, 'x', 'new')").await;
    let (repair, writer) = Box::pin(open(&sides, &film())).await;
    let before = Box::pin(repair.before(&keys(&[-1]), &settled())).await.unwrap();
    // Now it is visible, and gone again; the follower is still to be told that.
    sides.home.batch_execute("commit; delete from film where id = -1").await.unwrap();
    writer.batch_execute("begin").await.unwrap();
    let repaired = Box::pin(repair.write(&writer, &before)).await.unwrap();
    writer.batch_execute("commit").await.unwrap();
    assert_eq!(repaired, Repaired { written: 0, removed: 0, skipped: 1 });
}

#[tokio::test]
async fn a_row_that_the_follower_refuses_is_an_error_without_its_values_and_nothing_is_written() {
    let sides = Sides::create(Version::V14, Version::V18, "refused").await;
    sides.both(FILMS).await;
    sides
        .on_follower("delete from film where id = 1; insert into film values (-1, 'c1', 'in the way')")
        .await;
    let (repair, writer) = open(&sides, &film()).await;
    let before = repair.before(&keys(&[1]), &settled()).await.unwrap();
    writer.batch_execute("begin").await.unwrap();
    let error = repair.write(&writer, &before).await.unwrap_err();
    writer.batch_execute("rollback").await.unwrap();
    assert_eq!(error.code(), "C0612");
    let text = format!("{error} {error:?}");
    assert!(text.contains("film_code_key") && !text.contains("c1)"), "{text}");
}

#[tokio::test]
async fn values_of_every_type_are_written_as_the_home_has_them() {
    let sides = zoo(Version::V14, Version::V18, "zoo_repair").await;
    let named = |at: usize| table(&format!("zoo_{at}"), &["id", "v", "w"], 1);
    for at in 0..ZOO.len() {
        sides
            .on_follower(&format!(
                "update zoo_{at} set v = null where id = 1; delete from zoo_{at} where id > 1"
            ))
            .await;
    }
    let tables: Vec<VerifyTable> = (0..ZOO.len()).map(named).collect();
    for (at, outcome) in sides.verify(tables.clone()).await.tables.iter().enumerate() {
        let rows: Vec<Vec<String>> = outcome
            .differences
            .iter()
            .map(|difference| match &difference.row {
                RowKey::Key(key) => key.clone(),
                RowKey::Keyless { .. } => panic!("a keyed table"),
            })
            .collect();
        assert!(!rows.is_empty());
        repair(&sides, &named(at), &rows, ["", ""]).await;
    }
    for (outcome, (kind, _)) in sides.verify(tables).await.tables.iter().zip(ZOO) {
        assert_eq!(outcome.differing(), 0, "{kind}: {:?}", described(outcome));
        assert_eq!(outcome.table.schema, QualifiedName::new("public", "x").schema);
    }
    let zero = "select v::text from zoo_zero";
    sides.both("create table zoo_zero (id int primary key, v float8)").await;
    sides.home.batch_execute("insert into zoo_zero values (1, '-0')").await.unwrap();
    repair(&sides, &table("zoo_zero", &["id", "v"], 1), &keys(&[1]), ["", ""]).await;
    assert_eq!(sides.follower.query_one(zero, &[]).await.unwrap().get::<_, String>(0), "-0");
}

/// Equal rows cannot be told apart and need not be: as many go or come as there are too many or too few.
#[tokio::test]
async fn rows_without_a_key_are_added_and_removed_until_there_are_as_many_as_at_home() {
    let sides = Sides::create(Version::V14, Version::V18, "keyless_repair").await;
    sides
        .both(
            "create table visit (page text, n int, f float8); \
             insert into visit select 'p' || n % 50, n % 7, '-0' from generate_series(1, 3500) n; \
             insert into visit values (null, null, null), (null, null, null), ('', 1, 'NaN')",
        )
        .await;
    sides
        .on_follower(
            "delete from visit where ctid in (select ctid from visit where page = 'p1' and n = 1 limit 7); \
             delete from visit where page = ''; insert into visit values (null, null, null), (null, null, null), ('new', 1, 2); \
             update visit set page = 'p2 ' where ctid = (select min(ctid) from visit where page = 'p2')",
        )
        .await;
    let visit = table("visit", &["page", "n", "f"], 0);
    let found = sides.verify(vec![visit.clone()]).await;
    let rows: Vec<Vec<String>> =
        found.tables[0].differences.iter().map(|difference| difference.row.identity()).collect();
    assert_eq!(rows.len(), 6, "{found:?}");
    let repaired = Box::pin(repair(&sides, &visit, &rows, ["", ""])).await;
    assert_eq!(repaired, Repaired { written: 9, removed: 4, skipped: 0 });
    assert!(sides.verify(vec![visit.clone()]).await.is_clean());
    // The sign of a zero is none, but the copies came as the home has them.
    let zeros = "select count(*) from visit where page = 'p1' and f::text = '-0'";
    let count =
        async |client: &tokio_postgres::Client| client.query_one(zeros, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(count(&sides.home).await, count(&sides.follower).await);
}

#[tokio::test]
async fn equal_rows_that_come_or_go_while_they_are_repaired_are_left_to_the_next_comparison() {
    let sides = Sides::create(Version::V14, Version::V18, "keyless_newer").await;
    sides.both("create table visit (page text); insert into visit values ('a'), ('a'), ('b'), ('c')").await;
    sides.on_follower("insert into visit values ('a'), ('b'), ('c')").await;
    let visit = table("visit", &["page"], 0);
    let found = sides.verify(vec![visit.clone()]).await;
    let rows: Vec<Vec<String>> =
        found.tables[0].differences.iter().map(|difference| difference.row.identity()).collect();
    // At home one a more; on the follower a b goes and comes again.
    let meanwhile = [
        "insert into visit values ('a')",
        "delete from visit where ctid = (select min(ctid) from visit where page = 'b'); insert into visit values ('b')",
    ];
    let repaired = Box::pin(repair(&sides, &visit, &rows, meanwhile)).await;
    assert_eq!(repaired, Repaired { written: 0, removed: 1, skipped: 2 });
}
