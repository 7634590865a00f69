//! Large tables are read in ranges of their key, and nothing is lost between them.

use crate::sides::{Sides, described, table};
use cleave_sandbox::Version;
use cleave_verify::{VerifyLimits, VerifyOutcome, VerifyProgress, VerifySpec, VerifyTable, verify};
use std::sync::Mutex;

const SMALL: VerifyLimits = VerifyLimits {
    rounds: 20,
    differences_kept: 100,
    values: false,
    scan_bytes: 64 << 10,
    rows_per_second_max: None,
};

/// The outcome, and how many times each table was read from.
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
async fn differences_are_found_in_below_between_and_above_the_ranges() {
    let sides = Sides::create(Version::V14, Version::V18, "ranges").await;
    for (name, key, expression) in [
        ("t_int", "int", "$ * 10"),
        ("t_big", "bigint", "$ * 10000000000::bigint"),
        ("t_at", "timestamptz", "'2000-01-01Z'::timestamptz + $ * interval '1 day'"),
        ("t_day", "date", "'2000-01-01'::date + $"),
        ("t_uuid", "uuid", "lpad(to_hex($), 32, '0')::uuid"),
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
        let (outcome, read) = compare(&sides, vec![table(name, &["k", "sub", "v"], 2)], SMALL).await;
        assert!(read.len() > 4, "{name} was read at once: {read:?}");
        assert_eq!(read.iter().sum::<u64>(), 6000);
        let lines = described(&outcome.tables[0]);
        assert_eq!(
            lines[0], "6000 rows: 5998 equal, 1 missing, 1 extra, 1 different, 0 unproven",
            "{name}: {lines:?}"
        );
    }
}

#[tokio::test]
async fn a_table_whose_rows_lie_in_another_order_or_whose_key_has_none_is_read_at_once() {
    let sides = Sides::create(Version::V14, Version::V18, "at_once").await;
    sides
        .both(
            "create table by_text (k text primary key, v int); \
             insert into by_text select 'k' || n, n from generate_series(1, 6000) n; \
             create table shuffled (k uuid primary key, v int); \
             insert into shuffled select md5(n::text)::uuid, n from generate_series(1, 6000) n; \
             create table keyless (k int, v int); insert into keyless select n, n from generate_series(1, 6000) n; \
             analyze",
        )
        .await;
    for (name, key) in [("by_text", 1), ("shuffled", 1), ("keyless", 0)] {
        let (outcome, read) = compare(&sides, vec![table(name, &["k", "v"], key)], SMALL).await;
        assert!(outcome.is_clean());
        assert_eq!(read, [6000], "{name}");
    }
}

#[tokio::test]
async fn a_rate_is_kept_by_ranges_and_an_empty_table_has_one() {
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
    let (outcome, read) = compare(&sides, vec![table("empty", &["k"], 1)], SMALL).await;
    assert_eq!((outcome.rows(), read), (0, vec![0]));
}
