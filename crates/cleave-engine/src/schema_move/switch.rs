//! `cutover` and `rollback` of a schema move: one transaction takes the locks, changes the names, and writes owner row,
//! state and journal. A process that dies leaves either all of it or nothing.

use super::{
    apply::PREPARE,
    calls, functions, gates,
    ladder::{Attempt, Climb, Order, begin, undone},
    observe, plan_of,
};
use crate::{
    EngineError,
    hooks::{self, Moment, Occasion},
    runner::Runner,
    switch::{script, sql},
};
use cleave_api::{CutoverOutcome, CutoverReport, SwitchDirection};
use cleave_ddl::schema_move::{relocate, view};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::{Epoch, QualifiedName};
use cleave_pg::Session;
use cleave_plan::cutover::Round;
use cleave_plan::{FunctionBack, NameLayer, SchemaPlan};
use serde_json::json;
use std::time::{Duration, Instant};

/// A round: what it runs, from where to where.
struct Turn {
    round: Round,
    plan: SchemaPlan,
    statements: Vec<String>,
    /// Functions that get their old texts before it, so that no call is caught by the new names.
    first: Vec<FunctionBack>,
    /// Functions that the server checks afterwards: OID, name, and the search path to check it under.
    checked: Vec<functions::Checked>,
    /// Tables under the names they have before it.
    tables: Vec<QualifiedName>,
    /// Views under the old names, locked first: who writes through them takes them first.
    views: Vec<QualifiedName>,
    from: MoveState,
    to: MoveState,
    epoch: Epoch,
}

/// Changes the names. Nothing happens when they are changed already.
pub(super) async fn cutover(runner: &mut Runner, dry_run: bool) -> Result<CutoverReport, EngineError> {
    let (row, epoch) = opened(runner, Round::Cutover).await?;
    let plan = plan_of(&row)?;
    match row.state {
        MoveState::Switched => {
            calls::put_forth(runner, &row).await?;
            return Ok(report(runner, &plan, Round::Cutover, CutoverOutcome::Switched, epoch));
        }
        MoveState::Prepared => {}
        other => return Err(runner.wrong_state(other.as_str(), "cutover", Some("apply"))),
    }
    let session = runner.m.connect("switch").await?;
    let fresh = Box::pin(gates::fresh(runner, &plan, &session)).await?;
    gates::prepared_transactions(runner, &session, &fresh.old_names()).await?;
    gates::sessions(runner, &row, &fresh, &session, PREPARE).await?;
    let turn = Turn {
        round: Round::Cutover,
        statements: functions::cutover(&fresh),
        first: Vec::new(),
        checked: functions::valid(&fresh, &session).await?,
        tables: fresh.old_names(),
        views: Vec::new(),
        from: MoveState::Prepared,
        to: MoveState::Switched,
        epoch: epoch.next(),
        plan: fresh,
    };
    run(runner, &row, turn, session, dry_run).await
}

/// Changes the names back. Nothing happens when they are.
pub(super) async fn rollback(runner: &mut Runner, dry_run: bool) -> Result<CutoverReport, EngineError> {
    let (row, epoch) = opened(runner, Round::Rollback).await?;
    let plan = plan_of(&row)?;
    match row.state {
        MoveState::Switched => {}
        MoveState::Prepared if epoch > Epoch(0) => {
            return Ok(report(runner, &plan, Round::Rollback, CutoverOutcome::Switched, epoch));
        }
        other => return Err(runner.wrong_state(other.as_str(), "rollback", Some("cutover"))),
    }
    let session = runner.m.connect("switch").await?;
    gates::splits(&plan, &session).await?;
    gates::prepared_transactions(runner, &session, &plan.new_names()).await?;
    gates::old_names(&plan, &session).await?;
    gates::dependents(runner, &plan, &session).await?;
    let strays = observe::new_partitions(&session, &plan).await?;
    let mut statements = plan.script.rollback.clone();
    let back = functions::rollback(runner, &row, &plan, &session).await?;
    let (first, back): (Vec<_>, Vec<_>) = back.into_iter().partition(|function| function.through_views);
    statements.extend(functions::unchecked(back.iter().map(|function| &function.back)));
    statements.extend(
        strays
            .iter()
            .map(|stray| format!("alter table {} set schema {}", stray.now.quoted(), stray.back.quoted())),
    );
    let turn = Turn {
        round: Round::Rollback,
        statements,
        first,
        checked: Vec::new(),
        tables: plan.new_names().into_iter().chain(strays.into_iter().map(|stray| stray.now)).collect(),
        views: if plan.layer == NameLayer::View { plan.old_names() } else { Vec::new() },
        from: MoveState::Switched,
        to: MoveState::Prepared,
        epoch: epoch.next(),
        plan,
    };
    run(runner, &row, turn, session, dry_run).await
}

