//! Columns that change on the source change on the target, in the order of the rows; what cannot be told is refused.

use crate::pair::{Pair, Stream, on_one_pair, on_pairs};
use cleave_model::Direction;
use cleave_sandbox::Version;
use std::time::Duration;

on_pairs!(
    columns_that_come_and_go_do_so_between_the_rows,
    columns_change_inside_a_transaction,
    columns_that_widen_take_the_values_they_took,
    changes_without_rows_arrive_too,
    partitions_change_with_their_table,
);

on_one_pair!(
    a_backlog_of_changes_is_sorted_out,
    a_change_of_columns_is_made_once_wherever_the_stream_was_dropped,
    what_cannot_be_told_is_refused_by_name,
    a_column_that_was_dropped_and_added_again_is_noticed,
);

const FILMS: &str = "
    create table film (id int primary key, title varchar(20), price numeric(6, 2), note text);
    insert into film values (1, 'one', 1, 'n'), (2, 'two', 2, null);
    create table actor (id int primary key, name text);";

async fn pair(source: Version, target: Version, hint: &str, schema: &str) -> Pair {
    let mut pair = Pair::new(source, target, hint, schema).await;
    // The copy brings the rows.
    for (_, name) in pair.n.tables().await {
        pair.n.run(&format!("truncate {name}")).await;
    }
    pair.follows_columns = true;
    pair.options.heartbeat_interval = Duration::from_millis(50);
    pair
}

/// Runs each on the source, and lets the stream come to its end.
async fn follow(pair: &Pair, stream: &Stream, sql: &[&str]) {
    for sql in sql {
        pair.m.run(sql).await;
    }
    pair.drain(Direction::Forward, stream).await;
    pair.assert_same().await;
}

async fn columns_that_come_and_go_do_so_between_the_rows(source: Version, target: Version) {
    let pair = pair(source, target, "come_and_go", FILMS).await;
    let stream = pair.forward().await;
    for sql in [
        &[
            "insert into film values (3, 'three', 3, 'x')",
            "alter table film add rating int",
            "insert into film values (4, 'four', 4, 'x', 5)",
        ][..],
        &["alter table film add stars int not null default 3", "update film set note = 'y' where id = 1"],
        &[
            "insert into film values (5, 'five', 5, 'x', 5, 6)",
            "alter table film alter stars drop default",
            "update film set stars = 7 where id = 2",
        ],
        &["alter table film drop note", "delete from film where id = 3"],
        &["alter table film rename title to name", "update film set name = 'uno' where id = 1"],
        &[
            "alter table film rename id to film_id",
            "update film set name = 'dos' where film_id = 2",
            "update film set film_id = 9 where film_id = 1",
        ],
        &[
            "alter table film add \"Weird \"\"Name\" text default 'it''s'",
            "insert into film (film_id, stars) values (6, 1)",
        ],
    ] {
        follow(&pair, &stream, sql).await;
    }
    assert!(stream.now().counters.reshaped >= 6, "{:?}", stream.now());
    let many = "insert into film (film_id, name, stars) select g, 'many', 1 from generate_series(100, 400) g";
    follow(&pair, &stream, &[many, "update film set rating = 1 where film_id >= 100"]).await;
    stream.stop().await;
}

async fn columns_change_inside_a_transaction(source: Version, target: Version) {
    let pair = pair(source, target, "inside", FILMS).await;
    let stream = pair.forward().await;
    let sql = "
        begin;
        insert into film select g, 'before', 1, 'x' from generate_series(10, 200) g;
        alter table film add rating int default 1;
        update film set rating = 2 where id < 100;
        alter table film drop note, rename rating to stars;
        insert into film select g, 'after', 1, 3 from generate_series(201, 400) g;
        commit";
    // One action per statement where renames are among them.
    let sql = sql
        .replace("drop note, rename rating to stars", "drop note; alter table film rename rating to stars");
    follow(&pair, &stream, &[&sql, "update film set title = 'later' where id = 10"]).await;
    stream.stop().await;
}

