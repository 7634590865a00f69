//! Connections that break at any moment, servers that restart, slots and sources that are not what they were.

use crate::pair::{PATIENCE, Pair, Place, Stream, on_pairs};
use cleave_model::Direction;
use cleave_sandbox::{Cluster, Options, StopMode, Version};
use cleave_stream::{Follow, FollowState};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_postgres::Client;

on_pairs!(
    every_transaction_is_applied_once_however_often_sessions_die,
    a_stream_dropped_at_any_moment_goes_on_where_it_was,
    a_stopped_stream_goes_on_where_it_was,
    a_huge_transaction_passes_through_little_memory,
    a_source_that_is_another_is_refused,
    a_slot_that_went_ahead_is_refused,
    positions_move_when_only_foreign_traffic_flows,
    another_engine_that_took_the_lease_ends_this_one,
);

const FILMS: &str = "
    create table film (id int primary key, title text, version int not null default 0);
    create table entry (id bigint generated always as identity primary key, film int, at timestamptz default now());";

/// Writes transactions of several rows until told to stop; returns how many.
async fn write(client: Client, stop: Arc<AtomicBool>) -> u64 {
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let id = written % 50;
        let sql = format!(
            "begin; insert into film values ({id}, 'x') on conflict (id) do update set version = film.version + 1;
             insert into entry (film) values ({id}), ({id}); delete from entry where id % 7 = 0; commit"
        );
        client.batch_execute(&sql).await.unwrap();
        written += 1;
    }
    written
}

async fn every_transaction_is_applied_once_however_often_sessions_die(source: Version, target: Version) {
    let pair = Pair::new(source, target, "kill", FILMS).await;
    let stream = pair.forward().await;
    let stop = Arc::new(AtomicBool::new(false));
    let client = cleave_sandbox::connect(&pair.m.url).await.unwrap();
    let writer = tokio::spawn(write(client, Arc::clone(&stop)));
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                where datname = current_database() and application_name like 'cleave follow %'";
    let mut killed = 0;
    for round in 0..30u32 {
        let before = stream.now().counters.transactions;
        // Kill on both sides in turn, in the middle of work.
        stream
            .until("applying again", |status| status.counters.transactions > before + u64::from(round % 5))
            .await;
        killed += if round % 3 == 2 { pair.m.count(kill).await } else { pair.n.count(kill).await };
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 30);
    assert!(killed >= 20, "{killed}");
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert!(stream.now().counters.reconnects >= 15, "{:?}", stream.now());
    stream.stop().await;
}

async fn a_stream_dropped_at_any_moment_goes_on_where_it_was(source: Version, target: Version) {
    let pair = Pair::new(source, target, "drop", FILMS).await;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    let stop = Arc::new(AtomicBool::new(false));
    let client = cleave_sandbox::connect(&pair.m.url).await.unwrap();
    let writer = tokio::spawn(write(client, Arc::clone(&stop)));
    for _ in 0..20 {
        let stream = Stream::new(Follow::start(spec.clone()));
        stream.until("applying", |status| status.counters.transactions > 0).await;
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..20_000))).await;
        // The next one starts while the servers still see the sessions of this one.
        drop(stream);
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let stream = Stream::new(Follow::start(spec));
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_stopped_stream_goes_on_where_it_was(source: Version, target: Version) {
    let pair = Pair::new(source, target, "stop", FILMS).await;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    for round in 0..5 {
        let stream = Stream::new(Follow::start(spec.clone()));
        pair.m
            .run(&format!("insert into film values ({round}, 'x'); update film set version = version + 1"))
            .await;
        pair.drain(Direction::Forward, &stream).await;
        let last = stream.stop().await;
        assert_eq!(last.state, FollowState::Stopped);
        // The slot is free and confirmed up to the position.
        let sql = format!(
            "select count(*) from pg_replication_slots where slot_name = '{}' and not active
             and confirmed_flush_lsn = '{}'",
            spec.slot,
            last.position.unwrap()
        );
        assert_eq!(pair.m.count(&sql).await, 1, "{last:?}");
        pair.m.run("update film set title = title || 'y'").await;
    }
    let stream = Stream::new(Follow::start(spec));
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_huge_transaction_passes_through_little_memory(source: Version, target: Version) {
    let mut pair = Pair::new(source, target, "huge", FILMS).await;
    pair.options.memory_bytes = 256 << 10;
    let stream = pair.forward().await;
    // 60 MB of rows while 256 kB may wait between the two sides.
    pair.m.run("insert into film select i, repeat('x', 2000) from generate_series(1, 30000) i").await;
    pair.drain(Direction::Forward, &stream).await;
    let status = stream.now();
    assert_eq!((status.counters.rows, status.counters.reconnects), (30000, 0));
    assert_eq!(pair.n.count("select count(*) from film where length(title) = 2000").await, 30000);
    stream.stop().await;
}

async fn a_source_that_is_another_is_refused(source: Version, target: Version) {
    let pair = Pair::new(source, target, "system", FILMS).await;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    for (set, code) in [
        ("timeline = timeline + 1", "C0501"),
        ("system_identifier = '42', timeline = timeline - 1", "C0501"),
        ("slot = 'another'", "C0504"),
    ] {
        pair.n.run(&format!("update cleave.position set {set}")).await;
        let stream = Stream::new(Follow::start(spec.clone()));
        assert_eq!(stream.failure().await.code(), code);
        stream.stop().await;
    }
    pair.n.run("delete from cleave.position").await;
    let stream = Stream::new(Follow::start(spec));
    assert_eq!(stream.failure().await.code(), "C0504");
    stream.stop().await;
}

async fn a_slot_that_went_ahead_is_refused(source: Version, target: Version) {
    let pair = Pair::new(source, target, "ahead", FILMS).await;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    pair.m.run("insert into film values (1, 'x')").await;
    let (slot, publication) = (&spec.slot, spec.publication.as_str());
    pair.m
        .run(&format!(
            "select pg_logical_slot_get_binary_changes('{slot}', null, null, 'proto_version', '1',
               'publication_names', '{publication}')"
        ))
        .await;
    let stream = Stream::new(Follow::start(spec.clone()));
    assert_eq!(stream.failure().await.code(), "C0503");
    stream.stop().await;
    pair.m.run(&format!("select pg_drop_replication_slot('{slot}')")).await;
    let stream = Stream::new(Follow::start(spec));
    assert_eq!(stream.failure().await.code(), "C0502");
    stream.stop().await;
}

