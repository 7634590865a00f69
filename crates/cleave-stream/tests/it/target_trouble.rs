//! A target that cannot be written for a while: the stream waits for it, says why, and goes on where it was.

use crate::pair::{Pair, on_pairs};
use cleave_model::Direction;
use cleave_sandbox::Version;
use cleave_stream::FollowState;

on_pairs!(a_target_whose_disk_is_full_is_waited_for, a_target_that_takes_no_writes_is_waited_for);

const FILMS: &str = "create table film (id int primary key, title text);";

async fn a_target_whose_disk_is_full_is_waited_for(source: Version, target: Version) {
    let pair = Pair::new(source, target, "full_disk", FILMS).await;
    let stream = pair.forward().await;
    // What the server says when a file cannot grow (manual, appendix A, class 53).
    pair.n
        .run(
            "create function full_disk() returns trigger language plpgsql as $$
             begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
             create trigger full_disk before insert on film for each statement execute function full_disk();
             alter table film enable always trigger full_disk",
        )
        .await;
    // Of so many the rows are written as a set, of one it is written by itself.
    for rows in ["generate_series(1, 200) i", "generate_series(201, 201) i"] {
        pair.m.run(&format!("insert into film select i, 'x' from {rows}")).await;
        let before = stream.now().counters.reconnects;
        let waiting = |status: &cleave_stream::FollowStatus| {
            status.state == FollowState::Retrying && status.counters.reconnects > before + 1
        };
        let status = stream.until("waiting for room", waiting).await;
        let said = status.last_error.unwrap().to_string();
        assert!(said.contains("film"), "{said}");
        pair.n.run("alter table film disable trigger full_disk").await;
        pair.drain(Direction::Forward, &stream).await;
        pair.assert_same().await;
        pair.n.run("alter table film enable always trigger full_disk").await;
    }
    stream.stop().await;
}

async fn a_target_that_takes_no_writes_is_waited_for(source: Version, target: Version) {
    let pair = Pair::new(source, target, "read_only", FILMS).await;
    let stream = pair.forward().await;
    pair.m.run("insert into film values (1, 'before')").await;
    pair.drain(Direction::Forward, &stream).await;
    let database: String = pair.n.client.query_one("select current_database()", &[]).await.unwrap().get(0);
    let set = |value| format!("alter database \"{database}\" set default_transaction_read_only = {value}");
    let end_sessions = "select pg_terminate_backend(pid) from pg_stat_activity
                        where datname = current_database() and application_name like 'cleave follow%'";
    pair.n.run(&set("on")).await;
    pair.n.run(end_sessions).await;
    pair.m.run("insert into film values (2, 'meanwhile')").await;
    let refused = |status: &cleave_stream::FollowStatus| {
        let said = status.last_error.as_ref().map(ToString::to_string);
        status.state == FollowState::Retrying && said.is_some_and(|said| !said.contains("connection"))
    };
    stream.until("waiting for a target that takes writes", refused).await;
    pair.n.run(&set("off")).await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}
