//! Columns that change on the source between `apply` and the switch.

use super::servers::verified;
use super::stage::{House, Stage, switched};
use cleave_engine::{Answer, Verb};

/// Changes of every kind that is followed, with rows of each shape between them.
const CHANGES: [&str; 7] = [
    "insert into film (title) values ('before')",
    "alter table film add rating int not null default 3",
    "insert into film (title, rating) values ('rated', 5)",
    "alter table film rename title to name",
    "update film set name = 'renamed' where id = 1",
    "alter table film drop token",
    "delete from film where id > 300 and rating = 3",
];

/// It writes all rows anew; had the stream not come to the columns before it, it could not tell what older rows had got.
const WIDENED: [&str; 2] = [
    "alter table film alter rating type bigint",
    "insert into film (name, rating) values ('wide', 7000000000)",
];

async fn follows(hint: &str) -> House {
    let mut house = House::new(hint).await;
    house.stage = house.stage.with("bridge = \"forward\"", "bridge = \"forward\"\non_ddl = \"follow\"");
    house.stage.apply().await.unwrap();
    house
}

/// The new home has the columns and the rows that the source had.
async fn assert_moved(stage: &Stage) {
    let n = stage.on_n("").await;
    let columns: String = n
        .query_one(
            "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute
             where attrelid = 'films.film'::regclass and attnum > 0 and not attisdropped",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(columns, "id bigint, name text, rating bigint");
    let sql = "select count(*) filter (where rating = 3), max(rating), min(name) filter (where id = 1) from films.film";
    let row = n.query_one(sql, &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, &str>(2)),
        (300, 7_000_000_000, "renamed")
    );
}

#[tokio::test]
async fn columns_that_change_before_the_switch_move_and_come_back() {
    let house = follows("columns_move").await;
    let stage = &house.stage;
    for changes in [&CHANGES[..], &WIDENED] {
        for sql in changes {
            stage.on_m(sql).await;
        }
        verified(stage).await;
    }
    assert_moved(stage).await;
    switched(stage.cutover().await);
    stage.on_m("insert into film (name) values ('through the bridge')").await;
    stage
        .on_n(
            "insert into films.film (name) values ('at home'); update films.film set rating = 4 where id = 2",
        )
        .await;
    switched(stage.rollback().await);
    let m = stage.on_m("").await;
    let sql = "select count(*) from film where name in ('through the bridge', 'at home') and rating = 3 or id = 2 and rating = 4";
    assert_eq!(m.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 3);
    verified(stage).await;
    switched(stage.cutover().await);
    stage.verb(Verb::Complete).await.unwrap();
}

#[tokio::test]
async fn an_engine_that_runs_takes_up_what_its_stream_has_changed() {
    let house = follows("columns_run").await;
    let stage = &house.stage;
    let running = stage.run();
    stage.until(&stage.m, "select expires_at > clock_timestamp() from cleave.lease").await;
    for sql in CHANGES {
        stage.on_m(sql).await;
    }
    stage.until(&stage.m, "select count(*) >= 1 from cleave.journal where step = 'columns'").await;
    // Without a row that has changed since.
    stage.on_m("alter table film add late int; alter table film rename late to later").await;
    let late = "select exists (select from pg_attribute where attrelid = 'films.film'::regclass and attname = 'later')";
    stage.until(&stage.n, late).await;
    stage.until(&stage.m, "select plan::text like '%\"later\"%' from cleave.move").await;
    let Answer::Elsewhere(exit, value) = stage.verb(Verb::Verify).await.unwrap() else { panic!() };
    assert_eq!((exit.code(), &value["verification"]["state"]), (0, &"clean".into()), "{value}");
    let Answer::Elsewhere(exit, value) = stage.cutover().await.unwrap() else { panic!() };
    assert_eq!((exit.code(), &value["switch"]["home"]), (0, &"products".into()), "{value}");
    stage.on_n("insert into films.film (name, later) values ('at home', 1)").await;
    let Answer::Elsewhere(exit, value) = stage.rollback().await.unwrap() else { panic!() };
    assert_eq!((exit.code(), &value["switch"]["home"]), (0, &"monolith".into()), "{value}");
    running.stop().await;
    let m = stage.on_m("").await;
    let sql = "select count(*) from film where name = 'at home' and later = 1";
    assert_eq!(m.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn what_a_stream_cannot_see_of_a_column_is_asked_for_before_the_switch() {
    let house = follows("columns_unseen").await;
    let stage = &house.stage;
    stage.on_m("alter table film add rating int; update film set rating = 1").await;
    verified(stage).await;
    stage
        .on_m("alter table film alter rating set not null; alter table film alter rating set default 2")
        .await;
    verified(stage).await;
    for rest in ["set not null", "set default 2"] {
        let said = stage.said(stage.cutover().await);
        assert!(said.starts_with("C0542"), "{said}");
        let statement = format!("alter table \"films\".\"film\" alter column \"rating\" {rest}");
        assert!(said.contains(&statement), "{said}");
        stage.on_n(&statement).await;
        verified(stage).await;
    }
    switched(stage.cutover().await);
}
