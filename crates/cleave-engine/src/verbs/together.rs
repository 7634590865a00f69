//! A round of one service, or of several that leave one database together: gates of all, then one switch.

use super::{
    gates::Held,
    switch::{now, report, stored_between, stored_script},
};
use crate::{
    EngineError,
    context::MoveContext,
    hooks::Moment,
    planning,
    runner::Runner,
    switch::{Common, Entrant, Switch, SwitchReport},
};
use cleave_api::{CutoverOutcome, CutoverReport, SwitchedWith};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::Epoch;
use cleave_plan::cutover::{Outcome, Round};
use cleave_plan::{HomeAddress, KeyBetween, Leaving, SwitchScript};
use serde_json::json;

/// A service in a round that is about to begin.
pub(super) struct Turn {
    pub(super) row: MoveRow,
    pub(super) move_: MoveContext,
    /// Before the round.
    pub(super) epoch: Epoch,
    pub(super) held: Held,
}

/// The statements of each service, with the fingerprint that they are made for, and what is common to them.
struct Statements {
    scripts: Vec<(SwitchScript, String)>,
    common: Common,
}

fn states(round: Round) -> (MoveState, MoveState) {
    match round {
        Round::Cutover => (MoveState::Following, MoveState::Switched),
        Round::Rollback => (MoveState::Switched, MoveState::Following),
    }
}

/// Switches the homes of all services, or of none. Nothing happens where they are there already.
pub(crate) async fn together(
    runners: &mut [&mut Runner],
    round: Round,
    dry_run: bool,
) -> Result<CutoverReport, EngineError> {
    let mut turns = Vec::with_capacity(runners.len());
    for runner in runners.iter() {
        turns.push(turn(runner, round).await?);
    }
    let (from, to) = states(round);
    let there = |turn: &Turn| turn.row.state == to && turn.epoch > Epoch(0);
    if turns.iter().all(there) {
        return Ok(reported(&turns, round, CutoverOutcome::Switched, 0, None));
    }
    if turns.len() > 1 {
        super::fellows::may_go_together(&turns, round, there)?;
    }
    for (runner, turn) in runners.iter().zip(&turns) {
        if turn.row.state != from {
            let next = if round == Round::Cutover { "apply" } else { "cutover" };
            return Err(runner.wrong_state(turn.row.state.as_str(), round.as_str(), Some(next)));
        }
    }
    gates(runners, &mut turns, round).await?;
    let statements = Box::pin(statements(runners, &turns, round)).await?;
    if dry_run {
        return Ok(reported(&turns, round, CutoverOutcome::Rehearsed, 0, None));
    }
    let names: Vec<String> = runners.iter().map(|runner| runner.service.to_string()).collect();
    for (runner, turn) in runners.iter().zip(&turns) {
        runner.warm_up(round, &turn.move_).await?;
    }
    for (runner, turn) in runners.iter().zip(&turns) {
        runner.bring_what_is_not_streamed(round, &turn.move_).await?;
        runner.run_hooks(&turn.move_, round, turn.epoch.next(), (Moment::BeforeSwitch, &names)).await?;
    }
    let done = Box::pin(switched(runners, &turns, round, statements)).await;
    // From the round's beginning until its end is in the journal there may be something to finish or to undo.
    if done.is_err() {
        runners.iter_mut().for_each(|runner| runner.unsettled = true);
    }
    let done = done?;
    for ((runner, turn), differing) in runners.iter().zip(&turns).zip(&done.differing) {
        if *differing > 0 {
            runner.withdraw(&turn.row, *differing).await?;
        }
    }
    end(runners, &turns, round, done).await
}

async fn turn(runner: &Runner, round: Round) -> Result<Turn, EngineError> {
    let row = runner.open_row(round.as_str()).await?;
    let move_ = runner.context(&row)?;
    let session = runner.journal().await?;
    let owner = cleave_journal::owner(&*session, &runner.service).await?;
    let epoch = owner.map_or(Epoch(0), |owner| owner.epoch);
    Ok(Turn { row, move_, epoch, held: Held::default() })
}

