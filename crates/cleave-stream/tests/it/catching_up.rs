//! A backlog that is read in slices, and the walsender after it: nothing is lost or doubled at the seams.

use crate::pair::{Pair, Stream, on_pairs};
use cleave_model::Direction;
use cleave_sandbox::Version;
use cleave_stream::Follow;
use std::time::Duration;

on_pairs!(
    a_backlog_arrives_with_what_is_written_meanwhile,
    a_backlog_is_taken_up_wherever_a_stream_was_dropped,
    a_backlog_is_taken_up_when_sessions_die,
    a_walsender_begins_behind_a_backlog_that_was_read_in_slices,
    a_slot_is_moved_no_further_than_the_target_has_stored,
    values_come_in_binary_forms_where_every_type_allows,
    a_value_of_an_earlier_type_is_not_taken_for_one_of_the_present,
);

const FILMS: &str = "
    create table film (id int primary key, title text, version int not null default 0);
    create table entry (id bigint primary key, film int, at timestamptz default now());";

/// About 20 MB of log in transactions of all sizes; some span many others.
async fn write_backlog(pair: &Pair) {
    pair.m.run(SMALL_TRANSACTIONS).await;
    pair.m.run("insert into film select i, 'many' from generate_series(10001, 60000) i").await;
    pair.m.run("update film set version = -1 where id > 55000").await;
}

const SMALL_TRANSACTIONS: &str = "
    do $$ begin
        for i in 1..3000 loop
            insert into film values (i, repeat('x', 100 + i % 2000));
            insert into entry values (i, i), (-i, i);
            if i % 7 = 0 then commit; end if;
            if i % 50 = 0 then update film set version = version + 1 where id > i - 50; commit; end if;
            if i % 90 = 0 then delete from entry where id between i - 20 and i; commit; end if;
        end loop;
    end $$";

async fn a_backlog_arrives_with_what_is_written_meanwhile(source: Version, target: Version) {
    let pair = Pair::new(source, target, "backlog", FILMS).await;
    let start = pair.copied().await;
    // Open over all of the backlog, committed only behind it: its first change lies far before its commit.
    let spanning = cleave_sandbox::connect(&pair.m.url).await.unwrap();
    spanning.batch_execute("begin; insert into film values (-1, 'spanning')").await.unwrap();
    write_backlog(&pair).await;
    spanning.batch_execute("update film set version = 7 where id = -1; commit").await.unwrap();
    let stream = Stream::new(Follow::start(pair.follow_spec(Direction::Forward, start).await));
    for i in 0..200 {
        pair.m.run(&format!("insert into entry values ({}, {i})", 1_000_000 + i)).await;
    }
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    let status = stream.now();
    assert_eq!((status.counters.reconnects, status.state), (0, cleave_stream::FollowState::Following));
    // The temporary slot is gone, the stream's own is confirmed.
    let left =
        "select count(*) from pg_replication_slots where temporary and slot_name like 'cleave_catch_up_%'
                and database = current_database()";
    assert_eq!(pair.m.count(left).await, 0);
    let last = stream.stop().await;
    let confirmed = format!(
        "select count(*) from pg_replication_slots where slot_name = '{}' and confirmed_flush_lsn = '{}'",
        pair.slot(Direction::Forward),
        last.position.unwrap()
    );
    assert_eq!(pair.m.count(&confirmed).await, 1);
}

