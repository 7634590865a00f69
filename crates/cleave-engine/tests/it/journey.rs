//! The whole journey of a service, from apply to complete, on real servers.

use crate::cinema::{Cinema, number, text};
use cleave_api::{CutoverOutcome, CutoverReport, VerificationState};
use cleave_engine::{Answer, Verb, Wishes};
use cleave_sandbox::Version;
use std::time::Duration;

const LOAD_LIMIT: Duration = Duration::from_secs(60);

fn switched(answer: Answer) -> CutoverReport {
    let Answer::Switch(report) = answer else { panic!("{answer:?}") };
    assert_eq!(report.outcome, CutoverOutcome::Switched, "{report:?}");
    report
}

async fn verified(cinema: &Cinema) {
    let answer = cinema.verb(Verb::Verify).await.unwrap();
    let Answer::Verification(report) = answer else { panic!("{answer:?}") };
    assert_eq!(report.state, VerificationState::Clean, "{report:?}");
}

#[tokio::test]
async fn a_service_goes_to_its_new_home_and_back_and_stays_there_in_the_end() {
    let cinema = Cinema::new(Version::V14, Version::V18, "forward").await;
    cinema.apply().await.unwrap();
    verified(&cinema).await;
    let (m, n) = (cinema.on_m().await, cinema.on_n().await);

    let report = switched(cinema.verb(Verb::Cutover { dry_run: false }).await.unwrap());
    assert_eq!((report.home.as_str(), report.epoch), ("products", 1));
    writes_go_home_through_the_old_name(&m, &n).await;

    let report = switched(cinema.verb(Verb::Rollback { dry_run: false }).await.unwrap());
    assert_eq!((report.home.as_str(), report.epoch), ("monolith", 2));
    assert_eq!(number(&m, "select count(*) from public.film where title = 'through the bridge'").await, 1);
    assert_eq!(
        number(
            &m,
            "select count(*) from pg_constraint where conname = 'inventory_film_id_fkey' and convalidated"
        )
        .await,
        1
    );
    let refused = n.batch_execute("update films.film set title = 'x'").await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("films"), "{refused:?}");

    verified(&cinema).await;
    let report = switched(cinema.verb(Verb::Cutover { dry_run: false }).await.unwrap());
    assert_eq!(report.epoch, 3);
    cinema.verb(Verb::Complete).await.unwrap();
    assert_eq!(number(&m, "select count(*) from pg_replication_slots where slot_name like 'cleave%forward%' and database = current_database()").await, 0);
    n.batch_execute("insert into films.film (title) values ('at home')").await.unwrap();
    assert_eq!(number(&m, "select count(*) from public.film where title = 'at home'").await, 1);
}

async fn writes_go_home_through_the_old_name(m: &tokio_postgres::Client, n: &tokio_postgres::Client) {
    let id = number(m, "insert into public.film (title) values ('through the bridge') returning id").await;
    assert_eq!(id, 501, "ids go on where they were");
    let code = text(n, "select code || ' ' || rating::text || ' ' || words from films.film where title = 'through the bridge'").await;
    assert_eq!(code, "F-600 PG 18");
    // A row written through the bridge can be referenced in the same transaction.
    m.batch_execute(
        "begin;
         insert into public.film (id, title) values (9000, 'referenced at once');
         insert into inventory (film_id) values (9000);
         commit",
    )
    .await
    .unwrap();
    let dangling = m.batch_execute("insert into inventory (film_id) values (123456)").await.unwrap_err();
    assert_eq!(dangling.code().unwrap().code(), "23503");
    assert_eq!(number(m, "select copies from film_stock where id = 9000").await, 1);
    assert_eq!(text(m, "select title_of(9000)").await, "referenced at once");
    let refused = m.batch_execute("delete from films_copy.film").await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("products"), "{refused:?}");
}

#[tokio::test]
async fn three_rounds_under_load_lose_nothing_and_refuse_nobody() {
    let cinema = Cinema::new(Version::V14, Version::V18, "forward").await;
    let (mut engine, _canceller) = cinema.engine();
    let films = cinema.films();
    let workload = cinema.writers(200).await;
    engine.execute(&films, Verb::Apply(None)).await.unwrap();
    for _ in 0..3 {
        engine.execute(&films, Verb::Verify).await.unwrap();
        switched(engine.execute(&films, Verb::Cutover { dry_run: false }).await.unwrap());
        assert!(workload.wait_for(100, LOAD_LIMIT).await, "writers stand still after a cutover");
        switched(engine.execute(&films, Verb::Rollback { dry_run: false }).await.unwrap());
        assert!(workload.wait_for(100, LOAD_LIMIT).await, "writers stand still after a rollback");
    }
    engine.execute(&films, Verb::Verify).await.unwrap();
    switched(engine.execute(&films, Verb::Cutover { dry_run: false }).await.unwrap());
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    let verdict = cinema.check(&record, true).await;
    assert_eq!(verdict.refused, 0);
    engine.execute(&films, Verb::Verify).await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn why_an_operator_did_something_stands_in_the_history() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    let topology = cinema.topology().wishing(Wishes { reason: Some("ticket 7".into()), ..Wishes::default() });
    let (_canceller, cancelled) = crate::cinema::quiet();
    let (films, events) = (cinema.films(), cleave_engine::Events::silent());
    cleave_engine::execute(&topology, &films, Verb::Cancel, &events, &cancelled).await.unwrap();
    let history = cleave_engine::history(&topology, Some(&films)).await.unwrap();
    let last = history.entries.last().unwrap();
    assert_eq!((last.step.as_str(), last.detail["reason"].as_str()), ("cancel", Some("ticket 7")));
}
