//! Copying tables in chunks, in several snapshots, frozen, and with indexes.

use crate::pair::{PATIENCE, Pair, Stream, on_pairs};
use cleave_journal::{copied_tables, tables_in_chunks};
use cleave_model::{Direction, Ident, Lsn};
use cleave_sandbox::Version;
use cleave_stream::{
    CopyFormat, CopyIndex, CopySpec, Follow, SnapshotRenewal, SnapshotSource, cancellation, copy_tables,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

on_pairs!(
    rows_that_change_their_block_between_two_chunks_arrive_once,
    a_copy_in_chunks_dropped_at_any_moment_is_begun_anew,
    rows_of_others_in_a_table_that_is_to_be_divided_are_refused,
    a_table_that_was_made_anew_holds_no_rows_of_ours,
    a_snapshot_that_is_too_old_is_renewed_for_the_tables_that_are_left,
    a_whole_table_is_written_frozen,
    a_reader_at_the_target_does_not_stop_the_copy,
    a_table_that_others_refer_to_is_copied_without_truncating_it,
    indexes_and_keys_are_built_where_they_are_not_there,
    rows_that_do_not_fit_an_index_end_the_copy,
    a_copy_with_a_rate_waits_after_a_part_and_can_be_cancelled,
);

const FILMS: &str = "
    create table film (id int primary key, n int, t text);
    create table part (id int primary key, t text);";

/// Blocks of 8 kB: of `film` every second one is a chunk.
const CHUNK_BYTES: u64 = 16 << 10;

async fn fill(pair: &Pair) {
    pair.m.run("insert into film select i, 0, repeat('t', 200) from generate_series(1, 4000) i").await;
    // Holes, and rows that stand far from where they were.
    pair.m.run("delete from film where id % 7 = 0; update film set n = 1 where id % 11 = 0").await;
    pair.m.run("insert into part select i, 'p' from generate_series(1, 10) i").await;
}

async fn spec(pair: &Pair, name: &str) -> (CopySpec, cleave_stream::Canceller) {
    let (keep, cancelled) = cancellation();
    let slot = format!("cleave_{name}_{}_{}", pair.service, std::process::id());
    let mut spec = pair.copy_spec(SnapshotSource::TemporarySlot { name: slot }, cancelled).await;
    spec.jobs = 3;
    spec.chunk_bytes = CHUNK_BYTES;
    for table in &mut spec.tables {
        table.format = CopyFormat::Binary;
        table.bytes_estimate = if table.source_name.name.as_str() == "film" { 1 << 20 } else { 1 };
    }
    (spec, keep)
}

/// Publication, slot and position first, so that a later stream starts before every snapshot.
async fn first_position(pair: &Pair) -> Lsn {
    pair.publish(Direction::Forward).await;
    pair.slot_and_position().await
}

async fn follow(pair: &Pair, spec: &CopySpec) -> Stream {
    let copied = copied_tables(&pair.n.client, &spec.stream).await.unwrap();
    let mut follow = pair.follow_spec(Direction::Forward, Lsn(0)).await;
    for route in &mut follow.routes {
        route.start = copied.iter().find(|copied| copied.source_oid == route.source_oid).unwrap().start;
    }
    Stream::new(Follow::start(follow))
}

/// Updates rows, which gives them other blocks, until told to stop.
fn churn(url: &str) -> (Arc<AtomicBool>, tokio::task::JoinHandle<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (told, url) = (Arc::clone(&stop), url.to_owned());
    let task = tokio::spawn(async move {
        let client = cleave_sandbox::connect(&url).await.unwrap();
        let mut round = 0;
        while !told.load(Ordering::Relaxed) {
            round += 1;
            let sql = format!(
                "update film set n = n + 1 where id % 13 = {0}; delete from film where id = {0} * 17;
                 insert into film values (10000 + {1}, 0, 'new')",
                round % 13,
                round
            );
            client.batch_execute(&sql).await.unwrap();
        }
    });
    (stop, task)
}

async fn rows_that_change_their_block_between_two_chunks_arrive_once(source: Version, target: Version) {
    let pair = Pair::new(source, target, "churn", FILMS).await;
    fill(&pair).await;
    first_position(&pair).await;
    let (stop, writer) = churn(&pair.m.url);
    let (spec, _keep) = spec(&pair, "churn").await;
    let copied = copy_tables(spec.clone(), |_| {}).await.unwrap();
    assert_eq!(copied.len(), 2);
    assert_eq!(tables_in_chunks(&pair.n.client, &spec.stream).await.unwrap(), []);
    let film = copied.iter().max_by_key(|copied| copied.rows).unwrap();
    assert_eq!(i64::try_from(film.rows).unwrap(), pair.n.count("select count(*) from film").await);
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let stream = follow(&pair, &spec).await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_copy_in_chunks_dropped_at_any_moment_is_begun_anew(source: Version, target: Version) {
    let pair = Pair::new(source, target, "chunk_drop", FILMS).await;
    fill(&pair).await;
    let (mut spec, _keep) = spec(&pair, "cdrop").await;
    for round in 0..12 {
        let slot = format!("cleave_cdrop{round}_{}_{}", pair.service, std::process::id());
        spec.snapshot = SnapshotSource::TemporarySlot { name: slot };
        let copy = tokio::spawn(copy_tables(spec.clone(), |_| {}));
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..250))).await;
        copy.abort();
        // Rows without a record would be taken for somebody else's.
        let rows = pair.n.count("select count(*) from film").await;
        let known = "select count(*) from cleave.copying where rows <= 4000";
        let copied = copied_tables(&pair.n.client, &spec.stream).await.unwrap();
        assert!(rows == 0 || pair.n.count(known).await == 1 || !copied.is_empty(), "{rows} rows of nobody");
        if copied.len() == 2 {
            pair.n.run("delete from cleave.copied; truncate film, part").await;
        }
    }
    let slot = format!("cleave_cdrop_last_{}_{}", pair.service, std::process::id());
    spec.snapshot = SnapshotSource::TemporarySlot { name: slot };
    copy_tables(spec.clone(), |_| {}).await.unwrap();
    assert_eq!(tables_in_chunks(&pair.n.client, &spec.stream).await.unwrap(), []);
    pair.assert_same().await;
}