async fn positions_move_when_only_foreign_traffic_flows(source: Version, target: Version) {
    let mut pair = Pair::new(source, target, "foreign", FILMS).await;
    pair.options.heartbeat_interval = Duration::from_millis(100);
    let stream = pair.forward().await;
    pair.m.run("create table other (x text); insert into other select repeat('x', 100) from generate_series(1, 1000)").await;
    let end: tokio_postgres::types::PgLsn =
        pair.m.client.query_one("select pg_current_wal_lsn()", &[]).await.unwrap().get(0);
    let end = u64::from(end);
    let moved =
        stream.until("moved", |status| status.position.is_some_and(|position| position.0 > end)).await;
    assert_eq!(moved.counters.rows, 0);
    let deadline = Instant::now() + PATIENCE;
    let confirmed = format!(
        "select (confirmed_flush_lsn - '0/0')::bigint from pg_replication_slots where slot_name = '{}'",
        pair.slot(Direction::Forward)
    );
    while u64::try_from(pair.m.count(&confirmed).await).unwrap() <= end {
        assert!(Instant::now() < deadline, "the slot is not confirmed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let slot = stream.until("looked at", |status| status.slot.is_some()).await.slot.unwrap();
    assert_eq!(slot.name, pair.slot(Direction::Forward));
    stream.stop().await;
}

async fn another_engine_that_took_the_lease_ends_this_one(source: Version, target: Version) {
    let pair = Pair::new(source, target, "lease", FILMS).await;
    let stream = pair.forward().await;
    pair.m.run("insert into film values (1, 'x')").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.n.run("update cleave.lease set expires_at = '-infinity'").await;
    cleave_journal::Lease::acquire(&pair.n.client, "other", "another engine").await.unwrap();
    pair.m.run("insert into film values (2, 'x')").await;
    assert_eq!(stream.failure().await.code(), "C0402");
    assert_eq!(pair.n.count("select count(*) from film").await, 1);
    stream.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_restarts_is_followed_again() {
    let cluster = Cluster::start(Version::V15, &Options::new()).await.unwrap();
    for database in ["source", "target"] {
        cluster.create_database(database).await.unwrap();
    }
    let m = Place::at("m", &cluster.url("source")).await;
    let n = Place::at("n", &cluster.url("target")).await;
    let mut pair = Pair::of(m, n, FILMS).await;
    let stream = pair.forward().await;
    for mode in [StopMode::Fast, StopMode::Immediate] {
        pair.m
            .run("insert into film select max(id) + 1, 'x' from (select id from film union select 0) i")
            .await;
        cluster.stop(mode).await.unwrap();
        stream.until("retrying", |status| status.state == FollowState::Retrying).await;
        cluster.restart().await.unwrap();
        pair.m = Place::at("m", &cluster.url("source")).await;
        pair.n = Place::at("n", &cluster.url("target")).await;
        pair.drain(Direction::Forward, &stream).await;
        pair.assert_same().await;
    }
    assert_eq!(pair.n.count("select count(*) from film").await, 2);
    stream.stop().await;
}
