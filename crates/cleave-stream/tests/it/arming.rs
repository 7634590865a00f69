//! Which side may write: arming, the switch's message, strays, and two directions that do not answer each other.

use crate::pair::{Pair, Place, on_pairs};
use cleave_journal::{clear_pending, owner, set_pending};
use cleave_model::{Direction, Epoch};
use cleave_sandbox::Version;
use cleave_stream::FollowState;

on_pairs!(
    a_write_to_a_copy_stops_the_stream,
    a_change_is_held_while_a_switch_is_pending,
    the_home_goes_there_and_back_in_stream_order,
    two_directions_do_not_answer_each_other,
    the_way_back_finds_tables_that_were_moved_away,
);

const FILMS: &str = "create table film (id int primary key, title text);";

impl Pair {
    /// What the deciding transaction does on M.
    async fn switch(&self, home: &Place, epoch: i64, names: &str) {
        self.m.run(&format!("begin; {names}; {}; commit", self.switch_message(&home.name, epoch))).await;
    }
}

async fn a_write_to_a_copy_stops_the_stream(source: Version, target: Version) {
    let pair = Pair::new(source, target, "stray", FILMS).await;
    pair.m.run("insert into film values (1, 'one')").await;
    let forward = pair.forward().await;
    let back = pair.back().await;
    pair.drain(Direction::Back, &back).await;
    assert_eq!(back.now().armed, Some(false));
    pair.n.run("insert into film values (2, 'stray')").await;
    let error = back.failure().await;
    assert_eq!(error.code(), "C0505");
    assert!(error.to_string().contains("public.film"), "{error}");
    assert!(!error.to_string().contains("stray'"), "{error}");
    assert_eq!(pair.m.count("select count(*) from film").await, 1);
    forward.stop().await;
    back.stop().await;
}

async fn a_change_is_held_while_a_switch_is_pending(source: Version, target: Version) {
    let pair = Pair::new(source, target, "held", FILMS).await;
    let forward = pair.forward().await;
    let back = pair.back().await;
    set_pending(&pair.m.client, &pair.service, &pair.n.name, Epoch(2)).await.unwrap();
    pair.n.run("insert into film values (1, 'early')").await;
    back.until("held", |status| status.state == FollowState::Held).await;
    assert_eq!(pair.m.count("select count(*) from film").await, 0);
    pair.switch(&pair.n, 2, "select 1").await;
    clear_pending(&pair.m.client, &pair.service).await.unwrap();
    pair.drain(Direction::Back, &back).await;
    assert_eq!(pair.m.rows("film").await, ["(1,early)"]);
    // Stopping does not wait for a decision.
    set_pending(&pair.m.client, &pair.service, &pair.m.name, Epoch(3)).await.unwrap();
    pair.m.run("update cleave.owner set home = 'm'").await;
    pair.n.run("insert into film values (2, 'held for ever')").await;
    back.until("held", |status| status.state == FollowState::Held).await;
    assert_eq!(back.stop().await.state, FollowState::Stopped);
    forward.stop().await;
}

async fn the_home_goes_there_and_back_in_stream_order(source: Version, target: Version) {
    let pair = Pair::new(source, target, "switch", FILMS).await;
    let forward = pair.forward().await;
    let back = pair.back().await;
    for round in 0..3 {
        let (there, and_back) = (2 + 2 * round, 3 + 2 * round);
        pair.m.run(&format!("insert into film values ({round}, 'at M'), (100 + {round}, 'at M')")).await;
        pair.switch(&pair.n, there, "select 1").await;
        // The switch and everything before it is applied when the marker after it is.
        pair.drain(Direction::Forward, &forward).await;
        let known = owner(&pair.n.client, &pair.service).await.unwrap().unwrap();
        assert_eq!((known.home.as_str(), known.epoch), ("n", Epoch(there)));
        assert_eq!(forward.now().armed, Some(false));
        pair.n.run(&format!("update film set title = 'at N' where id = {round}")).await;
        pair.drain(Direction::Back, &back).await;
        pair.assert_same().await;
        pair.switch(&pair.m, and_back, "select 1").await;
        pair.drain(Direction::Forward, &forward).await;
        let known = owner(&pair.n.client, &pair.service).await.unwrap().unwrap();
        assert_eq!((known.home.as_str(), known.epoch), ("m", Epoch(and_back)));
    }
    pair.m.run("delete from film where id >= 100").await;
    pair.drain(Direction::Forward, &forward).await;
    pair.assert_same().await;
    assert_eq!(pair.n.count("select count(*) from film where title = 'at N'").await, 3);
    forward.stop().await;
    back.stop().await;
}

async fn two_directions_do_not_answer_each_other(source: Version, target: Version) {
    let pair = Pair::new(source, target, "loop", FILMS).await;
    pair.m.run("insert into film select i, 'x' from generate_series(1, 10) i").await;
    let forward = pair.forward().await;
    let back = pair.back().await;
    for _ in 0..5 {
        pair.m.run("update film set title = title || 'y'").await;
        pair.drain(Direction::Forward, &forward).await;
    }
    pair.drain(Direction::Back, &back).await;
    // What the forward stream wrote on N, and what the copy wrote before, is no change to the way back.
    assert_eq!(back.now().counters.rows, 0);
    assert_eq!(forward.now().counters.rows, 50);
    let stored = back.now().counters.batches;
    assert!(stored <= 3, "the way back stored {stored} positions for one marker");
    pair.assert_same().await;
    forward.stop().await;
    back.stop().await;
}

async fn the_way_back_finds_tables_that_were_moved_away(source: Version, target: Version) {
    let pair = Pair::new(source, target, "renamed", FILMS).await;
    pair.m.run("create schema films_copy").await;
    let forward = pair.forward().await;
    let back = pair.back().await;
    let away =
        "alter table film set schema films_copy; create table public.film (id int primary key, title text)";
    pair.switch(&pair.n, 2, away).await;
    pair.drain(Direction::Forward, &forward).await;
    pair.n.run("insert into film values (1, 'at N')").await;
    pair.drain(Direction::Back, &back).await;
    assert_eq!(pair.m.rows("films_copy.film").await, ["(1,\"at N\")"]);
    // Back home under the old name: statements prepared for the copy's name must not be used again.
    let home = "drop table public.film; alter table films_copy.film set schema public";
    pair.switch(&pair.m, 3, home).await;
    pair.drain(Direction::Forward, &forward).await;
    let away =
        "alter table film set schema films_copy; create table public.film (id int primary key, title text)";
    pair.switch(&pair.n, 4, away).await;
    pair.drain(Direction::Forward, &forward).await;
    pair.n.run("insert into film values (2, 'again'); update film set title = 'later' where id = 1").await;
    pair.drain(Direction::Back, &back).await;
    assert_eq!(pair.m.rows("films_copy.film").await, ["(1,later)", "(2,again)"]);
    assert_eq!(pair.m.count("select count(*) from public.film").await, 0);
    forward.stop().await;
    back.stop().await;
}
