//! What happens around a stream: partitions that come and go, other databases that write.

use crate::pair::{Pair, Stream, on_pairs};
use cleave_model::{Direction, Lsn};
use cleave_sandbox::Version;
use cleave_stream::{Follow, FollowSpec, FollowState};
use cleave_testkit::TestDatabase;

on_pairs!(
    a_partition_that_is_attached_with_rows_stops_the_stream_by_name,
    a_partition_that_is_detached_stops_the_stream_by_name,
    a_partition_that_is_made_stops_the_stream_with_its_first_row,
    the_slot_of_an_idle_source_advances_while_its_neighbours_write,
);

const PAYMENTS: &str = "
    create table payment (id int, day date, primary key (id, day)) partition by range (day);
    create table payment_1 partition of payment for values from ('2024-01-01') to ('2024-02-01');
    create table payment_2 partition of payment for values from ('2024-02-01') to ('2024-03-01');";

/// A stream of a partitioned table, and what to follow when it is to go on.
async fn with_root_published(source: Version, target: Version, hint: &str) -> (Pair, FollowSpec, Stream) {
    let pair = Pair::new(source, target, hint, PAYMENTS).await;
    pair.m.run("insert into payment select i, '2024-01-01'::date + i from generate_series(1, 50) i").await;
    let stream = pair.forward().await;
    // As `apply` publishes them: the root, whose partitions come along leaf by leaf.
    pair.m
        .run(&format!("alter publication cleave_{}_forward set table public.payment", pair.service.as_str()))
        .await;
    pair.drain(Direction::Forward, &stream).await;
    let spec = pair.follow_spec(Direction::Forward, Lsn::default()).await;
    (pair, spec, stream)
}

async fn a_partition_that_is_attached_with_rows_stops_the_stream_by_name(source: Version, target: Version) {
    let (pair, spec, stream) = with_root_published(source, target, "attached").await;
    let attach = "create table payment_3 (id int not null, day date not null, primary key (id, day));
         insert into payment_3 values (1000, '2024-03-05');
         alter table payment attach partition payment_3 for values from ('2024-03-01') to ('2024-04-01');";
    pair.m.run(attach).await;
    let failure = stream.failure().await;
    assert_eq!(failure.code(), "C0560");
    assert_eq!(
        failure.to_string(),
        "the tables of the stream are not what they were: public.payment_3 came with rows after the stream was made"
    );
    stream.stop().await;
    // The way back: it is no longer a part of the table.
    pair.m
        .run("alter table payment detach partition payment_3; insert into payment values (101, '2024-01-09')")
        .await;
    let stream = Stream::new(Follow::start(spec));
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(pair.n.count("select count(*) from payment where id = 101").await, 1);
    stream.stop().await;
}

async fn a_partition_that_is_detached_stops_the_stream_by_name(source: Version, target: Version) {
    let (pair, spec, stream) = with_root_published(source, target, "unattached").await;
    pair.m.run("alter table payment detach partition payment_2").await;
    let failure = stream.failure().await;
    assert_eq!(
        failure.to_string(),
        "the tables of the stream are not what they were: public.payment_2 was detached from its table"
    );
    stream.stop().await;
    // It is seen as well by a stream that begins only now.
    let stream = Stream::new(Follow::start(spec.clone()));
    assert_eq!(stream.failure().await.code(), "C0560");
    stream.stop().await;
    pair.m
        .run(
            "alter table payment attach partition payment_2 for values from ('2024-02-01') to ('2024-03-01')",
        )
        .await;
    let stream = Stream::new(Follow::start(spec));
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    pair.m.run("drop table payment_2").await;
    assert_eq!(
        stream.failure().await.to_string(),
        "the tables of the stream are not what they were: public.payment_2 was dropped"
    );
    stream.stop().await;
}

async fn a_partition_that_is_made_stops_the_stream_with_its_first_row(source: Version, target: Version) {
    let (pair, _, stream) = with_root_published(source, target, "made").await;
    pair.m
        .run("create table payment_3 partition of payment for values from ('2024-03-01') to ('2024-04-01')")
        .await;
    // Whoever makes partitions ahead of time is not stopped by it.
    pair.m.run("insert into payment values (102, '2024-01-09')").await;
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(stream.now().state, FollowState::Following);
    pair.m.run("insert into payment values (1000, '2024-03-05')").await;
    let failure = stream.failure().await;
    assert!(failure.to_string().contains("public.payment_3"), "{failure}");
    assert!(["C0507", "C0560"].contains(&failure.code()), "{failure}");
    stream.stop().await;
}

async fn the_slot_of_an_idle_source_advances_while_its_neighbours_write(source: Version, target: Version) {
    let pair = Pair::new(source, target, "idle", "create table film (id int primary key)").await;
    let stream = pair.forward().await;
    pair.drain(Direction::Forward, &stream).await;
    let neighbour = TestDatabase::create(source, "busy").await.unwrap();
    let client = cleave_sandbox::connect(&neighbour.url()).await.unwrap();
    let filler = "create table other (id int); insert into other select generate_series(1, 20000);
                  select pg_switch_wal()";
    client.batch_execute(filler).await.unwrap();
    let end: String = client.query_one("select pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
    // Both: what the server keeps for the slot begins behind what the neighbour has written.
    let behind = format!(
        "select count(*) from pg_replication_slots where slot_name = '{}'
         and confirmed_flush_lsn > '{end}' and restart_lsn > '{end}'",
        pair.slot(Direction::Forward)
    );
    let limit = std::time::Instant::now() + crate::pair::PATIENCE;
    while pair.m.count(&behind).await == 0 {
        assert!(std::time::Instant::now() < limit, "the slot keeps the neighbour's log: {:?}", stream.now());
        // The server looks where a slot may begin only when it writes down what runs.
        pair.m.run("checkpoint").await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    stream.stop().await;
}
