//! Transactions that come while they are in progress: small memory of the source's decoding makes it send them in blocks.

use crate::pair::{Pair, Stream, on_pairs};
use cleave_model::{Direction, labels};
use cleave_sandbox::Version;
use cleave_stream::{FollowState, FollowStatus};
use tokio_postgres::Client;

on_pairs!(
    a_large_transaction_comes_before_it_commits_and_holds_nobody_up,
    parts_and_wholes_that_are_rolled_back_never_arrive,
    a_transaction_without_room_is_kept_by_the_source,
    a_transaction_in_progress_survives_lost_connections,
    a_large_transaction_of_the_other_direction_is_not_sent_back,
    the_shape_of_a_table_changes_inside_a_transaction_in_progress,
);

const FILMS: &str = "
    create table film (id int primary key, title text, version int not null default 0);
    create table entry (id bigint primary key, film int);";

/// The source sends a transaction once its decoding takes 64 kB.
async fn pair(source: Version, target: Version, hint: &str) -> Pair {
    let mut pair = Pair::new(source, target, hint, FILMS).await;
    let database: String = pair.m.client.query_one("select current_database()", &[]).await.unwrap().get(0);
    pair.m.run(&format!("alter database {database} set logical_decoding_work_mem = '64kB'")).await;
    // Both the memory and, after it, the file are used.
    pair.options.memory_bytes = 256 << 10;
    pair
}

fn rows(from: u32, to: u32, title: &str) -> String {
    format!("insert into film select n, repeat('{title}', 100) from generate_series({from}, {to}) n;")
}

/// A session at the source inside a transaction that the stream has a part of.
async fn begun(pair: &Pair, stream: &Stream, work: &str) -> Client {
    // A transaction that began before the stream had caught up comes whole.
    pair.drain(Direction::Forward, stream).await;
    let session = cleave_sandbox::connect(&pair.m.url).await.unwrap();
    session.batch_execute(&format!("begin; {work}")).await.unwrap();
    // What is written elsewhere makes the source decode what was written before.
    pair.m.run("insert into entry select coalesce(max(id), 0) + 1, 0 from entry").await;
    let seen = |status: &FollowStatus| status.in_progress_bytes > 0 || status.counters.reconnects > 0;
    stream.until("in progress", seen).await;
    session
}

async fn a_large_transaction_comes_before_it_commits_and_holds_nobody_up(source: Version, target: Version) {
    let pair = pair(source, target, "blocks").await;
    pair.m.run("insert into film values (-1, 'before')").await;
    let stream = pair.forward().await;
    let session = begun(&pair, &stream, &rows(1, 20_000, "a")).await;
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(pair.n.count("select count(*) from entry").await, 1);
    assert_eq!(pair.n.count("select count(*) from film").await, 1);
    let more = "update film set version = 1 where id > 19000; delete from film where id between 5 and 10;
                update film set id = -id where id between 2 and 4; commit";
    session.batch_execute(more).await.unwrap();
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    let status = stream.now();
    assert_eq!((status.in_progress, status.in_progress_bytes, status.counters.reconnects), (0, 0, 0));
    assert_eq!(stream.stop().await.state, FollowState::Stopped);
}

async fn parts_and_wholes_that_are_rolled_back_never_arrive(source: Version, target: Version) {
    let pair = pair(source, target, "undone").await;
    let stream = pair.forward().await;
    let kept = begun(&pair, &stream, &rows(1, 3000, "a")).await;
    let undone = begun(&pair, &stream, &rows(100_001, 103_000, "u")).await;
    let work = [
        "savepoint one",
        &rows(3001, 6000, "b"),
        "savepoint two",
        &rows(6001, 9000, "c"),
        "release two",
        &rows(9001, 9100, "d"),
        "rollback to one",
        &rows(3001, 3500, "e"),
        "savepoint three",
        &rows(3501, 6000, "f"),
        "release three",
        "update film set version = version + 1 where id % 3 = 0",
        "do $$ begin
             for i in 1..300 loop
                 begin
                     insert into film values (20000 + i, repeat('g', 300));
                     if i % 2 = 0 then perform 1 / 0; end if;
                 exception when division_by_zero then null;
                 end;
             end loop;
         end $$",
    ];
    for statement in work {
        kept.batch_execute(statement).await.unwrap();
    }
    pair.drain(Direction::Forward, &stream).await;
    undone.batch_execute("rollback").await.unwrap();
    kept.batch_execute("commit").await.unwrap();
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(pair.n.count("select count(*) from film").await, 6150);
    pair.assert_same().await;
    assert_eq!(stream.now().in_progress, 0);
    stream.stop().await;
}

