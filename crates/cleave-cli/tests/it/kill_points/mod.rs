//! SIGKILL at every point that a command passes, then the same command again: it ends as if nothing had happened.
//!
//! A clean run tells which points there are, so a new one is tested as soon as it stands in the code. While commands
//! die, a writer goes on through the old names: at no instant may both sides accept writes, no application may see an
//! error, and in the end every acknowledged transaction is at the home, once.

mod coverage;
mod crashes;
mod detached;
mod in_place;
mod sample;
mod splits;
mod stage;
mod together;
mod torture;
mod upgrade;

use self::sample::Sample;
use self::stage::{Shape, Side, Stage, Verb};
use cleave_sandbox::{Version, Workload};
use std::sync::Mutex;
use std::time::Duration;

const OLDEST_TO_NEWEST: Shape =
    Shape { from: Version::V14, to: Version::V18, bridge: "forward", copy_kept: true };

/// How long a writer may stand still after a kill. The servers end a dead command's transactions by themselves.
const STANDSTILL_LIMIT: Duration = Duration::from_secs(60);

/// A command and what kills it, run after run; after the last one it is left alone.
#[derive(Clone, Debug)]
struct Kill {
    verb: Verb,
    failpoints: Vec<String>,
}

impl Kill {
    fn at(verb: Verb, points: &[&str]) -> Self {
        Self { verb, failpoints: points.iter().map(|point| format!("{point}=exit")).collect() }
    }

    async fn strike(&self, stage: &Stage, writer: &Workload) {
        for failpoints in &self.failpoints {
            stage.kill(self.verb, failpoints).await;
            let going_on = writer.wait_for(3, STANDSTILL_LIMIT).await;
            assert!(going_on, "{:?} with {failpoints}: writers stand still", self.verb);
            assert_eq!(
                writer.total().refused,
                0,
                "{:?} with {failpoints}: an application was refused",
                self.verb
            );
        }
        stage.expect(self.verb).await;
        assert_eq!(writer.total().refused, 0, "{self:?}: an application was refused");
    }
}

/// One kill for each point.
fn kills(verb: Verb, points: Vec<String>) -> Vec<Kill> {
    points.iter().map(|point| Kill::at(verb, &[point])).collect()
}

/// A move that follows, with a writer.
async fn following(shape: Shape) -> (Stage, Workload) {
    let stage = Stage::new(shape).await;
    let writer = stage.writer().await;
    stage.expect(Verb::Apply).await;
    stage.expect(Verb::Verify).await;
    (stage, writer)
}

/// Goes to the new home and back until every command was killed; a round in which none is left to kill is a clean one.
async fn rounds(stage: &Stage, writer: &Workload, cutovers: &[Kill], rollbacks: &[Kill]) {
    for at in 0..cutovers.len().max(rollbacks.len()) {
        let (there, back) = (Kill::at(Verb::Cutover, &[]), Kill::at(Verb::Rollback, &[]));
        cutovers.get(at).unwrap_or(&there).strike(stage, writer).await;
        rollbacks.get(at).unwrap_or(&back).strike(stage, writer).await;
        stage.expect(Verb::Verify).await;
    }
}

async fn ends_clean(stage: &Stage, writer: Workload, home: Side) {
    let record = writer.stop().await.unwrap();
    stage.check(&record, home).await;
}