async fn rows_of_others_in_a_table_that_is_to_be_divided_are_refused(source: Version, target: Version) {
    let pair = Pair::new(source, target, "chunk_filled", FILMS).await;
    fill(&pair).await;
    pair.n.run("insert into film values (7, 7, 'whose?')").await;
    let (spec, _keep) = spec(&pair, "cfilled").await;
    let error = copy_tables(spec, |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "C0511");
    assert_eq!(pair.n.rows("film").await, ["(7,7,whose?)"]);
}

async fn a_table_that_was_made_anew_holds_no_rows_of_ours(source: Version, target: Version) {
    let pair = Pair::new(source, target, "anew", FILMS).await;
    fill(&pair).await;
    let (spec, _keep) = spec(&pair, "anew").await;
    let film = spec.tables.iter().find(|table| table.source_name.name.as_str() == "film").unwrap();
    let insert = "insert into cleave.copying (stream, source_oid, target_oid, start, chunks_left)
                  values ($1, $2, 'film'::regclass, '0/1', 3)";
    pair.n.client.execute(insert, &[&spec.stream, &film.source_oid.0]).await.unwrap();
    pair.n
        .run(
            "drop table film; create table film (id int primary key, n int, t text);
              insert into film values (7, 7, 'whose?')",
        )
        .await;
    let error = copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "C0511");
    assert_eq!(pair.n.rows("film").await, ["(7,7,whose?)"]);
    // The same rows in the table that the record names are an earlier run's.
    pair.n.run("update cleave.copying set target_oid = 'film'::regclass").await;
    copy_tables(spec, |_| {}).await.unwrap();
    pair.assert_same().await;
}

