//! What cannot be applied stops the stream, with a problem that names the object and no value.

use crate::pair::{Pair, on_pairs};
use cleave_model::Direction;
use cleave_sandbox::Version;
use cleave_stream::{Follow, StreamError};
use std::sync::Arc;

on_pairs!(
    a_column_that_was_added_is_named,
    a_column_that_was_dropped_is_named,
    a_columns_new_type_is_noticed_also_after_a_reconnect,
    a_table_that_nobody_knows_stops_the_stream,
    a_row_that_is_not_there_stops_the_stream,
    a_row_that_cannot_be_written_stops_the_stream,
);

const FILMS: &str = "
    create table film (id int primary key, title varchar(20), price numeric);
    create table actor (id int primary key, name text);";

/// Runs SQL on the source while the stream follows, and returns the problem.
async fn problem(pair: &Pair, sql: &[&str]) -> Arc<StreamError> {
    pair.m.run("insert into film values (1, 'one', 1), (2, 'two', 2)").await;
    let stream = pair.forward().await;
    pair.drain(Direction::Forward, &stream).await;
    for sql in sql {
        pair.m.run(sql).await;
    }
    let error = stream.failure().await;
    stream.stop().await;
    error
}

fn check(error: &StreamError, code: &str, words: &[&str]) {
    assert_eq!(error.code(), code, "{error:?}");
    for word in words {
        assert!(error.to_string().contains(word), "{error}");
    }
    let whole = format!(
        "{error:?} {}",
        std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
    );
    assert!(!whole.contains("secret"), "{whole}");
}

async fn a_column_that_was_added_is_named(source: Version, target: Version) {
    let pair = Pair::new(source, target, "added", FILMS).await;
    let sql = ["alter table film add rating text", "insert into film values (3, 'secret', 3, 'secret')"];
    check(&*problem(&pair, &sql).await, "C0506", &["public.film", "rating"]);
    assert_eq!(pair.n.count("select count(*) from film").await, 2);
}

async fn a_column_that_was_dropped_is_named(source: Version, target: Version) {
    let pair = Pair::new(source, target, "dropped", FILMS).await;
    let sql = ["alter table film drop price", "insert into film values (3, 'secret')"];
    check(&*problem(&pair, &sql).await, "C0506", &["public.film", "price"]);
}

async fn a_columns_new_type_is_noticed_also_after_a_reconnect(source: Version, target: Version) {
    let pair = Pair::new(source, target, "retyped", FILMS).await;
    let end_stream =
        "select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null
                      and database = current_database()";
    let sql = [
        "update film set price = 5",
        "alter table film alter title type varchar(50)",
        end_stream,
        "insert into film values (3, 'secret')",
    ];
    check(&*problem(&pair, &sql).await, "C0506", &["public.film", "title"]);
}

async fn a_table_that_nobody_knows_stops_the_stream(source: Version, target: Version) {
    let pair = Pair::new(source, target, "unknown", FILMS).await;
    let start = pair.copied().await;
    let mut spec = pair.follow_spec(Direction::Forward, start).await;
    let actor = spec.routes.remove(0);
    let stream = crate::pair::Stream::new(Follow::start(spec.clone()));
    pair.m.run("insert into actor values (1, 'secret')").await;
    check(&*stream.failure().await, "C0507", &["public.actor"]);
    stream.stop().await;
    // Left to others, it is no concern of this stream.
    spec.left_out.insert(actor.source_oid);
    let stream = crate::pair::Stream::new(Follow::start(spec));
    pair.m.run("insert into film values (1, 'one', 1)").await;
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(pair.n.count("select count(*) from film").await, 1);
    stream.stop().await;
}

async fn a_row_that_is_not_there_stops_the_stream(source: Version, target: Version) {
    let pair = Pair::new(source, target, "missing", FILMS).await;
    pair.m.run("insert into film values (77, 'secret', 7)").await;
    let start = pair.copied().await;
    pair.n.run("delete from film").await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    let stream = crate::pair::Stream::new(Follow::start(spec));
    pair.m.run("begin; insert into actor values (1, 'a'); update film set price = 8; commit").await;
    let error = stream.failure().await;
    check(&error, "C0508", &["public.film", "update"]);
    assert!(!error.to_string().contains("77"), "{error}");
    // Nothing of the transaction is there.
    assert_eq!(pair.n.count("select count(*) from actor").await, 0);
    stream.stop().await;
}

async fn a_row_that_cannot_be_written_stops_the_stream(source: Version, target: Version) {
    let pair = Pair::new(source, target, "refused", FILMS).await;
    pair.n.run("alter table film add constraint cheap check (title <> 'secret')").await;
    let error = problem(&pair, &["insert into film values (3, 'secret', 300)"]).await;
    check(&error, "C0509", &["public.film", "insert"]);
    let source = std::error::Error::source(&*error).unwrap().to_string();
    assert!(source.contains("cheap"), "{source}");
}
