//! How others have lost or doubled changes, each tried here.
//!
//! | their report | here |
//! | --- | --- |
//! | pgcopydb #1033: a keepalive moved the position | `a_keepalive_moves_nothing_over_a_change_that_waits` |
//! | pgcopydb #1044: the order of begins is not that of commits | `transactions_that_overlap_arrive_wherever_the_stream_was_stopped` |
//! | pgcopydb #1049: success was told with work left | `a_change_that_was_refused_arrives_once_its_cause_is_gone`; `resume::a_stopped_stream_goes_on_where_it_was` |
//! | pgcopydb #1050: a keepalive past the end point ended the work | `a_keepalive_moves_nothing_over_a_change_that_waits` |
//! | Debezium dbz#76: the end of a commit is where the next change starts | `transactions_that_touch_in_the_log_arrive_each_once` |
//! | Debezium dbz#1554: several rows under one position | `transactions_that_touch_in_the_log_arrive_each_once` |
//! | Debezium dbz#2058: messages inside a transaction | `messages_inside_a_transaction_do_not_part_it` |
//! | etl #935: an old position was used on a new slot | `resume::a_source_that_is_another_is_refused` |
//! | PgDog #1605: each commit was waited for | `transactions_that_wait_share_commits` |
//! | pgstream #959: rows that failed were dropped | `a_change_that_was_refused_arrives_once_its_cause_is_gone` |

use crate::pair::{Pair, Stream, on_pairs};
use cleave_model::Direction;
use cleave_pg::copy::copy_in;
use cleave_sandbox::Version;
use cleave_stream::{Follow, FollowState};
use futures_util::SinkExt;

on_pairs!(
    a_keepalive_moves_nothing_over_a_change_that_waits,
    transactions_that_overlap_arrive_wherever_the_stream_was_stopped,
    transactions_that_touch_in_the_log_arrive_each_once,
    messages_inside_a_transaction_do_not_part_it,
    transactions_that_wait_share_commits,
    a_change_that_was_refused_arrives_once_its_cause_is_gone,
);

const FILMS: &str = "create table film (id int primary key, title text, price int);";

