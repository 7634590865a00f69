//! Pagila moves while applications write to films, to tables that stay, and to both at once.

use super::{CUTOVER, LIMIT, Move, ROLLBACK, source};
use cleave_engine::Verb;
use cleave_sandbox::{Endpoint, Kind, Oracle, Pace, Record, SqlScript, Verdict, Workload};

#[tokio::test]
async fn two_rounds_of_pagila_with_a_forwarding_bridge_lose_nothing_under_load() {
    two_rounds("two rounds of Pagila with a forwarding bridge", "forward").await;
}

#[tokio::test]
async fn two_rounds_of_pagila_with_a_bridge_that_reads_the_copy_lose_nothing_under_load() {
    two_rounds("two rounds of Pagila with a bridge that reads the copy", "local").await;
}

async fn two_rounds(test: &str, bridge: &str) {
    let Some(cinema) = source::cinema(test, bridge).await else { return };
    let mut films = Move::begin(cinema).await;
    let workload = writers(&films).await;
    films.execute(Verb::Apply(None)).await;
    for _ in 0..2 {
        films.execute(Verb::Verify).await;
        films.execute(CUTOVER).await;
        assert!(workload.wait_for(100, LIMIT).await, "writers stand still after a cutover");
        films.execute(ROLLBACK).await;
        assert!(workload.wait_for(100, LIMIT).await, "writers stand still after a rollback");
    }
    films.execute(Verb::Verify).await;
    films.execute(CUTOVER).await;
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    check(&films, &record).await;
    films.execute(Verb::Verify).await;
    films.engine.close().await;
}

/// Tokens stand in texts, as Pagila has no column for them.
async fn writers(films: &Move) -> Workload {
    let script = SqlScript::new()
        .transaction(
            4,
            Kind::new("film"),
            &["insert into film (title, description, language_id) values ('new', $token::text, $random(1,6)::int)"],
        )
        .and_then(|script| script.transaction(3, Kind::new("stay"), &[CUSTOMER]))
        .and_then(|script| {
            script.transaction(
                2,
                Kind::new("both"),
                &[
                    "with f as (
                         insert into film (title, description, language_id) values ('both', $token::text, 1)
                         returning film_id
                     ) insert into inventory (film_id, store_id) select film_id, 1 from f",
                    CUSTOMER,
                ],
            )
        })
        .and_then(|script| {
            script.transaction(
                3,
                Kind::new("change"),
                &[
                    "update film set rental_rate = $random(1,9)::numeric where film_id = $random(1,1000)::int",
                    "update film_actor set last_update = now() where film_id = $random(1,1000)::int",
                    "insert into inventory (film_id, store_id) values ($random(1,1000)::int, 2)",
                    CUSTOMER,
                ],
            )
        })
        .unwrap();
    let endpoint = Endpoint::new("monolith", films.cinema.m.url());
    let pace = Pace { connections: 4, rate: Some(100), ..Pace::default() };
    Workload::start(&endpoint, script, &pace).await.unwrap()
}

const CUSTOMER: &str = "insert into customer (store_id, first_name, last_name, email, address_id)
    values (1, 'new', 'new', $token::text, 1)";

/// Films are at the new home, customers have stayed.
async fn check(films: &Move, record: &Record) -> Verdict {
    let film = "select description::bigint from films.film where title in ('new', 'both')";
    let customer = "select email::bigint from customer where first_name = 'new'";
    let verdict = Oracle::new()
        .place("home", films.cinema.n.url(), film)
        .place("stay", films.cinema.m.url(), customer)
        .home(Kind::new("film"), &["home"])
        .home(Kind::new("stay"), &["stay"])
        .home(Kind::new("both"), &["home", "stay"])
        .home(Kind::new("change"), &["stay"])
        .check(&[record])
        .await
        .unwrap();
    let wrong = (verdict.lost, verdict.duplicated, verdict.risen, verdict.torn, verdict.refused);
    assert_eq!(wrong, (0, 0, 0, 0, 0), "{verdict:?}");
    verdict
}