async fn a_backlog_is_taken_up_wherever_a_stream_was_dropped(source: Version, target: Version) {
    let mut pair = Pair::new(source, target, "dropped", FILMS).await;
    // Small target transactions, so that there are many places to stop at.
    pair.options.batch_transactions_max = 3;
    let start = pair.copied().await;
    write_backlog(&pair).await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    for round in 0..8 {
        let stream = Stream::new(Follow::start(spec.clone()));
        stream.until("applying", |status| status.counters.batches > round * 3).await;
        if round % 2 == 0 { drop(stream) } else { drop(stream.stop().await) }
    }
    let stream = Stream::new(Follow::start(spec));
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_backlog_is_taken_up_when_sessions_die(source: Version, target: Version) {
    let mut pair = Pair::new(source, target, "dying", FILMS).await;
    pair.options.batch_transactions_max = 3;
    let start = pair.copied().await;
    write_backlog(&pair).await;
    let stream = Stream::new(Follow::start(pair.follow_spec(Direction::Forward, start).await));
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                where datname = current_database() and application_name like 'cleave follow %'";
    for round in 0..6u32 {
        let before = stream.now().counters.batches;
        stream.until("applying again", |status| status.counters.batches > before + 2).await;
        if round % 2 == 0 {
            pair.m.count(kill).await
        } else {
            pair.n.count(kill).await
        };
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..30))).await;
    }
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_walsender_begins_behind_a_backlog_that_was_read_in_slices(source: Version, target: Version) {
    let pair = Pair::new(source, target, "once", FILMS).await;
    let start = pair.copied().await;
    write_backlog(&pair).await;
    let behind_it: String = pair.m.text("select pg_current_wal_lsn()::text").await;
    // A transaction of another test on this server keeps the restart position at the last note before it began.
    pair.m
        .run("select pg_create_logical_replication_slot('note_' || pg_backend_pid(), 'pgoutput', true)")
        .await;
    pair.m.run("select pg_drop_replication_slot('note_' || pg_backend_pid())").await;
    let id = pair.m.text("select pg_current_xact_id()::text").await;
    let ended = "select count(*) from pg_current_snapshot() now where pg_snapshot_xmin(now) >";
    pair.m.until(&format!("{ended} '{id}'::xid8")).await;
    let stream = Stream::new(Follow::start(pair.follow_spec(Direction::Forward, start).await));
    let slot = pair.slot(Direction::Forward);
    // As soon as it reads, before it could have moved the slot itself.
    let reads = format!(
        "select count(*) from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid
                         where s.slot_name = '{slot}'"
    );
    pair.m.until(&reads).await;
    let moved = format!(
        "select count(*) from pg_replication_slots where slot_name = '{slot}'
                         and restart_lsn >= '{behind_it}'"
    );
    assert_eq!(pair.m.count(&moved).await, 1);
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_slot_is_moved_no_further_than_the_target_has_stored(source: Version, target: Version) {
    let mut pair = Pair::new(source, target, "stored", FILMS).await;
    pair.options.batch_transactions_max = 3;
    // The whole backlog is read while the target stands still.
    pair.options.memory_bytes = 256 << 20;
    let start = pair.copied().await;
    write_backlog(&pair).await;
    let behind_it: String = pair.m.text("select pg_current_wal_lsn()::text").await;
    let other = cleave_sandbox::connect(&pair.n.url).await.unwrap();
    other.batch_execute("begin; lock table entry").await.unwrap();
    let stream = Stream::new(Follow::start(pair.follow_spec(Direction::Forward, start).await));
    let read = format!(
        "select count(*) from pg_replication_slots where slot_name like 'cleave_catch_up_%'
                        and database = current_database() and confirmed_flush_lsn >= '{behind_it}'"
    );
    pair.m.until(&read).await;
    let confirmed = format!(
        "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = '{}'",
        pair.slot(Direction::Forward)
    );
    let stored = "select lsn::text from cleave.position";
    for _ in 0..20 {
        // What is stored only grows, so it is asked last.
        let confirmed: cleave_model::Lsn = pair.m.text(&confirmed).await.parse().unwrap();
        let stored: cleave_model::Lsn = pair.n.text(stored).await.parse().unwrap();
        assert!(confirmed <= stored, "{confirmed} {stored}");
        assert!(stored < behind_it.parse().unwrap());
    }
    other.batch_execute("rollback").await.unwrap();
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

const PLAIN: &str = "
    create type mood as enum ('sad', 'ok');
    create domain year as int check (value > 1900);
    create table plain (
      id uuid primary key, i2 int2, i4 int4 not null, i8 int8, tx text, js json, jb jsonb, by bytea, nu numeric(20,4),
      fl float8, re real, ts timestamptz, tt timetz, da date, bo boolean, it interval, ar int[], tr text[], vc varchar(9),
      bc char(4), ne inet, bi bit(3), rg int4range, na name, ch \"char\", mo mood, ye year);";

async fn values_come_in_binary_forms_where_every_type_allows(source: Version, target: Version) {
    let pair = Pair::new(source, target, "binary", PLAIN).await;
    let start = pair.copied().await;
    let insert = "insert into plain select gen_random_uuid(), i, i, -i, case when i % 3 > 0 then E'tab\\t\\\\N' end,
            '{\"a\" : 1.0}', '{\"b\": [1.50]}', '\\x00ff', i / 7.0, i / 7.0, 0.1, now(), '01:02:03+04', 'infinity',
            i % 2 = 0, '1 mon -3 days', array[i, null], array['a,\"b', null, ''], '', 'a', '10.0.0.0/8', B'101',
            '[1,9)', 'n', 'c', 'ok', 1990 from generate_series(1, 9000) i;";
    pair.m.run(insert).await;
    let stream = Stream::new(Follow::start(pair.follow_spec(Direction::Forward, start).await));
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    let binary = "select count(*) from pg_stat_activity where backend_type = 'walsender'
                  and datname = current_database() and query like 'START_REPLICATION%\"binary\" ''true''%'";
    assert_eq!(pair.m.count(binary).await, 1);
    pair.m
        .run(
            "update plain set tx = nullif(tx, ''), nu = -nu, ar = ar || 7, bc = 'abcd', mo = 'sad', ye = null
             where i4 % 2 = 1;
             update plain set i8 = 1 where i4 < 5; delete from plain where i4 % 3 = 0;
             insert into plain (id, i4) values (gen_random_uuid(), 0)",
        )
        .await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_value_of_an_earlier_type_is_not_taken_for_one_of_the_present(source: Version, target: Version) {
    let schema = "create table film (id int primary key, at bigint);";
    let pair = Pair::new(source, target, "retyped", schema).await;
    let start = pair.copied().await;
    pair.m.run("insert into film values (1, 1000)").await;
    let retype = "alter table film alter at type timestamptz using pg_catalog.to_timestamp(at)";
    pair.m.run(retype).await;
    pair.n.run(retype).await;
    let stream = Stream::new(Follow::start(pair.follow_spec(Direction::Forward, start).await));
    let error = stream.failure().await;
    assert_eq!(error.code(), "C0506", "{error}");
    assert_eq!(error.to_string(), "table public.film has changed: the type of column at was another");
    assert_eq!(pair.n.count("select count(*) from film").await, 0);
    stream.stop().await;
}