async fn a_snapshot_that_is_too_old_is_renewed_for_the_tables_that_are_left(
    source: Version,
    target: Version,
) {
    let schema = format!("{FILMS} create table third (id int primary key);");
    let pair = Pair::new(source, target, "renewed", &schema).await;
    fill(&pair).await;
    pair.m.run("insert into third select generate_series(1, 100)").await;
    first_position(&pair).await;
    let (stop, writer) = churn(&pair.m.url);
    let (mut spec, _keep) = spec(&pair, "renewed").await;
    let slot = format!("cleave_renewal_{}_{}", pair.service, std::process::id());
    spec.renewal = Some(SnapshotRenewal { age: Duration::ZERO, slot });
    let copied = copy_tables(spec.clone(), |_| {}).await.unwrap();
    let mut starts: Vec<Lsn> = copied.iter().map(|copied| copied.start).collect();
    starts.sort();
    starts.dedup();
    assert_eq!(starts.len(), 3, "each table in a snapshot of its own: {copied:?}");
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let stream = follow(&pair, &spec).await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

/// Frozen rows are older than every snapshot: one that was taken before they came sees them.
async fn seen_by_an_older_snapshot(pair: &Pair, before_copy: &str) -> i64 {
    let reader = cleave_sandbox::connect(&pair.n.url).await.unwrap();
    let begin = format!("begin isolation level repeatable read; select 1; {before_copy}");
    reader.batch_execute(&begin).await.unwrap();
    let (mut spec, _keep) = spec(pair, "frozen").await;
    spec.tables.retain(|table| table.source_name.name.as_str() == "part");
    copy_tables(spec, |_| {}).await.unwrap();
    assert_eq!(pair.n.count("select count(*) from part").await, 10);
    reader.query_one("select count(*) from part", &[]).await.unwrap().get(0)
}

async fn a_whole_table_is_written_frozen(source: Version, target: Version) {
    let pair = Pair::new(source, target, "frozen", FILMS).await;
    fill(&pair).await;
    assert_eq!(seen_by_an_older_snapshot(&pair, "").await, 10);
}

async fn a_reader_at_the_target_does_not_stop_the_copy(source: Version, target: Version) {
    let pair = Pair::new(source, target, "read", FILMS).await;
    fill(&pair).await;
    assert_eq!(seen_by_an_older_snapshot(&pair, "select from part").await, 0);
}

async fn a_table_that_others_refer_to_is_copied_without_truncating_it(source: Version, target: Version) {
    let pair = Pair::new(source, target, "referred", FILMS).await;
    fill(&pair).await;
    pair.n.run("create schema others; create table others.uses (part_id int references public.part)").await;
    assert_eq!(seen_by_an_older_snapshot(&pair, "").await, 0);
}

async fn indexes_and_keys_are_built_where_they_are_not_there(source: Version, target: Version) {
    let pair = Pair::new(source, target, "built", FILMS).await;
    fill(&pair).await;
    pair.n.run("alter table film drop constraint film_pkey; create index film_n on film (n)").await;
    let (mut spec, _keep) = spec(&pair, "built").await;
    let index = |name: &str, create: &str, constraint: Option<&str>| CopyIndex {
        name: Ident::new(name),
        create: create.to_owned(),
        constraint: constraint.map(str::to_owned),
    };
    let film = spec.tables.iter_mut().find(|table| table.source_name.name.as_str() == "film").unwrap();
    film.indexes = vec![
        index(
            "film_pkey",
            "create unique index film_pkey on film (id)",
            Some("alter table only public.film add constraint film_pkey primary key using index film_pkey"),
        ),
        index("film_n", "create index film_n on film (n)", None),
        index("film_t", "create index film_t on film (t, id)", None),
    ];
    let last = Arc::new(std::sync::Mutex::new(None));
    let seen = Arc::clone(&last);
    copy_tables(spec.clone(), move |report| *seen.lock().unwrap() = Some(report)).await.unwrap();
    let report = last.lock().unwrap().unwrap();
    assert_eq!((report.indexes_done, report.indexes_total), (3, 3));
    let indexes = "select count(*) from pg_index where indrelid = 'film'::regclass and indisvalid";
    let keys = "select count(*) from pg_constraint where conrelid = 'film'::regclass and contype = 'p'";
    assert_eq!((pair.n.count(indexes).await, pair.n.count(keys).await), (3, 1));
    // A run that was killed between the index and its constraint.
    pair.n
        .run("alter table film drop constraint film_pkey; create unique index film_pkey on film (id)")
        .await;
    copy_tables(spec, |_| {}).await.unwrap();
    assert_eq!((pair.n.count(indexes).await, pair.n.count(keys).await), (3, 1));
    pair.assert_same().await;
}

async fn rows_that_do_not_fit_an_index_end_the_copy(source: Version, target: Version) {
    let pair = Pair::new(source, target, "unfit", FILMS).await;
    fill(&pair).await;
    let (mut spec, _keep) = spec(&pair, "unfit").await;
    let film = spec.tables.iter_mut().find(|table| table.source_name.name.as_str() == "film").unwrap();
    film.indexes = vec![CopyIndex {
        name: Ident::new("film_n"),
        create: "create unique index film_n on film (n)".to_owned(),
        constraint: None,
    }];
    let error = copy_tables(spec, |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "C0512");
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(text.contains("film_n") && !text.contains("(0)") && !text.contains("(n)"), "{text}");
}

async fn a_copy_with_a_rate_waits_after_a_part_and_can_be_cancelled(source: Version, target: Version) {
    let pair = Pair::new(source, target, "rate", FILMS).await;
    fill(&pair).await;
    let (mut spec, canceller) = spec(&pair, "rate").await;
    // The next part would have to wait for a day.
    spec.bytes_per_second_max = Some(1);
    spec.chunk_bytes = 1 << 30;
    let copy = tokio::spawn(copy_tables(spec.clone(), |_| {}));
    let sent = "select count(*) from pg_stat_progress_copy
                where relid = 'film'::regclass and command = 'COPY FROM' and bytes_processed > 0";
    let deadline = Instant::now() + PATIENCE;
    while pair.n.count(sent).await == 0 {
        assert!(!copy.is_finished() && Instant::now() < deadline, "the copy has not waited, or not begun");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    canceller.cancel();
    assert_eq!(copy.await.unwrap().unwrap_err().code(), "C0517");
    let copied = copied_tables(&pair.n.client, &spec.stream).await.unwrap();
    let film = spec.tables.iter().find(|table| table.source_name.name.as_str() == "film").unwrap();
    assert!(copied.iter().all(|copied| copied.source_oid != film.source_oid), "{copied:?}");
    assert_eq!(pair.n.count("select count(*) from film").await, 0);
}