async fn a_transaction_without_room_is_kept_by_the_source(source: Version, target: Version) {
    let mut pair = pair(source, target, "no_room").await;
    pair.options.spool_bytes = 300 << 10;
    let stream = pair.forward().await;
    let session = begun(&pair, &stream, &rows(1, 20_000, "a")).await;
    stream.until("connected again", |status| status.counters.reconnects > 0).await;
    pair.drain(Direction::Forward, &stream).await;
    session.batch_execute("commit").await.unwrap();
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!((stream.now().in_progress, stream.now().counters.reconnects), (0, 1));
    stream.stop().await;
}

async fn a_transaction_in_progress_survives_lost_connections(source: Version, target: Version) {
    let pair = pair(source, target, "torn").await;
    let stream = pair.forward().await;
    let session = begun(&pair, &stream, &rows(1, 5000, "a")).await;
    // What follows the transaction's beginning is stored on the target, and the position lies behind that beginning.
    pair.m.run("insert into film values (-1, 'between')").await;
    pair.drain(Direction::Forward, &stream).await;
    for round in 0_u32..3 {
        let reconnects = stream.now().counters.reconnects;
        pair.m
            .run(&format!(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{}'",
                pair.slot(Direction::Forward)
            ))
            .await;
        stream.until("connected again", |status| status.counters.reconnects > reconnects).await;
        session.batch_execute(&rows(6000 + round * 1000, 6999 + round * 1000, "b")).await.unwrap();
        pair.m.run("insert into entry select coalesce(max(id), 0) + 1, 0 from entry").await;
        pair.drain(Direction::Forward, &stream).await;
        stream.until("in progress", |status| status.in_progress > 0).await;
    }
    session.batch_execute("commit").await.unwrap();
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_large_transaction_of_the_other_direction_is_not_sent_back(source: Version, target: Version) {
    let pair = pair(source, target, "peer").await;
    let stream = pair.forward().await;
    let origin = labels::origin(&pair.service, Direction::Back);
    pair.drain(Direction::Forward, &stream).await;
    let peer = cleave_sandbox::connect(&pair.m.url).await.unwrap();
    let setup = format!(
        "select pg_replication_origin_create('{origin}'); select pg_replication_origin_session_setup('{origin}')"
    );
    peer.batch_execute(&setup).await.unwrap();
    peer.batch_execute(&format!("begin; {}", rows(1, 5000, "peer"))).await.unwrap();
    pair.m.run("insert into entry values (1, 1)").await;
    stream.until("in progress", |status| status.in_progress > 0).await;
    assert_eq!(stream.now().in_progress_bytes, 0, "nothing is kept of it");
    peer.batch_execute("commit").await.unwrap();
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(pair.n.count("select count(*) from film").await, 0);
    assert_eq!(pair.n.count("select count(*) from entry").await, 1);
    stream.stop().await;
}

async fn the_shape_of_a_table_changes_inside_a_transaction_in_progress(source: Version, target: Version) {
    let pair = pair(source, target, "shape").await;
    let stream = pair.forward().await;
    let change = format!("{} alter table film add more int; {}", rows(1, 3000, "a"), rows(3001, 6000, "b"));
    let session = begun(&pair, &stream, &change).await;
    assert_eq!(stream.now().state, FollowState::Following);
    session.batch_execute("rollback").await.unwrap();
    pair.m.run("insert into film values (-1, 'as before')").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    let session = begun(&pair, &stream, &change).await;
    session.batch_execute("commit").await.unwrap();
    assert_eq!(stream.failure().await.code(), "C0506");
    stream.stop().await;
}