/// Every `of`-th point of both directions, beginning with `first`.
async fn a_share_of_all_points(shape: Shape, first: usize, of: usize) {
    let (stage, writer) = following(shape).await;
    let share = |points: Vec<String>| points.into_iter().skip(first).step_by(of).collect();
    let cutovers = kills(Verb::Cutover, share(stage.points(Verb::Cutover).await));
    let rollbacks = kills(Verb::Rollback, share(stage.points(Verb::Rollback).await));
    stage.expect(Verb::Verify).await;
    rounds(&stage, &writer, &cutovers, &rollbacks).await;
    ends_clean(&stage, writer, Side::M).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cutover_or_rollback_that_is_killed_anywhere_is_ended_by_the_same_command() {
    tokio::join!(
        a_share_of_all_points(OLDEST_TO_NEWEST, 0, 2),
        a_share_of_all_points(OLDEST_TO_NEWEST, 1, 2)
    );
}

/// Commands that die while they undo or finish what a dead one has left; and one that dies while it undoes its own
/// work, because its pause has passed its budget.
fn kills_of_recoveries() -> (Vec<Kill>, Vec<Kill>) {
    let before = |verb, dead: &str, undone: &[&str]| -> Vec<Kill> {
        let second = undone.iter().flat_map(|step| [format!("{step}.before"), format!("{step}.after")]);
        second.map(|second| Kill::at(verb, &[dead, &second])).collect()
    };
    let mut cutovers = before(
        Verb::Cutover,
        "cutover.half_open.after",
        &["cutover.undo_half_open", "cutover.undo_fence", "cutover.undo_bridge"],
    );
    cutovers.extend(before(Verb::Cutover, "cutover.switch.after", &["cutover.open", "cutover.tidy"]));
    let mut rollbacks =
        before(Verb::Rollback, "rollback.close.after", &["rollback.undo_close", "rollback.undo_fence"]);
    rollbacks.extend(before(Verb::Rollback, "rollback.switch.after", &["rollback.open", "rollback.tidy"]));
    let over_budget = |verb, late: &str, undone: &str| Kill {
        verb,
        failpoints: vec![format!("{late}=sleep({});{undone}=exit", stage::WRITE_PAUSE.as_millis() + 1000)],
    };
    cutovers.push(over_budget(Verb::Cutover, "cutover.half_open.after", "cutover.undo_half_open.before"));
    rollbacks.push(over_budget(Verb::Rollback, "rollback.close.after", "rollback.undo_close.before"));
    (cutovers, rollbacks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_killed_while_it_recovers_another_is_ended_by_the_next() {
    let (stage, writer) = following(OLDEST_TO_NEWEST).await;
    let (cutovers, rollbacks) = kills_of_recoveries();
    rounds(&stage, &writer, &cutovers, &rollbacks).await;
    ends_clean(&stage, writer, Side::M).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_or_cancel_that_is_killed_anywhere_is_ended_by_the_same_command() {
    let stage = Stage::new(OLDEST_TO_NEWEST).await;
    let writer = stage.writer().await;
    let applies = kills(Verb::Apply, stage.points(Verb::Apply).await);
    // What the streams do in a command that stops them is chance.
    let of_cancel = stage.points(Verb::Cancel).await.into_iter().filter(|point| !point.starts_with("apply."));
    let cancels = kills(Verb::Cancel, of_cancel.collect());
    stage.assert_nothing_left().await;
    for at in 0..applies.len().max(cancels.len()) {
        let apply = &applies[at % applies.len()];
        apply.strike(&stage, &writer).await;
        stage.expect(Verb::Verify).await;
        cancels[at % cancels.len()].strike(&stage, &writer).await;
        stage.assert_nothing_left().await;
        if at % 3 == 0 {
            // A dead apply may also be taken back instead.
            stage.kill(Verb::Apply, &apply.failpoints[0]).await;
            stage.expect(Verb::Cancel).await;
            stage.assert_nothing_left().await;
        }
    }
    ends_clean(&stage, writer, Side::M).await;
}

/// A move that is completed, with its kill.
async fn completed(shape: Shape, kill: &Kill) {
    let (stage, writer) = following(shape).await;
    stage.expect(Verb::Cutover).await;
    kill.strike(&stage, &writer).await;
    if !shape.copy_kept {
        stage.assert_nothing_left().await;
    }
    ends_clean(&stage, writer, Side::N).await;
}

async fn completed_at_every_point(shape: Shape) {
    let (stage, writer) = following(shape).await;
    stage.expect(Verb::Cutover).await;
    let points = stage.points(Verb::Complete).await;
    ends_clean(&stage, writer, Side::N).await;
    let points = points.into_iter().filter(|point| !point.starts_with("apply."));
    for kill in kills(Verb::Complete, points.collect()) {
        completed(shape, &kill).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_that_is_killed_anywhere_is_ended_by_the_same_command() {
    let without_copy = Shape { copy_kept: false, ..OLDEST_TO_NEWEST };
    tokio::join!(completed_at_every_point(OLDEST_TO_NEWEST), completed_at_every_point(without_copy));
}

/// Apply, rounds and complete between two versions, each killed at some points, or at all.
async fn pair(shape: Shape, mut sample: Sample) {
    let stage = Stage::new(shape).await;
    let writer = stage.writer().await;
    let applies = sample.some(kills(Verb::Apply, stage.points(Verb::Apply).await));
    for kill in &applies {
        stage.expect(Verb::Cancel).await;
        kill.strike(&stage, &writer).await;
    }
    stage.expect(Verb::Verify).await;
    let cutovers = kills(Verb::Cutover, stage.points(Verb::Cutover).await);
    let rollbacks = kills(Verb::Rollback, stage.points(Verb::Rollback).await);
    stage.expect(Verb::Verify).await;
    rounds(&stage, &writer, &sample.some(cutovers), &sample.some(rollbacks)).await;
    let (cutovers, rollbacks) = kills_of_recoveries();
    rounds(&stage, &writer, &sample.one(cutovers), &sample.one(rollbacks)).await;
    stage.expect(Verb::Cutover).await;
    sample.one(vec![
        Kill::at(Verb::Complete, &["complete.begin", "complete.end"]),
        Kill::at(Verb::Complete, &["drop_direction.slot", "complete.home_open"]),
    ])[0]
        .strike(&stage, &writer)
        .await;
    ends_clean(&stage, writer, Side::N).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_between_other_versions_are_killed_at_some_points() {
    use Version::{V14, V15, V16, V17, V18};
    let sampled = [(V15, V16, "local"), (V16, V17, "forward"), (V17, V15, "local"), (V18, V14, "forward")];
    let mut sample = Sample::from_environment();
    let pairs: Vec<(Version, Version, &'static str)> = if sample.is_full() {
        let all = Version::ALL.into_iter().flat_map(|from| Version::ALL.map(|to| (from, to)));
        // Each bridge meets every version on either side.
        let bridge = |sum: u32| if sum.is_multiple_of(2) { "local" } else { "forward" };
        all.filter(|(from, to)| from != to)
            .map(|(from, to)| (from, to, bridge(from.major() + to.major())))
            .collect()
    } else {
        sampled.to_vec()
    };
    let shape = |(from, to, bridge)| Shape { from, to, bridge, copy_kept: true };
    let left = Mutex::new(pairs.into_iter().map(|pair| (shape(pair), sample.fork())).collect::<Vec<_>>());
    // A command waits more than it works: several pairs at once take the time of one.
    let lane = async || loop {
        let next = left.lock().unwrap().pop();
        let Some((shape, sample)) = next else { return };
        Box::pin(pair(shape, sample)).await;
    };
    tokio::join!(lane(), lane(), lane());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_right_after_a_kill_waits_until_the_dead_ones_lease_has_run_out() {
    let (stage, writer) = following(OLDEST_TO_NEWEST).await;
    stage.kill_and_leave_leases(Verb::Cutover, "cutover.half_open.after=exit").await;
    stage.expect(Verb::Cutover).await;
    ends_clean(&stage, writer, Side::N).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_on_by_itself_when_the_engine_that_executes_it_is_killed() {
    let (stage, writer) = following(OLDEST_TO_NEWEST).await;
    let engine = stage.engine("cutover.half_open.after=exit").await;
    stage.expect(Verb::Cutover).await;
    engine.assert_killed().await;
    let engine = stage.engine("rollback.close.after=exit").await;
    stage.expect(Verb::Rollback).await;
    engine.assert_killed().await;
    assert_eq!(writer.total().refused, 0, "an application was refused");
    ends_clean(&stage, writer, Side::M).await;
}

/// Rows are written by a repair or not, whenever it dies, and the stream goes on from where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_is_killed_anywhere_is_ended_by_the_same_command() {
    let (stage, writer) = following(OLDEST_TO_NEWEST).await;
    stage.break_copy().await;
    let passed = stage.points(Verb::Repair).await;
    let points: Vec<String> = passed.into_iter().filter(|point| point.starts_with("repair.")).collect();
    assert!(points.len() >= 3, "{points:?}");
    for kill in kills(Verb::Repair, points) {
        stage.break_copy().await;
        let (exit, broken) = stage.compared().await;
        assert_eq!(exit, Some(5), "nothing is broken: {broken}");
        kill.strike(&stage, &writer).await;
        let (exit, mended) = stage.compared().await;
        assert_eq!((exit, &mended["data"]["state"]), (Some(0), &"clean".into()), "{kill:?}: {mended}");
    }
    stage.expect(Verb::Cutover).await;
    let record = writer.stop().await.unwrap();
    stage.check(&record, Side::N).await;
    stage.tidy().await;
}

/// What it has proven counts, with the time at which it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_that_is_killed_goes_on_where_it_was() {
    let stage = Stage::new(OLDEST_TO_NEWEST).await;
    stage.expect(Verb::Apply).await;
    stage.kill(Verb::Verify, "verify.kept=exit").await;
    let (exit, resumed) = stage.compared().await;
    let data = &resumed["data"];
    assert_eq!((exit, &data["state"]), (Some(0), &"clean".into()), "{resumed}");
    assert!(data["resumed"].as_u64().unwrap() > 0 && data["since"].is_string(), "{resumed}");
    assert!(data["resumed"].as_u64() < data["rows"].as_u64(), "{resumed}");
    stage.expect(Verb::Cutover).await;
    // The other way round nothing is known yet, and a comparison that has ended leaves nothing to go on with.
    let (_, anew) = stage.compared().await;
    assert_eq!((&anew["data"]["resumed"], &anew["data"]["state"]), (&0.into(), &"clean".into()), "{anew}");
}