async fn a_keepalive_moves_nothing_over_a_change_that_waits(source: Version, target: Version) {
    let pair = Pair::new(source, target, "keepalive", FILMS).await;
    let stream = pair.forward().await;
    pair.drain(Direction::Forward, &stream).await;
    // A change is held while it is not known which side is the home.
    pair.n.run("update cleave.owner set home = 'n', pending_home = 'm', pending_epoch = epoch + 1").await;
    let before = stream.now().position.unwrap();
    pair.m.run("insert into film values (1, 'held')").await;
    stream.until("held", |status| status.state == FollowState::Held).await;
    pair.m.run("create table other (id int); insert into other select generate_series(1, 10000)").await;
    // The server tells how far it has sent whenever it is asked to: a look at the slot follows every status.
    let confirmed = format!(
        "select count(*) from pg_replication_slots where slot_name = '{}' and confirmed_flush_lsn <= '{before}'",
        pair.slot(Direction::Forward)
    );
    for _ in 0..5 {
        pair.m.run("select pg_logical_emit_message(true, 'somebody', 'else')").await;
        assert_eq!(pair.m.count(&confirmed).await, 1);
        assert_eq!(stream.now().position, Some(before));
    }
    pair.n.run("update cleave.owner set home = 'm', pending_home = null, pending_epoch = null").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.n.run("create table other (id int); insert into other select generate_series(1, 10000)").await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn transactions_that_overlap_arrive_wherever_the_stream_was_stopped(source: Version, target: Version) {
    let pair = Pair::new(source, target, "overlap", FILMS).await;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    for round in 0..4 {
        // The one that begins first commits last, and a stream ends in between.
        let early = cleave_sandbox::connect(&pair.m.url).await.unwrap();
        early.batch_execute(&format!("begin; insert into film values ({round}, 'early')")).await.unwrap();
        let stream = Stream::new(Follow::start(spec.clone()));
        pair.m.run(&format!("insert into film values ({}, 'late')", 100 + round)).await;
        pair.drain(Direction::Forward, &stream).await;
        if round % 2 == 0 {
            drop(stream)
        } else {
            drop(stream.stop().await)
        }
        early
            .batch_execute(&format!("update film set price = 1 where id = {}; commit", 100 + round))
            .await
            .unwrap();
    }
    let stream = Stream::new(Follow::start(spec));
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(pair.n.count("select count(*) from film where price = 1 or title = 'early'").await, 8);
    stream.stop().await;
}

async fn transactions_that_touch_in_the_log_arrive_each_once(source: Version, target: Version) {
    let mut pair = Pair::new(source, target, "touch", FILMS).await;
    pair.options.batch_transactions_max = 1;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    for round in 0..6 {
        let stream = Stream::new(Follow::start(spec.clone()));
        // Nothing else writes: each transaction starts where the last ended. A COPY puts many rows under one position.
        let mut copy = copy_in(&pair.m.client, "copy film from stdin", "filling").await.unwrap();
        let rows: String = (1..=90).map(|i| format!("{}\tone record\t0\n", round * 100 + i)).collect();
        copy.feed(rows.into()).await.unwrap();
        copy.finish().await.unwrap();
        pair.m.run(&format!("update film set price = price + 1 where id / 100 = {round}")).await;
        pair.m.run(&format!("delete from film where id = {}", round * 100 + 7)).await;
        stream.until("applying", |status| status.counters.transactions > round % 3).await;
        drop(stream);
    }
    let stream = Stream::new(Follow::start(spec));
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    // Applied twice, an insert would have failed on its key.
    assert_eq!(stream.now().state, FollowState::Following);
    stream.stop().await;
}

async fn messages_inside_a_transaction_do_not_part_it(source: Version, target: Version) {
    let pair = Pair::new(source, target, "messages", FILMS).await;
    let stream = pair.forward().await;
    pair.drain(Direction::Forward, &stream).await;
    let before = stream.now().counters.transactions;
    pair.m
        .run(
            "begin; select pg_logical_emit_message(false, 'somebody', 'first'); insert into film values (1);
             select pg_logical_emit_message(true, 'somebody', 'else'); insert into film values (2);
             select pg_logical_emit_message(false, 'somebody', 'at once'); savepoint s; insert into film values (3);
             select pg_logical_emit_message(true, 'cleave.heartbeat', 'x'); rollback to s; insert into film values (4);
             commit",
        )
        .await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(pair.n.count("select count(distinct xmin::text) from film").await, 1);
    assert_eq!(stream.now().counters.transactions, before + 2);
    stream.stop().await;
}

async fn transactions_that_wait_share_commits(source: Version, target: Version) {
    let pair = Pair::new(source, target, "share", FILMS).await;
    let start = pair.copied().await;
    pair.m
        .run("do $$ begin for i in 1..3000 loop insert into film values (i); commit; end loop; end $$")
        .await;
    let end = pair.m.text("select pg_current_wal_lsn()::text").await;
    // They wait, as the first cannot be written. What other tests write may make it a backlog that is read in slices.
    let other = cleave_sandbox::connect(&pair.n.url).await.unwrap();
    other.batch_execute("begin; lock table film").await.unwrap();
    let stream = Stream::new(Follow::start(pair.follow_spec(Direction::Forward, start).await));
    let sent = format!(
        "select count(*) from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid
         where s.slot_name = '{}' and r.sent_lsn >= '{end}'
         union all
         select count(*) from pg_replication_slots
         where slot_name like 'cleave_catch_up_%' and database = current_database() and confirmed_flush_lsn >= '{end}'
         order by 1 desc limit 1",
        pair.slot(Direction::Forward)
    );
    pair.m.until(&sent).await;
    other.batch_execute("rollback").await.unwrap();
    pair.drain(Direction::Forward, &stream).await;
    let counters = stream.now().counters;
    assert!(counters.transactions > 3000 && counters.batches < 100, "{counters:?}");
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_change_that_was_refused_arrives_once_its_cause_is_gone(source: Version, target: Version) {
    let pair = Pair::new(source, target, "cured", FILMS).await;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    pair.n.run("alter table film add constraint poison check (id <> 500)").await;
    pair.m.run("insert into film select i, 'x' from generate_series(1, 400) i").await;
    pair.m.run("insert into film select i, 'x' from generate_series(401, 900) i").await;
    pair.m.run("update film set price = 1").await;
    let stream = Stream::new(Follow::start(spec.clone()));
    assert_eq!(stream.failure().await.code(), "C0509");
    let last = stream.stop().await;
    assert_eq!(last.state, FollowState::Failed);
    // What was refused is still to come, and the slot still has it.
    assert_eq!(pair.n.count("select count(*) from film where id > 400").await, 0);
    pair.n.run("alter table film drop constraint poison").await;
    let stream = Stream::new(Follow::start(spec));
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}
