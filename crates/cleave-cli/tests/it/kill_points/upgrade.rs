//! The same for an upgrade: its commands die at every point, and the next one ends what they have begun. Without a writer, as
//! the old side refuses those who come late; each round is compared row by row instead.

use super::sample::Sample;
use super::stage::{Side, Stage, Verb};
use cleave_sandbox::Version;

/// Killed once, then left alone.
async fn strike(stage: &Stage, verb: Verb, point: &str) {
    stage.kill(verb, &format!("{point}=exit")).await;
    stage.expect(verb).await;
}

/// What the streams do in a command that stops them is chance.
fn of_steps(points: Vec<String>) -> Vec<String> {
    points.into_iter().filter(|point| !point.starts_with("apply.")).collect()
}

/// All points, or some of them, spread over the command.
fn spread(points: Vec<String>, wanted: usize) -> Vec<String> {
    let share = if Sample::from_environment().is_full() { 1 } else { points.len().div_ceil(wanted).max(1) };
    of_steps(points).into_iter().step_by(share).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_dies_while_it_fills_or_takes_back_is_ended_by_the_same_command() {
    let stage = Stage::of_upgrade(Version::V14, Version::V18).await;
    let empty = stage.objects_of_n().await;
    let applies = spread(stage.points(Verb::Apply).await, 10);
    let cancels = spread(stage.points(Verb::Cancel).await, 6);
    assert_eq!(stage.objects_of_n().await, empty);
    assert!(applies.len() > 5 && cancels.len() > 3, "{applies:?} {cancels:?}");
    for at in 0..applies.len().max(cancels.len()) {
        strike(&stage, Verb::Apply, &applies[at % applies.len()]).await;
        stage.expect(Verb::Verify).await;
        stage.assert_large_object("first").await;
        strike(&stage, Verb::Cancel, &cancels[at % cancels.len()]).await;
        stage.assert_nothing_left().await;
        assert_eq!(stage.objects_of_n().await, empty, "after {}", cancels[at % cancels.len()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_dies_while_it_switches_or_ends_is_ended_by_the_same_command() {
    let stage = Stage::of_upgrade(Version::V14, Version::V18).await;
    stage.expect(Verb::Apply).await;
    stage.expect(Verb::Verify).await;
    let cutovers = spread(stage.points(Verb::Cutover).await, 10);
    let rollbacks = spread(stage.points(Verb::Rollback).await, 10);
    assert!(cutovers.len() > 5 && rollbacks.len() > 5, "{cutovers:?} {rollbacks:?}");
    for at in 0..cutovers.len().max(rollbacks.len()) {
        stage.expect(Verb::Verify).await;
        stage.write_large_object(Side::M, &format!("over {at}")).await;
        strike(&stage, Verb::Cutover, &cutovers[at % cutovers.len()]).await;
        stage.assert_large_object(&format!("over {at}")).await;
        stage.expect(Verb::Verify).await;
        stage.write_large_object(Side::N, &format!("back {at}")).await;
        strike(&stage, Verb::Rollback, &rollbacks[at % rollbacks.len()]).await;
        stage.assert_large_object(&format!("back {at}")).await;
    }
    stage.expect(Verb::Verify).await;
    stage.expect(Verb::Cutover).await;
    strike(&stage, Verb::Complete, "drop_direction.slot").await;
    stage.assert_nothing_left().await;
}
