//! No state that a crash, a person or a server can leave keeps every command away, and none is taken for a good one.

use crate::cinema::{Cinema, number, text};
use cleave_api::{CutoverOutcome, ExitCode};
use cleave_engine::{Answer, EngineError, Verb};
use cleave_sandbox::Version;
use std::time::Duration;
use tokio_postgres::Client;

const LIMIT: Duration = Duration::from_secs(120);

fn code(result: Result<Answer, EngineError>) -> String {
    match result {
        Ok(answer) => panic!("{answer:?}"),
        Err(error) => error.code().to_owned(),
    }
}

/// As if `apply` had been killed while it copied the second table.
async fn half_copied(m: &Client, n: &Client) {
    m.batch_execute(
        "update cleave.move set state = 'copying'; delete from cleave.journal where step = 'copy'",
    )
    .await
    .unwrap();
    let oid = text(m, "select 'public.film_part'::regclass::oid::text").await;
    n.batch_execute(&format!(
        "delete from cleave.copied where source_oid = {oid};
         alter table films.film_part disable trigger cleave_fence;
         truncate films.film_part;
         alter table films.film_part enable always trigger cleave_fence"
    ))
    .await
    .unwrap();
}

#[tokio::test]
async fn a_table_whose_copy_is_still_to_come_takes_no_changes() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    let (m, n) = (cinema.on_m().await, cinema.on_n().await);
    half_copied(&m, &n).await;
    m.batch_execute("insert into film_part values (1, 77, 'new')").await.unwrap();
    let (mut engine, _canceller) = cinema.engine();
    engine.take(&cinema.films()).await.unwrap();
    for _ in 0..200 {
        assert_eq!(number(&n, "select count(*) from films.film_part").await, 0);
    }
    engine.execute(&cinema.films(), Verb::Apply(None)).await.unwrap();
    engine.close().await;
    assert_eq!(number(&n, "select count(*) from films.film_part").await, 1501);
}

#[tokio::test]
async fn a_lost_slot_is_not_replaced_under_tables_that_are_copied() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    let m = cinema.on_m().await;
    m.batch_execute("update cleave.move set state = 'copying'").await.unwrap();
    let slot = format!("cleave_{}_forward_1", cinema.films());
    let dropped = format!("select count(pg_drop_replication_slot('{slot}'))");
    assert_eq!(number(&m, &dropped).await, 1);
    assert_eq!(code(cinema.apply().await), "C0502");
    cinema.verb(Verb::Cancel).await.unwrap();
}

#[tokio::test]
async fn a_move_whose_target_is_gone_can_be_cancelled() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    cinema.on_n().await.batch_execute("drop schema films cascade").await.unwrap();
    cinema.verb(Verb::Cancel).await.unwrap();
    cinema.apply().await.unwrap();
}

#[tokio::test]
async fn a_move_that_is_half_taken_back_is_not_filled_again() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    let n = cinema.on_n().await;
    n.batch_execute("create table films.of_others ()").await.unwrap();
    assert_eq!(code(cinema.verb(Verb::Cancel).await), "C0712");
    assert_eq!(code(cinema.apply().await), "C0421");
    n.batch_execute("drop table films.of_others").await.unwrap();
    cinema.verb(Verb::Cancel).await.unwrap();
}

#[tokio::test]
async fn somebody_who_waits_for_locks_can_give_up() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    cinema.verb(Verb::Verify).await.unwrap();
    let m = cinema.on_m().await;
    m.batch_execute("begin; select count(*) from film").await.unwrap();
    let (mut engine, canceller) = cinema.engine();
    let films = cinema.films();
    engine.take(&films).await.unwrap();
    let waiting = engine.execute(&films, Verb::Cutover { dry_run: false });
    let watcher = async {
        let seen = cinema.on_m().await;
        let failed = "select count(*) from cleave.journal where step = 'cutover.fence' and event = 'failed'";
        while number(&seen, failed).await == 0 {}
        canceller.cancel();
    };
    let (answer, ()) = tokio::time::timeout(LIMIT, async { tokio::join!(waiting, watcher) }).await.unwrap();
    let Answer::Switch(report) = answer.unwrap() else { panic!() };
    assert_eq!(report.outcome, CutoverOutcome::Aborted, "{report:?}");
    assert!(report.reason.as_ref().is_some_and(|reason| !reason.contains("budget")), "{report:?}");
    engine.close().await;
}

#[tokio::test]
async fn a_column_that_came_after_the_plan_is_not_lost_in_a_cutover() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    cinema.on_m().await.batch_execute("alter table film add column extra int default 7").await.unwrap();
    cinema.verb(Verb::Verify).await.unwrap();
    assert_eq!(code(cinema.verb(Verb::Cutover { dry_run: false }).await), "C0711");
}

#[tokio::test]
async fn a_source_that_is_older_than_its_last_switch_does_not_switch() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    cinema.verb(Verb::Verify).await.unwrap();
    cinema.on_n().await.batch_execute("update cleave.owner set epoch = 2").await.unwrap();
    assert_eq!(code(cinema.verb(Verb::Cutover { dry_run: false }).await), "C0706");
}

#[tokio::test]
async fn a_reference_that_cannot_be_settled_keeps_no_command_away() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    cinema.verb(Verb::Verify).await.unwrap();
    cinema.verb(Verb::Cutover { dry_run: false }).await.unwrap();
    // `set null` into a column that is not null.
    let work = format!(
        "insert into cleave.work (service, reference, kind, keys)
         values ('{}', 'inventory_film_id_fkey on public.inventory', 'set null', '{{\"id\": 1}}')",
        cinema.films()
    );
    cinema.on_m().await.batch_execute(&work).await.unwrap();
    let (mut engine, canceller) = cinema.engine();
    engine.take_open().await.unwrap();
    let running = tokio::spawn(async move {
        engine.run().await.unwrap();
        engine.close().await;
    });
    for verb in [Verb::Pause, Verb::Resume] {
        let answer = tokio::time::timeout(LIMIT, cinema.verb(verb)).await.unwrap().unwrap();
        assert!(matches!(answer, Answer::Elsewhere(ExitCode::Done, _)), "{answer:?}");
    }
    canceller.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn the_stream_of_a_copy_that_stays_can_be_paused_and_resumed_after_the_move() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    cinema.apply().await.unwrap();
    cinema.verb(Verb::Verify).await.unwrap();
    cinema.verb(Verb::Cutover { dry_run: false }).await.unwrap();
    cinema.verb(Verb::Complete).await.unwrap();
    cinema.verb(Verb::Pause).await.unwrap();
    cinema.verb(Verb::Resume).await.unwrap();
}