async fn columns_that_widen_take_the_values_they_took(source: Version, target: Version) {
    let schema = "
        create table wide (id int primary key, small smallint, single real, short varchar(4), amount numeric(6, 2),
                           at timestamp(0), bits bit varying(3));
        insert into wide values (1, 1, 0.1, 'abcd', 1234.56, '2026-01-01 10:00', '101');";
    let pair = pair(source, target, "widen", schema).await;
    let stream = pair.forward().await;
    for sql in [
        &[
            "alter table wide alter small type int",
            "insert into wide values (2, 70000, 0.1, 'x', 1, now(), '1')",
        ][..],
        &[
            "alter table wide alter small type bigint",
            "insert into wide values (3, 7000000000, 0.1, 'x', 1, now(), '1')",
        ],
        &[
            "alter table wide alter single type double precision",
            "insert into wide values (4, 1, 0.1, 'x', 1, now(), '1')",
        ],
        &[
            "alter table wide alter short type varchar(8)",
            "insert into wide values (5, 1, 0.1, 'abcdefgh', 1, now(), '1')",
        ],
        &[
            "alter table wide alter short type text",
            "insert into wide values (6, 1, 0.1, repeat('x', 100), 1, now(), '1')",
        ],
        &[
            "alter table wide alter amount type numeric(10, 2)",
            "insert into wide values (7, 1, 1, 'x', 12345678.90, now(), '1')",
        ],
        &[
            "alter table wide alter at type timestamp",
            "insert into wide values (8, 1, 1, 'x', 1, '2026-01-01 10:00:00.123456', '1')",
        ],
        &[
            "alter table wide alter bits type bit varying",
            "insert into wide values (9, 1, 1, 'x', 1, now(), '10101')",
        ],
        &[
            "alter table wide alter id type bigint",
            "update wide set short = 'y' where id = 1",
            "update wide set id = 1 << 20 where id = 2",
        ],
    ] {
        follow(&pair, &stream, sql).await;
    }
    stream.stop().await;
}

async fn a_backlog_of_changes_is_sorted_out(source: Version, target: Version) {
    let pair = pair(source, target, "sorted_out", FILMS).await;
    let start = pair.copied().await;
    for sql in [
        "insert into film values (3, 'three', 3, 'x')",
        "alter table film rename price to cost",
        "insert into film values (4, 'four', 4, 'x')",
        "alter table film rename cost to amount",
        "insert into film values (5, 'five', 5, 'x')",
        "alter table film add rating int default 4",
        "insert into film values (6, 'six', 6, 'x')",
        "alter table film drop note",
        "insert into film values (7, 'seven', 7)",
        "alter table film add stars int",
        "alter table film alter title type varchar(40)",
        "update film set title = repeat('t', 40), stars = 1 where id < 4",
    ] {
        pair.m.run(sql).await;
    }
    let spec = pair.follow_spec(Direction::Forward, start).await;
    let stream = Stream::new(cleave_stream::Follow::start(spec));
    follow(&pair, &stream, &["insert into actor values (1, 'a')"]).await;
    stream.stop().await;
}

async fn changes_without_rows_arrive_too(source: Version, target: Version) {
    let pair = pair(source, target, "no_rows", FILMS).await;
    let stream = pair.forward().await;
    pair.m.run("alter table film add rating int default 7; alter table film drop note; alter table film rename title to name").await;
    stream.until("changed", |status| status.counters.reshaped > 0).await;
    pair.assert_same().await;
    let columns = "select count(*) from pg_attribute where attrelid = 'film'::regclass and attnum > 0 and not attisdropped
                   and attname in ('id', 'name', 'price', 'rating')";
    assert_eq!(pair.n.count(columns).await, 4);
    follow(&pair, &stream, &["insert into film values (3, 'three', 3, 1)"]).await;
    stream.stop().await;
}

