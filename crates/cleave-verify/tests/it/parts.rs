//! Large tables are read in parts, whatever their keys look like, and nothing is lost between them.

use crate::sides::{Sides, described, settled, table};
use cleave_sandbox::Version;
use cleave_verify::{RowKey, VerifyLimits, VerifyOutcome, VerifyProgress, VerifySpec, VerifyTable, verify};
use std::{sync::Mutex, time::Duration};

fn small() -> VerifyLimits {
    VerifyLimits { scan_bytes: 64 << 10, ..VerifyLimits::default() }
}

/// The outcome, and how many rows each part had.
async fn compare(sides: &Sides, tables: Vec<VerifyTable>, limits: VerifyLimits) -> (VerifyOutcome, Vec<u64>) {
    let read: Mutex<Vec<u64>> = Mutex::default();
    let progress = |event| {
        if let VerifyProgress::Scanned { rows, .. } = event {
            read.lock().unwrap().push(rows);
        }
    };
    let outcome = verify(VerifySpec { limits, jobs: 1, ..sides.spec(tables) }, progress).await.unwrap();
    (outcome, read.into_inner().unwrap())
}

#[tokio::test]
async fn differences_are_found_in_below_between_and_above_the_parts() {
    let sides = Sides::create(Version::V14, Version::V18, "parts").await;
    for (name, key, expression) in [
        ("t_int", "int", "$ * 10"),
        ("t_big", "bigint", "$ * 10000000000::bigint"),
        ("t_at", "timestamptz", "'2000-01-01Z'::timestamptz + $ * interval '1 day'"),
        ("t_day", "date", "'2000-01-01'::date + $"),
        ("t_uuid", "uuid", "lpad(to_hex($), 32, '0')::uuid"),
        // In no order that the rows lie in.
        ("t_md5", "uuid", "md5($::text)::uuid"),
        ("t_text", "text", "'k ' || $"),
        ("t_case", "text collate \"und-x-icu\"", "case when $ % 2 = 0 then 'Ä' else 'a' end || $"),
        ("t_num", "numeric(12,2)", "$ / 4.0"),
        ("t_bytes", "bytea", "md5($::text)::bytea"),
    ] {
        let row = |n: &str| expression.replace('$', n);
        sides
            .both(&format!(
                "create table {name} (k {key}, sub int, v text, primary key (k, sub)); \
                 insert into {name} select {}, s, repeat('v', 20) from generate_series(1, 3000) n, generate_series(1, 2) s order by n, s; \
                 analyze {name}",
                row("n")
            ))
            .await;
        sides
            .on_follower(&format!(
                "insert into {name} values ({}, 1, 'above'); update {name} set v = 'x' where sub = 1 and k = {}; \
                 delete from {name} where sub = 2 and k = {}",
                row("9999"),
                row("1"),
                row("1500"),
            ))
            .await;
        let (outcome, read) = compare(&sides, vec![table(name, &["k", "sub", "v"], 2)], small()).await;
        assert!(read.len() > 3, "{name} was read at once: {read:?}");
        assert_eq!(read.iter().sum::<u64>(), 6000);
        let lines = described(&outcome.tables[0]);
        assert_eq!(
            lines[0], "6000 rows: 5998 equal, 1 missing, 1 extra, 1 different, 0 unproven",
            "{name}: {lines:?}"
        );
    }
}

/// The bounds of parts come from the home; the follower sorts them its own way, and another one than the home's may
/// even put them into another order. Every row is in some part on either side all the same.
#[tokio::test]
async fn a_follower_that_sorts_otherwise_is_compared_to_the_last_row() {
    let sides = Sides::create(Version::V14, Version::V18, "sorts").await;
    let rows = "insert into word select case when n % 2 = 0 then 'A' else 'a' end || n, n from generate_series(1, 4000) n; analyze word";
    let make = |collation: &str| {
        format!("create table word (word text collate \"{collation}\" primary key, n int); {rows}")
    };
    sides.home.batch_execute(&make("und-x-icu")).await.unwrap();
    sides.on_follower(&make("C")).await;
    let word = || vec![table("word", &["word", "n"], 1)];
    let (outcome, read) = compare(&sides, word(), small()).await;
    assert!(outcome.is_clean() && read.len() > 3, "{outcome:?} {read:?}");
    sides
        .on_follower("update word set n = 0 where n in (1, 2000, 3999); delete from word where n = 7; insert into word values ('AAA', 1), ('zzz', 2)")
        .await;
    let (outcome, _) = compare(&sides, word(), small()).await;
    assert_eq!(
        described(&outcome.tables[0])[0],
        "4000 rows: 3996 equal, 1 missing, 2 extra, 3 different, 0 unproven"
    );
}

#[tokio::test]
async fn a_partitioned_table_and_one_without_a_key_are_read_in_the_order_of_an_index() {
    let sides = Sides::create(Version::V14, Version::V18, "indexed").await;
    sides
        .both(
            "create table event (day date not null, id uuid not null, n int, primary key (id, day)) partition by range (day); \
             create table event_1 partition of event for values from ('2020-01-01') to ('2021-01-01'); \
             create table event_2 partition of event for values from ('2021-01-01') to ('2032-01-01'); \
             insert into event select '2020-01-01'::date + n, md5(n::text)::uuid, n from generate_series(0, 4000) n; \
             create table visit (at timestamptz not null, page text); create index on visit (at); \
             insert into visit select '2020-01-01Z'::timestamptz + n % 999 * interval '1 min', 'p' || n % 5 from generate_series(1, 4000) n; \
             analyze",
        )
        .await;
    sides
        .on_follower(
            "update event set n = -1 where n in (1, 2000); delete from event where n = 3000; \
             delete from visit where ctid = (select min(ctid) from visit); insert into visit values ('2001-01-01Z', 'early')",
        )
        .await;
    let (outcome, read) = compare(&sides, vec![table("event", &["day", "id", "n"], 2)], small()).await;
    assert!(read.len() > 3, "{read:?}");
    assert_eq!(
        described(&outcome.tables[0])[0],
        "4001 rows: 3998 equal, 1 missing, 0 extra, 2 different, 0 unproven"
    );
    let (outcome, read) = compare(&sides, vec![table("visit", &["at", "page"], 0)], small()).await;
    assert!(read.len() > 3, "{read:?}");
    assert_eq!(
        described(&outcome.tables[0])[0],
        "4000 rows: 3999 equal, 1 missing, 1 extra, 0 different, 0 unproven"
    );
}

