//! Pagila, a monolith that other people made: its films move from PostgreSQL 14 to 18 and back, and nobody who asks
//! the monolith can tell.

pub(crate) mod answers;
mod load;
pub(crate) mod source;

use self::answers::{answers, assert_all_are_asked, assert_same};
use crate::cinema::{Cinema, number, text};
use cleave_api::{CutoverOutcome, VerificationState};
use cleave_engine::{Answer, Engine, Verb};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const CUTOVER: Verb = Verb::Cutover { dry_run: false };
const ROLLBACK: Verb = Verb::Rollback { dry_run: false };
const LIMIT: Duration = Duration::from_secs(60);

/// A move with an engine that keeps its streams going.
struct Move {
    cinema: Cinema,
    engine: Engine,
    m: Client,
    n: Client,
}

impl Move {
    async fn begin(cinema: Cinema) -> Self {
        let (engine, _) = cinema.engine();
        let (m, n) = (cinema.on_m().await, cinema.on_n().await);
        Self { cinema, engine, m, n }
    }

    async fn execute(&mut self, verb: Verb) {
        match self.engine.execute(&self.cinema.films(), verb).await.unwrap() {
            Answer::Switch(report) => assert_eq!(report.outcome, CutoverOutcome::Switched, "{report:?}"),
            Answer::Verification(report) => {
                assert_eq!(report.state, VerificationState::Clean, "{report:?}");
            }
            Answer::State(_) => {}
            other @ Answer::Elsewhere(..) => panic!("{other:?}"),
        }
    }

    /// While the engine looks after its streams and work rows.
    async fn until(&mut self, client: &Client, condition: &str) {
        tokio::select! {
            ended = self.engine.run() => panic!("the engine ended: {ended:?}"),
            () = until(client, condition) => {}
        }
    }
}

