//! Differences made on purpose, each found and named.

use crate::sides::{Sides, table};
use cleave_model::{Ident, QualifiedName};
use cleave_sandbox::Version;
use cleave_verify::{VerifyLimits, verify};

const FILMS: &str = "create table film (id int primary key, title text, year int, note text);
    insert into film select n, 'Film ' || n, 1900 + n % 120, case when n % 3 > 0 then 'ä' || n end
    from generate_series(1, 20000) n; analyze film";

const COLUMNS: &[&str] = &["id", "title", "year", "note"];

/// What the follower does to itself, and what is then said.
async fn check(hint: &str, sql: &str, expected: &[&str]) {
    let sides = Sides::create(Version::V14, Version::V18, hint).await;
    sides.both(FILMS).await;
    sides.on_follower(sql).await;
    assert_eq!(sides.compare(table("film", COLUMNS, 1)).await, expected);
}

#[tokio::test]
async fn equal_tables_have_no_differences() {
    check(
        "equal",
        "update film set year = year; cluster film using film_pkey",
        &["20000 rows: 20000 equal, 0 missing, 0 extra, 0 different, 0 unproven"],
    )
    .await;
}

#[tokio::test]
async fn a_changed_a_dropped_and_an_added_row_are_named_exactly() {
    check(
        "three",
        "update film set title = 'film 7' where id = 7; delete from film where id = 11; \
         insert into film values (-3, 'Extra', 1, null)",
        &[
            "20000 rows: 19998 equal, 1 missing, 1 extra, 1 different, 0 unproven",
            "different in title (7)",
            "extra (-3)",
            "missing (11)",
        ],
    )
    .await;
}

#[tokio::test]
async fn the_differing_columns_are_named() {
    check(
        "columns",
        "update film set note = '' where id = 3; update film set note = note || ' ', year = 0 where id = 4; \
         update film set note = null where id = 5; \
         update film set note = replace(note, 'ä', U&'a\\0308') where id = 7",
        &[
            "20000 rows: 19996 equal, 0 missing, 0 extra, 4 different, 0 unproven",
            "different in note (3)",
            "different in note (5)",
            "different in note (7)",
            "different in year, note (4)",
        ],
    )
    .await;
}

#[tokio::test]
async fn swapped_rows_and_a_row_under_another_key_are_found() {
    check(
        "swap",
        "update film set title = case id when 1 then 'Film 2' else 'Film 1' end where id in (1, 2); \
         update film set id = 90000 where id = 9",
        &[
            "20000 rows: 19997 equal, 1 missing, 1 extra, 2 different, 0 unproven",
            "different in title (1)",
            "different in title (2)",
            "extra (90000)",
            "missing (9)",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_row_that_the_follower_has_twice_is_found() {
    check(
        "twice",
        "alter table film drop constraint film_pkey; insert into film select * from film where id = 5",
        &["20000 rows: 19999 equal, 0 missing, 0 extra, 1 different, 0 unproven", "different in  (5)"],
    )
    .await;
}

#[tokio::test]
async fn an_emptied_table_is_counted_to_the_last_row_and_listed_up_to_the_limit() {
    let sides = Sides::create(Version::V14, Version::V18, "emptied").await;
    sides.both(FILMS).await;
    sides.on_follower("truncate film").await;
    let limits = VerifyLimits { differences_kept: 5, ..VerifyLimits::default() };
    let spec = cleave_verify::VerifySpec { limits, ..sides.spec(vec![table("film", COLUMNS, 1)]) };
    let outcome = verify(spec, |_| {}).await.unwrap();
    let film = &outcome.tables[0];
    assert_eq!((film.rows, film.equal, film.missing, film.differences.len()), (20000, 0, 20000, 5));
    assert!(!outcome.is_clean());
}

#[tokio::test]
async fn several_tables_are_compared_in_the_order_asked_for_and_through_renames() {
    let sides = Sides::create(Version::V18, Version::V14, "renames").await;
    sides.both(FILMS).await;
    sides
        .both(
            "create table \"Weird \"\"Name\"\"; --\" (\"a b\" text collate \"C\", \"select\" int, \
        \"ünï'\" text, primary key (\"a b\", \"select\")); \
        insert into \"Weird \"\"Name\"\"; --\" values ('x', 1, 'one'), ('y''{\"', 2, 'two'), ('', 0, null)",
        )
        .await;
    sides
        .on_follower(
            "create schema films; alter table film set schema films; alter table films.film rename to movie; \
             alter table films.movie rename title to name; update films.movie set name = 'x' where id = 2; \
             update \"Weird \"\"Name\"\"; --\" set \"ünï'\" = 'zwei' where \"select\" = 2",
        )
        .await;
    let mut film = table("film", COLUMNS, 1);
    film.follower_name = QualifiedName::new("films", "movie");
    film.columns[1].1 = Ident::from("name");
    let weird = table("Weird \"Name\"; --", &["a b", "select", "ünï'"], 2);
    let outcome = sides.verify(vec![weird, film]).await;
    let lines: Vec<String> = outcome.tables.iter().flat_map(crate::sides::described).collect();
    assert_eq!(
        lines,
        [
            "3 rows: 2 equal, 0 missing, 0 extra, 1 different, 0 unproven",
            "different in ünï' (y'{\", 2)",
            "20000 rows: 19999 equal, 0 missing, 0 extra, 1 different, 0 unproven",
            "different in title (2)",
        ]
    );
}

#[tokio::test]
async fn partitions_and_keys_that_their_index_calls_equal_are_told_apart_by_their_text() {
    let sides = Sides::create(Version::V14, Version::V18, "keys").await;
    sides
        .both(
            "create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             create table word (word text collate loose primary key, n int); \
             insert into word values ('Apfel', 1), ('birne', 2); \
             create table price (price numeric primary key, n int); insert into price values (1.0, 1), (2, 2); \
             create table event (day date, id uuid, n int, primary key (day, id)) partition by range (day); \
             create table event_1 partition of event for values from ('2020-01-01') to ('2021-01-01'); \
             create table event_2 partition of event for values from ('2021-01-01') to ('2022-01-01'); \
             insert into event select '2020-01-01'::date + n, md5(n::text)::uuid, n from generate_series(0, 600) n",
        )
        .await;
    sides
        .on_follower(
            "update word set word = 'apfel' where n = 1; update price set price = 1.00 where n = 1; \
             update event set n = -1 where n = 500",
        )
        .await;
    let tables = vec![
        table("word", &["word", "n"], 1),
        table("price", &["price", "n"], 1),
        table("event", &["day", "id", "n"], 2),
    ];
    let outcome = sides.verify(tables).await;
    let lines: Vec<String> = outcome.tables.iter().flat_map(crate::sides::described).collect();
    assert_eq!(
        lines,
        [
            "2 rows: 1 equal, 1 missing, 1 extra, 0 different, 0 unproven",
            "extra (apfel)",
            "missing (Apfel)",
            "2 rows: 1 equal, 1 missing, 1 extra, 0 different, 0 unproven",
            "extra (1.00)",
            "missing (1.0)",
            "601 rows: 600 equal, 0 missing, 0 extra, 1 different, 0 unproven",
            "different in n (2021-05-15, cee63112-1c2e-c923-2f3a-2f028ad5c89b)",
        ]
    );
}
