//! A server dies as in a crash (`pg_ctl stop -m immediate`) while a command stands at a point, and comes back: the same
//! command ends it, and nothing acknowledged is lost.

use super::sample::Sample;
use super::stage::{Side, Stage, Verb};
use super::{OLDEST_TO_NEWEST, STANDSTILL_LIMIT};

/// Rounds in which one side dies at some points of both directions, or at all.
async fn one_side_dies(side: Side, mut sample: Sample) {
    let stage = Stage::on_own_servers(OLDEST_TO_NEWEST).await;
    let writer = stage.writer().await;
    stage.expect(Verb::Apply).await;
    stage.expect(Verb::Verify).await;
    // What a stream does in a command is chance.
    let points =
        |points: Vec<String>| points.into_iter().filter(|point| !point.starts_with("apply.")).collect();
    let cutovers: Vec<String> = sample.some(points(stage.points(Verb::Cutover).await));
    let rollbacks: Vec<String> = sample.some(points(stage.points(Verb::Rollback).await));
    for at in 0..cutovers.len().max(rollbacks.len()) {
        for (verb, points) in [(Verb::Cutover, &cutovers), (Verb::Rollback, &rollbacks)] {
            stage.expect(Verb::Verify).await;
            if let Some(point) = points.get(at) {
                stage.crash(verb, point, side).await;
            }
            stage.expect(verb).await;
            assert!(writer.wait_for(3, STANDSTILL_LIMIT).await, "{side:?}, {verb:?}: writers stand still");
        }
    }
    let record = writer.stop().await.unwrap();
    stage.check_after_crashes(&record, Side::M).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_at_any_point_of_a_switch_loses_nothing_and_the_same_command_ends_it() {
    let mut sample = Sample::from_environment();
    let (of_m, of_n) = (sample.fork(), sample.fork());
    tokio::join!(one_side_dies(Side::M, of_m), one_side_dies(Side::N, of_n));
}
