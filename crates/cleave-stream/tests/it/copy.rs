//! Copying: what is recorded, what is skipped, what is refused.

use crate::pair::{Pair, on_pairs};
use cleave_journal::copied_tables;
use cleave_model::Direction;
use cleave_sandbox::Version;
use cleave_stream::{CopyFormat, CopyProgress, Follow, SnapshotSource, cancellation, copy_tables};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

on_pairs!(
    a_finished_table_is_not_read_again,
    a_table_with_rows_of_others_is_refused,
    a_cancelled_copy_leaves_whole_tables_only,
    a_copy_dropped_at_any_moment_goes_on_where_it_was,
    changes_before_a_tables_start_position_are_dropped,
    binary_carries_the_same_rows,
);

const FILMS: &str = "
    create table film (id int primary key, title text, price numeric, at timestamptz);
    create table actor (id int primary key, name text);
    create table empty_table ();";

fn temporary(name: &str) -> SnapshotSource {
    SnapshotSource::TemporarySlot { name: format!("cleave_{name}_{}", std::process::id()) }
}

async fn a_finished_table_is_not_read_again(source: Version, target: Version) {
    let pair = Pair::new(source, target, "again", FILMS).await;
    pair.m.run("insert into film select i, 't', i / 3.0, now() from generate_series(1, 1000) i").await;
    pair.m.run("insert into actor values (1, 'a'); insert into empty_table default values").await;
    let (_keep, cancelled) = cancellation();
    let slot = format!("again_{}", pair.service);
    let spec = pair.copy_spec(temporary(&slot), cancelled).await;
    let reports: Arc<Mutex<Vec<CopyProgress>>> = Arc::default();
    let seen = Arc::clone(&reports);
    let first = copy_tables(spec.clone(), move |report| seen.lock().unwrap().push(report)).await.unwrap();
    pair.assert_same().await;
    assert_eq!(first.iter().map(|copied| copied.rows).sum::<u64>(), 1002);
    let last = *reports.lock().unwrap().last().unwrap();
    assert_eq!((last.tables_total, last.tables_done, last.rows), (3, 3, 1002));
    assert_eq!(last.bytes, first.iter().map(|copied| copied.bytes).sum::<u64>());
    pair.m.run("insert into film values (5000, 'later', 1, now()); delete from actor").await;
    let second = copy_tables(spec.clone(), |_| panic!("nothing is left to copy")).await.unwrap();
    assert_eq!(first, second);
    // One unfinished table alone is read, at a later point.
    pair.n.run("truncate actor; delete from cleave.copied where rows = 1 and bytes > 1").await;
    let third = copy_tables(spec, |_| {}).await.unwrap();
    assert_eq!(pair.n.count("select count(*) from film where id = 5000").await, 0);
    assert!(third.iter().any(|copied| copied.rows == 0 && copied.start > first[0].start));
}

async fn a_table_with_rows_of_others_is_refused(source: Version, target: Version) {
    let pair = Pair::new(source, target, "filled", FILMS).await;
    pair.m.run("insert into actor values (1, 'a')").await;
    pair.n.run("insert into actor values (7, 'whose?')").await;
    let (_keep, cancelled) = cancellation();
    let spec = pair.copy_spec(temporary(&format!("filled_{}", pair.service)), cancelled).await;
    let error = copy_tables(spec, |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "C0511");
    assert!(error.to_string().contains("public.actor"), "{error}");
    assert_eq!(pair.n.rows("actor").await, ["(7,whose?)"]);
}