/// The gates of all services; what stands against any of them is said at once.
async fn gates(runners: &[&mut Runner], turns: &mut [Turn], round: Round) -> Result<(), EngineError> {
    let mut against = Vec::new();
    for (runner, turn) in runners.iter().zip(turns) {
        let held = async {
            runner.epoch_gate(turn.epoch).await?;
            Box::pin(runner.state_gates(round, &turn.row, &turn.move_, turn.epoch)).await
        };
        match held.await {
            Ok(held) => turn.held = held,
            Err(error) => against.push((runner.service.clone(), error)),
        }
    }
    super::fellows::against(against, runners.len())
}

async fn statements(
    runners: &[&mut Runner],
    turns: &[Turn],
    round: Round,
) -> Result<Statements, EngineError> {
    match round {
        Round::Cutover => Box::pin(statements_there(runners, turns)).await,
        Round::Rollback => Box::pin(statements_back(runners, turns)).await,
    }
}

async fn statements_there(runners: &[&mut Runner], turns: &[Turn]) -> Result<Statements, EngineError> {
    let mut observed = Vec::with_capacity(runners.len());
    for runner in runners {
        observed.push(planning::observe(&runner.topology, runner.configured()?).await?);
    }
    let (Some(first), [turn, ..]) = (observed.first(), turns) else { return Ok(Statements::none()) };
    if turn.move_.plan.whole.is_some() {
        let script = runners[0].upgrade_script(&turn.move_, first)?;
        let fingerprint = cleave_pg::fingerprint(&first.m_session, &script.fingerprint_oids).await?;
        let locks = [script.locks.clone(), script.locks_turned.clone()];
        let common = Common { locks, between: Vec::new() };
        return Ok(Statements { scripts: vec![(script, fingerprint)], common });
    }
    let homes: Vec<HomeAddress> = turns
        .iter()
        .map(|turn| {
            let seen = turn.move_.n.endpoint_seen_from(&turn.move_.m.name);
            HomeAddress { host: seen.host(), port: seen.port(), database: seen.dbname().to_owned() }
        })
        .collect();
    let leaving: Vec<Leaving<'_>> = turns
        .iter()
        .zip(&observed)
        .zip(&homes)
        .map(|((turn, observed), home)| Leaving {
            service: &turn.move_.service,
            plan: &turn.move_.plan,
            target: &observed.target,
            home,
        })
        .collect();
    let made = cleave_plan::switch_together(&leaving, &first.source, &now()).map_err(|refusal| {
        let (code, hint) = match refusal.code.as_ref() {
            "C0730" => ("C0730", "switch them one after the other"),
            "C0542" => ("C0542", "then verify: the table is another since the last verification"),
            _ => ("C0711", "`cleave cancel` and apply a new plan"),
        };
        let about = if turns.len() > 1 { format!("{}: ", refusal.object) } else { String::new() };
        EngineError::gate(code, about + &refusal.message).hint(hint)
    })?;
    let mut scripts = Vec::with_capacity(made.scripts.len());
    for script in made.scripts {
        let fingerprint = cleave_pg::fingerprint(&first.m_session, &script.fingerprint_oids).await?;
        scripts.push((script, fingerprint));
    }
    for key in &made.between {
        let [from, to] = &key.services;
        let message = format!(
            "key {} ends with the switch, as {from} and {to} go together; it comes back with both",
            key.key
        );
        runners[0].events.note(None, message);
    }
    let common = Common { locks: [made.locks, made.locks_turned], between: made.between };
    Ok(Statements { scripts, common })
}

/// A rollback runs what its cutover stored.
async fn statements_back(runners: &[&mut Runner], turns: &[Turn]) -> Result<Statements, EngineError> {
    let mut scripts = Vec::with_capacity(turns.len());
    let mut between: Vec<KeyBetween> = Vec::new();
    for (runner, turn) in runners.iter().zip(turns) {
        let session = runner.journal().await?;
        let entries = turn.move_.entries(&*session).await?;
        let stored = stored_script(&entries)?.ok_or_else(|| EngineError::Stored {
            what: "the script of the cutover".to_owned(),
            reason: "it is not in the journal".to_owned(),
        })?;
        let target_fence = cleave_plan::fence_script(&turn.move_.plan, &runner.service, &now());
        scripts.push((SwitchScript { target_fence, ..stored }, String::new()));
        for key in stored_between(&entries)? {
            if !between.contains(&key) {
                between.push(key);
            }
        }
    }
    let between = super::fellows::come_back(runners, turns, between).await?;
    let locks = cleave_plan::locks_back(&scripts.iter().map(|(script, _)| script).collect::<Vec<_>>());
    Ok(Statements { scripts, common: Common { locks, between } })
}