/// Waits until a query is true; no row is not yet true.
async fn until(client: &Client, condition: &str) {
    let begun = Instant::now();
    while number(client, &format!("select coalesce(({condition})::int, 0)::bigint")).await == 0 {
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {condition}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_films_of_pagila_move_with_a_forwarding_bridge_and_the_monolith_answers_as_before() {
    journey("the films of Pagila with a forwarding bridge", "forward").await;
}

#[tokio::test]
async fn the_films_of_pagila_move_with_a_bridge_that_reads_the_copy_and_the_monolith_answers_as_before() {
    journey("the films of Pagila with a bridge that reads the copy", "local").await;
}

async fn journey(test: &str, bridge: &str) {
    let Some(cinema) = source::cinema(test, bridge).await else { return };
    let mut films = Move::begin(cinema).await;
    assert_all_are_asked(&films.m).await;
    let before = answers(&films.m).await;
    let balance = &before["select get_customer_balance(1, now())"];
    assert_eq!(*balance, Err("42883".to_owned()), "it fails in Pagila itself");
    let failing = before.values().filter(|answer| answer.is_err()).count();
    assert_eq!(failing, 4, "all else answers");
    assert!(before.values().flatten().all(|rows| !rows.is_empty()), "{before:.200?}");

    let mut last_id = 1000;
    films.execute(Verb::Apply(None)).await;
    assert_same(&answers(&films.m).await, &before, "following");
    for round in 1..=2 {
        films.execute(Verb::Verify).await;
        films.execute(CUTOVER).await;
        assert_same(&answers(&films.m).await, &before, &format!("after cutover {round}"));
        last_id = writes_live_at_the_home(&films.m, &films.n, last_id).await;
        references_hold(&mut films).await;
        assert_same(&answers(&films.m).await, &before, &format!("after writes in round {round}"));
        if round == 1 {
            films.execute(ROLLBACK).await;
            assert_same(&answers(&films.m).await, &before, "after the rollback");
            last_id = writes_live_in_the_monolith_again(&films.m, last_id).await;
        }
    }
    films.execute(Verb::Verify).await;
    films.execute(Verb::Complete).await;
    assert_same(&answers(&films.m).await, &before, "after complete");
    writes_live_at_the_home(&films.m, &films.n, last_id).await;
    assert_same(&answers(&films.m).await, &before, "after writes at the end");
    films.engine.close().await;
}

/// Writes through the old name and at the new home, and takes all of it back. Returns the last film's number.
async fn writes_live_at_the_home(m: &Client, n: &Client, last_id: i64) -> i64 {
    let insert =
        "insert into film (title, description, language_id) values ('Cleft Bridge', 'of oak and ice', 1)
                  returning film_id::bigint";
    let through = last_id_after(number(m, insert).await, last_id);
    let film = format!("film_id = {through}");
    assert_eq!(
        text(n, &format!("select concat_ws(' ', title, rental_duration, rental_rate, rating, fulltext) from films.film where {film}")).await,
        "Cleft Bridge 3 4.99 G 'bridg':2 'cleft':1 'ice':6 'oak':4",
        "defaults and the search vector are made at the home"
    );
    // A bridge that reads the copy finds a row to update once the copy has it.
    until(m, &format!("select count(*) = 1 from film where {film}")).await;
    m.batch_execute(&format!(
        "insert into film_actor (actor_id, film_id) values (1, {through});
         insert into film_category (film_id, category_id) values ({through}, 1);
         update film set title = 'Mended Bridge' where {film};
         update actor set first_name = 'PENNY' where actor_id = 1"
    ))
    .await
    .unwrap();
    let fresh = "last_update > now() - interval '1 hour'";
    assert_eq!(
        number(n, &format!("select count(*) from films.actor where first_name = 'PENNY' and {fresh}")).await,
        1
    );
    assert_eq!(
        number(n, &format!("select count(*) from films.film where {film} and fulltext @@ 'mend'::tsquery"))
            .await,
        1
    );
    until(
        m,
        &format!("select count(*) = 1 from films_copy.film where {film} and fulltext @@ 'mend'::tsquery"),
    )
    .await;
    until(m, "select first_name = 'PENNY' from films_copy.actor where actor_id = 1").await;
    until(m, &format!("select actors = 'PENNY GUINESS' from film_list where fid = {through}")).await;

    let insert = "insert into films.film (title, language_id) values ('Direct', 1) returning film_id::bigint";
    let direct = last_id_after(number(n, insert).await, through);
    n.batch_execute(&format!(
        "update films.film set description = 'a plain one' where film_id = {direct};
         update films.language set name = 'Anglais' where language_id = 1"
    ))
    .await
    .unwrap();
    until(
        m,
        &format!(
            "select fulltext @@ 'direct & plain'::tsquery from films_copy.film where film_id = {direct}"
        ),
    )
    .await;
    until(m, &format!("select count(*) = 1 from film where film_id = {direct} and {fresh}")).await;
    until(m, "select name = 'Anglais' from language where language_id = 1").await;
    let gone = m.query("select nextval('public.film_film_id_seq')", &[]).await.unwrap_err();
    assert_eq!(gone.code().unwrap().code(), "42P01", "as the plan says");

    m.batch_execute(&format!(
        "delete from film_actor where film_id = {through};
         delete from film_category where film_id = {through};
         update actor set first_name = 'PENELOPE' where actor_id = 1;
         update language set name = 'English' where language_id = 1;
         delete from film where film_id in ({through}, {direct})"
    ))
    .await
    .unwrap();
    until(m, &format!("select count(*) = 0 from films_copy.film where film_id > {last_id}")).await;
    direct
}

async fn writes_live_in_the_monolith_again(m: &Client, last_id: i64) -> i64 {
    let insert = "insert into film (title, language_id) values ('Back', 1) returning film_id::bigint";
    let id = last_id_after(number(m, insert).await, last_id);
    assert_eq!(number(m, "select nextval('public.film_film_id_seq')").await, id + 1);
    let dangling = m.batch_execute("insert into inventory (film_id, store_id) values (999999, 1)").await;
    assert_eq!(dangling.unwrap_err().code().unwrap().code(), "23503");
    let key = "select count(*) from pg_constraint where conname = 'inventory_film_id_fkey' and convalidated";
    assert_eq!(number(m, key).await, 1);
    m.batch_execute(&format!("delete from film where film_id = {id}")).await.unwrap();
    id + 1
}

/// Numbers go on after the last one, with gaps where a transaction was refused.
#[track_caller]
fn last_id_after(id: i64, last: i64) -> i64 {
    assert!(id > last && id < last + 10, "{id} after {last}");
    id
}

/// `inventory` stays and refers to `film`.
async fn references_hold(films: &mut Move) {
    let m = films.cinema.on_m().await;
    let dangling = m.batch_execute("insert into inventory (film_id, store_id) values (999999, 1)").await;
    assert_eq!(dangling.unwrap_err().code().unwrap().code(), "23503");
    let dangling = m.batch_execute("update inventory set film_id = 999999 where inventory_id = 1").await;
    assert_eq!(dangling.unwrap_err().code().unwrap().code(), "23503");
    // A film with actors cannot go. Their key is at the home now, where PostgreSQL 18 has a SQLSTATE of its own for
    // ON DELETE RESTRICT (23503 before).
    let used = m.batch_execute("delete from film where film_id = 1").await.unwrap_err();
    assert_eq!(used.code().unwrap().code(), "23001", "{used:?}");

    let insert = "insert into film (title, language_id) values ('At once', 1) returning film_id::bigint";
    m.batch_execute("begin").await.unwrap();
    let film = number(&m, insert).await;
    m.batch_execute(&format!("insert into inventory (film_id, store_id) values ({film}, 1); commit"))
        .await
        .unwrap();

    films.n.batch_execute(&format!("delete from films.film where film_id = {film}")).await.unwrap();
    films.until(&m, "select count(*) = 1 from cleave.work where resolved_at is null").await;
    let work =
        text(&m, "select concat_ws(', ', reference, kind) from cleave.work where resolved_at is null").await;
    assert_eq!(work, "inventory_film_id_fkey on public.inventory, report");
    let status = cleave_engine::status(&films.cinema.topology(), Some(&films.cinema.films())).await.unwrap();
    let problems: Vec<_> = status.services[0].problems.iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(problems, ["C0714"]);
    m.batch_execute(&format!("delete from inventory where film_id = {film}")).await.unwrap();
    films.until(&m, "select count(*) = 0 from cleave.work where resolved_at is null").await;
}

#[tokio::test]
async fn the_plan_for_pagila_names_all_that_crosses_the_boundary() {
    let Some(cinema) = source::cinema("the plan for Pagila", "forward").await else { return };
    let plan = cleave_engine::plan(&cinema.topology(), &cinema.films()).await.unwrap();
    let cleave_plan::Plan::Live(plan) = plan else { panic!("{plan:?}") };
    let crossings: Vec<String> = plan
        .crossings
        .iter()
        .map(|crossing| format!("{} {}: {}", crossing.kind, crossing.object, crossing.outcome))
        .collect();
    let view = |name: &str| format!("view public.{name}: is re-created at the switch and reads the new home");
    let sequence = |name: &str| {
        format!(
            "sequence public.{name}: leaves with its tables: nextval and currval of its old name fail after the \
             switch; leave the column out and read the number with RETURNING"
        )
    };
    assert_eq!(
        crossings,
        [
            "foreign key in public.inventory (film_id) → public.film [inventory_film_id_fkey]: becomes a watched \
             reference: checked in the copy, then at the new home; a delete at the new home that leaves it dangling \
             is reported"
                .to_owned(),
            view("actor_info"),
            view("film_list"),
            view("nicer_but_slower_film_list"),
            view("sales_by_film_category"),
            "function public.get_customer_balance(p_customer_id integer, p_effective_date timestamp with time zone): \
             goes on through the bridge (its text names a moved table)"
                .to_owned(),
            sequence("actor_actor_id_seq"),
            sequence("category_category_id_seq"),
            sequence("film_film_id_seq"),
            sequence("language_language_id_seq"),
        ]
    );
    assert!(!plan.is_refused(), "{:?}", plan.findings);
    assert_eq!(plan.tables.len(), 6);
    assert!(plan.sequences.iter().all(|sequence| !sequence.owned), "{:?}", plan.sequences);
}