#[tokio::test]
async fn a_table_that_no_index_gives_an_order_is_read_at_once() {
    let sides = Sides::create(Version::V14, Version::V18, "at_once").await;
    sides
        .both(
            "create table keyless (k int, v int); insert into keyless select n, n from generate_series(1, 6000) n; \
             create index on keyless (k); \
             create table one_sided (k int not null, v int); insert into one_sided select n, n from generate_series(1, 6000) n; \
             analyze",
        )
        .await;
    sides.home.batch_execute("create index on one_sided (k)").await.unwrap();
    for name in ["keyless", "one_sided"] {
        let (outcome, read) = compare(&sides, vec![table(name, &["k", "v"], 0)], small()).await;
        assert!(outcome.is_clean());
        assert_eq!(read, [6000], "{name}");
    }
}

#[tokio::test]
async fn a_rate_is_kept_by_parts_and_an_empty_table_has_one() {
    let sides = Sides::create(Version::V18, Version::V14, "rate").await;
    sides
        .both(
            "create table t (k int primary key); insert into t select generate_series(1, 500); analyze t; \
             create table empty (k int primary key)",
        )
        .await;
    let limits = VerifyLimits { rows_per_second_max: Some(400), ..VerifyLimits::default() };
    let (outcome, read) = compare(&sides, vec![table("t", &["k"], 1)], limits).await;
    assert!(outcome.is_clean() && read.len() == 2, "{read:?}");
    let (outcome, read) = compare(&sides, vec![table("empty", &["k"], 1)], small()).await;
    assert_eq!((outcome.rows(), read), (0, vec![0]));
}

/// A table that takes a few seconds to read, and a limit of a fraction of that: the servers end what lasts longer.
#[tokio::test]
async fn what_takes_longer_than_a_snapshot_may_last_is_read_in_smaller_parts() {
    let sides = Sides::create(Version::V14, Version::V18, "slow").await;
    // jsonb is hashed by the bytes that it sends, which takes time.
    sides
        .both(
            "create table slow (k uuid primary key, v jsonb); \
             insert into slow select md5(n::text)::uuid, (select jsonb_agg(repeat('x', 100) || n || i) from generate_series(1, 20) i) \
             from generate_series(1, 40000) n; analyze slow",
        )
        .await;
    sides.on_follower("update slow set v = 'null' where k = md5('77')::uuid").await;
    let limits = VerifyLimits { snapshot: Duration::from_millis(250), ..VerifyLimits::default() };
    let (outcome, read) = compare(&sides, vec![table("slow", &["k", "v"], 1)], limits).await;
    assert!(read.len() > 1, "{read:?}");
    assert_eq!(
        described(&outcome.tables[0])[0],
        "40000 rows: 39999 equal, 0 missing, 0 extra, 1 different, 0 unproven"
    );
    sides.both("alter table slow drop constraint slow_pkey").await;
    let limits = VerifyLimits { snapshot: Duration::from_millis(50), ..limits };
    let spec = VerifySpec { limits, ..sides.spec(vec![table("slow", &["k", "v"], 0)]) };
    let refused = verify(spec, |_| {}).await.unwrap_err();
    assert_eq!(refused.code(), "C0615", "{refused}");
    assert!(refused.to_string().contains("public.slow"), "{refused}");
}

/// More differences than are kept in memory: the parts become smaller, and where there are none the rows come in
/// portions; none is told twice.
#[tokio::test]
async fn more_differences_than_memory_holds_are_all_told_once() {
    let sides = Sides::create(Version::V14, Version::V18, "many").await;
    sides
        .both(
            "create table keyed (k int primary key, v int); insert into keyed select n, 0 from generate_series(1, 25000) n; \
             create table keyless (k int, v int); insert into keyless select n, 0 from generate_series(1, 25000) n; analyze",
        )
        .await;
    sides.on_follower("update keyed set v = 1; truncate keyless").await;
    let told: std::sync::Arc<Mutex<Vec<(String, RowKey)>>> = std::sync::Arc::default();
    let heard = std::sync::Arc::clone(&told);
    let spec = VerifySpec {
        settle: settled(),
        found: Some(std::sync::Arc::new(move |table, difference| {
            heard.lock().unwrap().push((table.title(), difference.row.clone()));
        })),
        ..sides.spec(vec![table("keyed", &["k", "v"], 1), table("keyless", &["k", "v"], 0)])
    };
    let outcome = verify(spec, |_| {}).await.unwrap();
    assert_eq!((outcome.tables[0].different, outcome.tables[1].missing), (25000, 25000));
    assert_eq!((outcome.rows(), outcome.unproven()), (50000, 0));
    let mut told = std::mem::take(&mut *told.lock().unwrap());
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 50000);
}
