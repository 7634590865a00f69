//! Commits that are on their way while the next changes are gathered, and commits that do not wait for the disk.

use crate::pair::{Pair, Place, Stream, on_pairs};
use cleave_model::Direction;
use cleave_sandbox::{Cluster, Options, StopMode, Version, connect};
use cleave_stream::{Follow, FollowState};
use cleave_testkit::TestDatabase;

on_pairs!(a_home_and_names_that_change_in_the_middle_of_a_backlog_are_minded_at_once);

const FILMS: &str = "create table film (id int primary key, title text, version int not null default 0);";

/// So many transactions; each sixth has enough rows to be written as a set.
fn transactions(from: u32, count: u32) -> String {
    format!(
        "do $$ begin
            for i in {from}..{from} + {count} - 1 loop
                insert into film values (-i, 'one');
                if i % 6 = 0 then
                    insert into film select i * 1000 + n, repeat('x', 50) from generate_series(1, 200) n;
                    update film set version = version + 1 where id between i * 1000 and i * 1000 + 100;
                    delete from film where id = -i + 3;
                end if;
                commit;
            end loop;
        end $$"
    )
}

async fn a_home_and_names_that_change_in_the_middle_of_a_backlog_are_minded_at_once(
    source: Version,
    target: Version,
) {
    let mut pair = Pair::new(source, target, "renamed", FILMS).await;
    // So that one is always on its way.
    pair.options.batch_transactions_max = 2;
    let start = pair.copied().await;
    pair.m.run(&transactions(1, 3000)).await;
    pair.n.run("create schema other").await;
    let stream = Stream::new(Follow::start(pair.follow_spec(Direction::Forward, start).await));
    let mut schema = "public";
    for round in 0..10 {
        let batches = stream.now().counters.batches;
        stream.until("applying", |status| status.counters.batches > batches + 20).await;
        pair.n.run("update cleave.owner set home = 'n', pending_home = 'm', pending_epoch = epoch + 1").await;
        let count = format!("select count(*) + coalesce(sum(version), 0) from {schema}.film");
        let before = pair.n.count(&count).await;
        stream.until("held", |status| status.state == FollowState::Held).await;
        assert_eq!(pair.n.count(&count).await, before, "round {round}");
        let next = if schema == "public" { "other" } else { "public" };
        // As a switch does it: other names, and a higher epoch.
        pair.n
            .run(&format!(
                "begin; alter table {schema}.film set schema {next};
                 update cleave.owner set home = 'm', pending_home = null, pending_epoch = null, epoch = epoch + 1; commit"
            ))
            .await;
        schema = next;
    }
    assert_eq!(schema, "public");
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(stream.stop().await.counters.reconnects, 0);
}

/// A server whose log is written out by commits that wait, and by nobody else.
async fn forgetful() -> Cluster {
    let options = Options::new()
        .setting("wal_writer_delay", "10s")
        .setting("wal_writer_flush_after", "1GB")
        .setting("wal_buffers", "64MB");
    let cluster = Cluster::start(Version::V18, &options).await.unwrap();
    cluster.create_database("n").await.unwrap();
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_connects_finds_its_position_on_the_disk() {
    let cluster = forgetful().await;
    let source = TestDatabase::create(Version::V16, "disk").await.unwrap();
    let n = Place::at("n", &cluster.url("n")).await;
    let pair = Pair::of(Place::at("m", &source.url()).await, n, FILMS).await;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    // As an applier may have left it: committed, and not on the disk.
    pair.n.run("set synchronous_commit = off; update cleave.position set applied_at = now()").await;
    let end = pair.n.text("select pg_current_wal_insert_lsn()::text").await;
    let on_disk = format!("select count(*) where pg_current_wal_flush_lsn() >= '{end}'");
    assert_eq!(pair.n.count(&on_disk).await, 0);
    let stream = Stream::new(Follow::start(spec));
    stream.until("following", |status| status.state == FollowState::Following).await;
    assert_eq!(pair.n.count(&on_disk).await, 1);
    stream.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_crashes_still_has_all_that_was_confirmed() {
    let cluster = forgetful().await;
    let source = TestDatabase::create(Version::V16, "crash").await.unwrap();
    let n = Place::at("n", &cluster.url("n")).await;
    let mut pair = Pair::of(Place::at("m", &source.url()).await, n, FILMS).await;
    pair.options.batch_transactions_max = 2;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    let mut stream = Stream::new(Follow::start(spec.clone()));
    let slot = pair.slot(Direction::Forward);
    let confirmed =
        format!("select confirmed_flush_lsn::text from pg_replication_slots where slot_name = '{slot}'");
    for round in 0..6 {
        let writer = connect(&pair.m.url).await.unwrap();
        let writing = tokio::spawn(async move {
            writer.batch_execute(&transactions(1 + round * 3000, 3000)).await.unwrap()
        });
        let batches = stream.now().counters.batches;
        stream.until("applying", |status| status.counters.batches > batches + 30).await;
        let before = pair.m.text(&confirmed).await;
        if round % 2 == 0 {
            // The next one reads a position whose commit need not be on the disk yet.
            drop(stream);
            stream = Stream::new(Follow::start(spec.clone()));
        }
        pair.m
            .until(&format!(
                "select count(*) from pg_replication_slots where slot_name = '{slot}' and confirmed_flush_lsn > '{before}'"
            ))
            .await;
        cluster.stop(StopMode::Immediate).await.unwrap();
        cluster.restart().await.unwrap();
        writing.await.unwrap();
    }
    pair.n.client = connect(&pair.n.url).await.unwrap();
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}