async fn partitions_change_with_their_table(source: Version, target: Version) {
    let schema = "
        create table rental (id int, at int, note text, primary key (id, at)) partition by range (at);
        create table rental_1 partition of rental for values from (0) to (10);
        create table gone (x int, id int not null, at int not null, note text);
        alter table gone drop x;
        alter table rental attach partition gone for values from (10) to (20);";
    let pair = pair(source, target, "partitions_change", schema).await;
    pair.m.run("insert into rental values (1, 1, 'a'), (2, 11, 'b')").await;
    let stream = pair.forward().await;
    for sql in [
        &["alter table rental add rating int default 3", "insert into rental values (3, 2, 'c', 1)"][..],
        &[
            "insert into rental values (4, 12, 'd', 1)",
            "alter table rental rename note to remark",
            "update rental set remark = 'z' where id = 2",
        ],
        &[
            "update rental set remark = 'y' where id = 1",
            "alter table rental drop rating",
            "insert into rental values (5, 3, 'e'), (6, 13, 'f')",
        ],
    ] {
        follow(&pair, &stream, sql).await;
    }
    stream.stop().await;
}

async fn a_change_of_columns_is_made_once_wherever_the_stream_was_dropped(source: Version, target: Version) {
    let pair = pair(source, target, "made_once", FILMS).await;
    let start = pair.copied().await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    for round in 0..6_u64 {
        let stream = Stream::new(cleave_stream::Follow::start(spec.clone()));
        pair.m
            .run(&format!(
                "insert into film (id, title) values ({0}, 'x'); alter table film add c{0} int default {0};
                 insert into film (id, title) values ({1}, 'y'); update film set c{0} = 1 where id = 1",
                100 + 2 * round,
                101 + 2 * round
            ))
            .await;
        // Dropped somewhere on the way, later each time; the last one comes to the end.
        tokio::time::timeout(Duration::from_millis(15 * round), pair.drain(Direction::Forward, &stream))
            .await
            .ok();
        drop(stream);
    }
    let stream = Stream::new(cleave_stream::Follow::start(spec));
    follow(&pair, &stream, &["insert into film (id) values (999)"]).await;
    stream.stop().await;
}

async fn what_cannot_be_told_is_refused_by_name(source: Version, target: Version) {
    let film = "create table film (id int primary key, title text, price int);";
    for (hint, sql, words) in [
        ("volatile", "alter table film add stamp double precision default random()", "stamp"),
        ("generated", "alter table film add twice int generated always as (price * 2) stored", "twice"),
        ("numbered", "alter table film add number int generated by default as identity", "number"),
        ("serial", "alter table film add number serial", "number"),
        ("narrow", "alter table film alter title type varchar(10)", "title"),
        ("other", "alter table film alter price type text", "price"),
        ("own_type", "create type mood as enum ('ok'); alter table film add mood mood", "mood"),
        (
            "key",
            "alter table film drop constraint film_pkey; alter table film add primary key (id, title)",
            "title",
        ),
    ] {
        let pair = pair(source, target, &format!("told_{hint}"), film).await;
        pair.m.run("insert into film values (1, 'one', 1)").await;
        let stream = pair.forward().await;
        pair.m.run(sql).await;
        pair.m.run("update film set title = 'uno' where id = 1").await;
        if hint == "key" {
            // The key that rows are told apart by is part of the new one.
            pair.m.run("insert into film values (2, 'two', 2)").await;
            pair.drain(Direction::Forward, &stream).await;
            pair.assert_same().await;
            stream.stop().await;
            continue;
        }
        let error = stream.failure().await;
        assert_eq!(error.code(), "C0506", "{hint}: {error:?}");
        assert!(error.to_string().contains(words), "{hint}: {error}");
        stream.stop().await;
        let columns = "select count(*) from pg_attribute where attrelid = 'film'::regclass and attnum > 0 and not attisdropped";
        assert_eq!(pair.n.count(columns).await, 3, "{hint}");
    }
}

async fn a_column_that_was_dropped_and_added_again_is_noticed(source: Version, target: Version) {
    for follows in [false, true] {
        let mut pair = pair(source, target, "again", FILMS).await;
        pair.follows_columns = follows;
        let stream = pair.forward().await;
        pair.drain(Direction::Forward, &stream).await;
        pair.m.run("alter table film drop note; alter table film add note text").await;
        let error = stream.failure().await;
        assert_eq!(error.code(), "C0506", "{error:?}");
        assert!(error.to_string().contains("note was dropped and added again"), "{error}");
        stream.stop().await;
    }
}