async fn a_cancelled_copy_leaves_whole_tables_only(source: Version, target: Version) {
    let pair = Pair::new(source, target, "cancel", FILMS).await;
    pair.m
        .run("insert into film select i, repeat('t', 100), i, now() from generate_series(1, 200000) i")
        .await;
    pair.m.run("insert into actor values (1, 'a')").await;
    let (canceller, cancelled) = cancellation();
    let mut spec = pair.copy_spec(temporary(&format!("cancel_{}", pair.service)), cancelled).await;
    spec.jobs = 1;
    for table in &mut spec.tables {
        table.bytes_estimate = if table.source_name.name.as_str() == "actor" { 9 } else { 1 };
    }
    let report = move |progress: CopyProgress| {
        if progress.tables_done > 0 {
            canceller.cancel();
        }
    };
    let error = copy_tables(spec.clone(), report).await.unwrap_err();
    assert_eq!(error.code(), "C0517");
    let recorded = copied_tables(&pair.n.client, &spec.stream).await.unwrap();
    assert_eq!(recorded.len(), 1);
    assert_eq!(pair.n.rows("actor").await, ["(1,a)"]);
    let (_keep, cancelled) = cancellation();
    spec.cancelled = cancelled;
    copy_tables(spec, |_| {}).await.unwrap();
    pair.assert_same().await;
}

async fn a_copy_dropped_at_any_moment_goes_on_where_it_was(source: Version, target: Version) {
    let schema: String = (0..8).map(|n| format!("create table t{n} (id int primary key, t text);")).collect();
    let pair = Pair::new(source, target, "copy_drop", &schema).await;
    for n in 0..8 {
        pair.m
            .run(&format!("insert into t{n} select i, repeat('t', 50) from generate_series(1, 20000) i"))
            .await;
    }
    let (_keep, cancelled) = cancellation();
    let mut spec = pair.copy_spec(temporary(&format!("dropped_{}", pair.service)), cancelled).await;
    for round in 0..10 {
        spec.snapshot = temporary(&format!("dropped{round}_{}", pair.service));
        let copy = tokio::spawn(copy_tables(spec.clone(), |_| {}));
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..150))).await;
        copy.abort();
    }
    spec.snapshot = temporary(&format!("dropped_last_{}", pair.service));
    while let Err(error) = copy_tables(spec.clone(), |_| {}).await {
        // A session of the run before may still hold its origin.
        assert!(error.is_retryable(), "{error:?}");
    }
    assert_eq!(copied_tables(&pair.n.client, &spec.stream).await.unwrap().len(), 8);
    pair.assert_same().await;
}

async fn changes_before_a_tables_start_position_are_dropped(source: Version, target: Version) {
    let pair = Pair::new(source, target, "start", FILMS).await;
    let early = pair.copied().await;
    // Copied again later: the stream meets changes that the new copy has.
    pair.m
        .run("insert into film values (1, 'in the copy', 1, now()); insert into actor values (1, 'a')")
        .await;
    pair.n
        .run("delete from cleave.copied where source_oid = (select max(source_oid) from cleave.copied)")
        .await;
    pair.n.run("delete from cleave.copied").await;
    let (_keep, cancelled) = cancellation();
    let mut spec = pair.copy_spec(temporary(&format!("start_{}", pair.service)), cancelled).await;
    spec.tables.retain(|table| table.source_name.name.as_str() == "film");
    let copied = copy_tables(spec, |_| {}).await.unwrap()[0];
    let mut follow = pair.follow_spec(Direction::Forward, early).await;
    for route in &mut follow.routes {
        if route.source_oid == copied.source_oid {
            route.start = copied.start;
        }
    }
    let stream = crate::pair::Stream::new(Follow::start(follow));
    pair.m.run("update film set title = 'later'; insert into film values (2, 'two', 2, now())").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn binary_carries_the_same_rows(source: Version, target: Version) {
    let pair = Pair::new(source, target, "binary", FILMS).await;
    pair.m.run("insert into film select i, E'\\\\N\t', i / 7.0, now() from generate_series(1, 100) i").await;
    let (_keep, cancelled) = cancellation();
    let mut spec = pair.copy_spec(temporary(&format!("binary_{}", pair.service)), cancelled).await;
    for table in &mut spec.tables {
        table.format = CopyFormat::Binary;
    }
    copy_tables(spec, |_| {}).await.unwrap();
    pair.assert_same().await;
}