impl Statements {
    fn none() -> Self {
        Self { scripts: Vec::new(), common: Common::default() }
    }
}

/// The round itself, once every gate holds.
async fn switched(
    runners: &[&mut Runner],
    turns: &[Turn],
    round: Round,
    statements: Statements,
) -> Result<SwitchReport, EngineError> {
    for (at, (runner, turn)) in runners.iter().zip(turns).enumerate() {
        let mut begin = json!({ "epoch": turn.epoch.next().0, "by": runner.who() });
        let fellows = fellows_of(turns, at);
        if !fellows.is_empty() {
            begin["with"] = json!(fellows);
        }
        if !turn.held.accepted.is_empty() {
            begin["accepted"] = json!(turn.held.accepted);
        }
        let session = runner.journal().await?;
        turn.move_.journal_m(&*session, round.as_str(), EntryEvent::Begin, &begin).await?;
    }
    let mut entrants = Vec::with_capacity(turns.len());
    let moves = runners.iter().zip(turns).zip(statements.scripts);
    for ((runner, turn), (script, fingerprint)) in moves {
        entrants.push(Entrant {
            move_: &turn.move_,
            streams: &runner.streams,
            script,
            fingerprint,
            epoch: turn.epoch.next(),
            unproven: Box::pin(runner.rows_check(&turn.move_, &turn.held.unproven)).await?,
        });
    }
    let mut entrants = entrants.into_iter();
    let Some(first) = entrants.next() else {
        return Err(EngineError::gate("C0730", "no service is to be switched"));
    };
    let switch = Box::pin(Switch::new(round, first, entrants.collect(), statements.common)).await?;
    Box::pin(switch.run()).await
}

fn fellows_of(turns: &[Turn], own: usize) -> Vec<String> {
    let others = turns.iter().enumerate().filter(|(at, _)| *at != own);
    others.map(|(_, turn)| turn.move_.service.to_string()).collect()
}

/// The end of the round in the journal of every service, then what follows a switch.
async fn end(
    runners: &[&mut Runner],
    turns: &[Turn],
    round: Round,
    done: SwitchReport,
) -> Result<CutoverReport, EngineError> {
    for (runner, turn) in runners.iter().zip(turns) {
        runner.journal_end(&turn.move_, round, turn.epoch.next(), &done).await?;
    }
    match done.outcome {
        Outcome::Switched => {
            let names: Vec<String> = turns.iter().map(|turn| turn.move_.service.to_string()).collect();
            let mut hooked = Ok(());
            for (runner, turn) in runners.iter().zip(turns) {
                let moment = (Moment::AfterSwitch, names.as_slice());
                hooked = hooked.and(runner.run_hooks(&turn.move_, round, turn.epoch.next(), moment).await);
            }
            hooked?;
            Ok(reported(turns, round, CutoverOutcome::Switched, 1, Some(done)))
        }
        Outcome::Refused => Err(done.failure.unwrap_or_else(|| EngineError::gate("C0702", "a gate refused"))),
        Outcome::Aborted(reason) => {
            let why = done.failure.as_ref().map_or_else(|| reason.to_string(), |e| format!("{reason}: {e}"));
            let mut report = reported(turns, round, CutoverOutcome::Aborted, 0, Some(done));
            report.reason = Some(why);
            Ok(report)
        }
    }
}

/// The report names the first service, and the others beside it. `raised`: by how much the epochs are above those that
/// the round began with.
fn reported(
    turns: &[Turn],
    round: Round,
    outcome: CutoverOutcome,
    raised: i64,
    done: Option<SwitchReport>,
) -> CutoverReport {
    let of = |turn: &Turn, done| report(&turn.move_, round, outcome, Epoch(turn.epoch.0 + raised), done);
    let mut first = of(&turns[0], done);
    first.with = turns[1..]
        .iter()
        .map(|turn| of(turn, None))
        .map(|report| SwitchedWith { service: report.service, epoch: report.epoch, home: report.home })
        .collect();
    first
}