async fn opened(runner: &Runner, round: Round) -> Result<(MoveRow, Epoch), EngineError> {
    let row = runner.open_row(round.as_str()).await?;
    let owner = cleave_journal::owner(&*runner.journal().await?, &runner.service).await?;
    Ok((row, owner.map_or(Epoch(0), |owner| owner.epoch)))
}

async fn run(
    runner: &Runner,
    row: &MoveRow,
    turn: Turn,
    session: Session,
    dry_run: bool,
) -> Result<CutoverReport, EngineError> {
    let before = Epoch(turn.epoch.0 - 1);
    if dry_run {
        return Ok(report(runner, &turn.plan, turn.round, CutoverOutcome::Rehearsed, before));
    }
    let limit = runner.topology.config().hooks.limit;
    hook(runner, row, &turn, (Moment::BeforeSwitch, limit)).await?;
    let step = runner.events.step(
        &runner.service,
        turn.round.as_str(),
        format!("changes the schema of {} tables in one transaction", turn.tables.len()),
    );
    let climbed = async {
        calls::put_back(runner, row, &turn.first, &session).await?;
        Box::pin(climb(runner, row, &turn, &session)).await
    };
    let pause = match climbed.await {
        Ok(pause) => pause,
        Err(error) => return failed(runner, row, &turn, error).await,
    };
    cleave_failpoint::hit_async("schema_switch.after").await;
    step.finish(format!("the tables are in schema {}", target(&turn)));
    hook(runner, row, &turn, (Moment::AfterSwitch, limit)).await?;
    let mut report = report(runner, &turn.plan, turn.round, CutoverOutcome::Switched, turn.epoch);
    report.pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// Attempt after attempt.
async fn climb(
    runner: &Runner,
    row: &MoveRow,
    turn: &Turn,
    session: &Session,
) -> Result<Duration, EngineError> {
    let mut climb = Climb::new(runner, row, turn.round.as_str(), &turn.tables);
    loop {
        match attempt(runner, row, turn, session, climb.order()).await? {
            Attempt::Done(pause) => return Ok(pause),
            Attempt::Blocked => climb.rest().await?,
        }
    }
}

fn target(turn: &Turn) -> String {
    match turn.round {
        Round::Cutover => turn.plan.schema.clone(),
        Round::Rollback => {
            turn.plan.old_schemas().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    }
}

/// One transaction. Until its commit nothing has happened.
async fn attempt(
    runner: &Runner,
    row: &MoveRow,
    turn: &Turn,
    session: &Session,
    order: Order,
) -> Result<Attempt, EngineError> {
    let began = Instant::now();
    begin(runner, session).await?;
    if let Err(error) = change(runner, row, turn, session, order).await {
        return undone(session, error).await;
    }
    cleave_failpoint::hit_async("schema_switch.before").await;
    let budget = runner.topology.config().limits.write_pause;
    let left = budget.saturating_sub(began.elapsed()).min(runner.topology.config().hooks.limit);
    if let Err(error) = hook(runner, row, turn, (Moment::InPause, left)).await {
        sql(session, "rollback").await?;
        return Err(error);
    }
    if began.elapsed() > budget {
        sql(session, "rollback").await?;
        return Err(over_budget(budget));
    }
    sql(session, "commit").await?;
    Ok(Attempt::Done(began.elapsed()))
}

async fn change(
    runner: &Runner,
    row: &MoveRow,
    turn: &Turn,
    session: &Session,
    order: Order,
) -> Result<(), EngineError> {
    let (mut views, mut tables) = (turn.views.clone(), turn.tables.clone());
    if order == Order::Backward {
        views.reverse();
        tables.reverse();
    }
    let mut locks: Vec<String> = views.iter().map(view::lock).collect();
    locks.push(relocate::lock(&tables));
    sql(session, &script(&locks)).await?;
    runner.m_lease.check(&**session).await?;
    if turn.round == Round::Cutover {
        gates::unchanged(&turn.plan, session).await?;
    }
    sql(session, &script(&turn.statements)).await?;
    functions::check(&turn.checked, session).await?;
    sql(session, "set local search_path = ''").await?;
    MoveRow::transition(&**session, &runner.service, &[turn.from], turn.to).await?;
    cleave_journal::set_owner(&**session, &runner.service, &runner.m.name, turn.epoch).await?;
    if turn.round == Round::Cutover {
        let value = serde_json::to_value(&turn.plan).map_err(|error| EngineError::Stored {
            what: "the plan".to_owned(),
            reason: error.to_string(),
        })?;
        MoveRow::set_plan(&**session, &runner.service, &value, &turn.plan.fingerprint).await?;
    }
    let texts = functions::texts(&turn.plan, session).await?;
    let detail = json!({ "epoch": turn.epoch.0, "tables": turn.tables.len(), "functions": texts });
    runner.enter(&**session, row, (turn.round.as_str(), EntryEvent::Done), &detail).await
}

fn over_budget(budget: Duration) -> EngineError {
    EngineError::gate(
        "C1118",
        format!("writers would have waited longer than write_pause ({} ms)", budget.as_millis()),
    )
}

/// Past its budget a round says so with its own exit code; nothing has changed.
async fn failed(
    runner: &Runner,
    row: &MoveRow,
    turn: &Turn,
    error: EngineError,
) -> Result<CutoverReport, EngineError> {
    // The answer to a commit may have been lost: the row says what became of it.
    if runner.row().await?.is_some_and(|now| now.id == row.id && now.state == turn.to) {
        return Ok(report(runner, &turn.plan, turn.round, CutoverOutcome::Switched, turn.epoch));
    }
    if !turn.first.is_empty() {
        // What cannot be put forth now is by the next verb; the first error is the one to tell.
        let _later = calls::put_forth(runner, row).await;
    }
    let detail = json!({ "epoch": turn.epoch.0, "reason": error.to_string() });
    let session = runner.journal().await?;
    runner.enter(&*session, row, (turn.round.as_str(), EntryEvent::Failed), &detail).await?;
    let late = matches!(error.sqlstate(), Some("57014" | "25P03")) || error.code() == "C1118";
    if !late {
        return Err(error);
    }
    let before = Epoch(turn.epoch.0 - 1);
    let mut report = report(runner, &turn.plan, turn.round, CutoverOutcome::Aborted, before);
    report.reason = Some(format!("write_pause was not enough: {error}"));
    Ok(report)
}

async fn hook(
    runner: &Runner,
    row: &MoveRow,
    turn: &Turn,
    (moment, limit): (Moment, Duration),
) -> Result<(), EngineError> {
    let session = runner.journal().await?;
    let name = &runner.m.name;
    let (round, epoch) = (turn.round, turn.epoch);
    let occasion = Occasion { round, epoch, home_from: name, home_to: name, services: &[] };
    hooks::run(runner.hook_site(row), &session, moment, occasion, limit).await
}

fn report(
    runner: &Runner,
    plan: &SchemaPlan,
    round: Round,
    outcome: CutoverOutcome,
    epoch: Epoch,
) -> CutoverReport {
    let moved = (round == Round::Cutover) == (outcome == CutoverOutcome::Switched);
    CutoverReport {
        service: runner.service.to_string(),
        direction: match round {
            Round::Cutover => SwitchDirection::Cutover,
            Round::Rollback => SwitchDirection::Rollback,
        },
        outcome,
        pause_ms: 0,
        budget_ms: u64::try_from(runner.topology.config().limits.write_pause.as_millis()).unwrap_or(u64::MAX),
        steps: Vec::new(),
        epoch: epoch.0,
        home: if moved { format!("{}/{}", plan.database, plan.schema) } else { plan.database.clone() },
        reason: None,
        with: Vec::new(),
    }
}
