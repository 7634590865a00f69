//! SIGKILL while tables are detached, joined again, and copied again.

use super::stage::{Side, Verb};
use super::{OLDEST_TO_NEWEST, ends_clean, following, kills};

const DETACHED: &str = "select count(*) = 1 from cleave.detached";
const JOINED: &str = "select count(*) = 0 from cleave.detached";
const MENDED: &str = "alter table films.film_note drop constraint poison";

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_copied_again_are_whole_wherever_that_was_killed() {
    let (stage, writer) = following(OLDEST_TO_NEWEST).await;
    let points = stage.points(Verb::Recopy).await;
    let points: Vec<String> = points.into_iter().filter(|point| !point.starts_with("apply.")).collect();
    assert!(points.iter().any(|point| point == "recopy.reopened"), "{points:?}");
    for (at, kill) in kills(Verb::Recopy, points).iter().enumerate() {
        if at % 2 == 0 {
            kill.strike(&stage, &writer).await;
        } else {
            // What a dead one has left is finished without naming the tables again.
            stage.kill(Verb::Recopy, &kill.failpoints[0]).await;
            stage.expect(Verb::Resume).await;
        }
    }
    stage.expect(Verb::Verify).await;
    stage.expect(Verb::Cutover).await;
    ends_clean(&stage, writer, Side::N).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_while_it_detaches_or_joins_tables_loses_nothing() {
    let (stage, writer) = following(OLDEST_TO_NEWEST).await;
    let detaching = ["detach.before", "detach.slot", "detach.recorded"];
    let joining = ["rejoin.stopped", "rejoin.before", "rejoin.after"];
    for (round, (first, second)) in detaching.into_iter().zip(joining).enumerate() {
        stage
            .on_n("alter table films.film_note add constraint poison check (note <> 'poison') not valid")
            .await;
        let dying = stage.engine(&format!("{first}=exit")).await;
        stage.on_m(&format!("insert into film_note values ({}, 'poison')", 100 + round)).await;
        dying.assert_killed().await;
        stage.let_leases_run_out().await;
        let engine = stage.engine("").await;
        stage.until(Side::N, DETACHED).await;
        drop(engine);
        stage.let_leases_run_out().await;
        stage.on_n(MENDED).await;
        let dying = stage.engine(&format!("{second}=exit")).await;
        dying.assert_killed().await;
        stage.let_leases_run_out().await;
        let engine = stage.engine("").await;
        stage.until(Side::N, JOINED).await;
        drop(engine);
        stage.let_leases_run_out().await;
        stage.expect(Verb::Verify).await;
    }
    stage.expect(Verb::Cutover).await;
    ends_clean(&stage, writer, Side::N).await;
}
