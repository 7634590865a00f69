//! `complete` and `cancel` of a schema move: one transaction each.

use super::{
    calls, gates,
    ladder::{Attempt, Climb, begin, undone},
    plan_of,
};
use crate::{
    EngineError,
    runner::Runner,
    switch::{script, sql},
};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::QualifiedName;
use cleave_pg::{During, Session};
use cleave_plan::{NameLayer, SchemaPlan};
use serde_json::json;
use std::time::Instant;

const COMPLETE: &str = "complete";
const CANCEL: &str = "cancel";

/// Removes the old names: the only step that cannot be undone.
pub(super) async fn complete(runner: &mut Runner) -> Result<(), EngineError> {
    let Some(row) = runner.row().await? else {
        return Err(runner.wrong_state("not started", COMPLETE, Some("apply")));
    };
    match row.state {
        MoveState::Done => return Ok(()),
        MoveState::Switched => {}
        other => return Err(runner.wrong_state(other.as_str(), COMPLETE, Some("cutover"))),
    }
    let plan = plan_of(&row)?;
    let session = runner.m.connect("complete").await?;
    gates::dependents(runner, &plan, &session).await?;
    let step = runner.events.step(&runner.service, COMPLETE, "removes the old names and the way back");
    let views = if plan.layer == NameLayer::View { plan.old_names() } else { Vec::new() };
    let mut climb = Climb::new(runner, &row, COMPLETE, &views);
    while let Attempt::Blocked = end(runner, &row, &plan, &session).await? {
        climb.rest().await?;
    }
    cleave_failpoint::hit_async("schema_complete.after").await;
    step.finish(format!("{} is the home for good", plan.schema));
    Ok(())
}

async fn end(
    runner: &Runner,
    row: &MoveRow,
    plan: &SchemaPlan,
    session: &Session,
) -> Result<Attempt, EngineError> {
    let began = Instant::now();
    begin(runner, session).await?;
    let done = async {
        // What a rollback that died on its way has put back would lose the views that it goes through.
        sql(session, &script(&calls::pending(runner, row, session).await?)).await?;
        sql(session, &script(&plan.script.complete)).await?;
        runner.m_lease.check(&**session).await?;
        MoveRow::transition(&**session, &runner.service, &[MoveState::Switched], MoveState::Done).await?;
        runner.enter(&**session, row, (COMPLETE, EntryEvent::Done), &json!({})).await
    };
    if let Err(error) = done.await {
        return undone(session, error).await;
    }
    cleave_failpoint::hit_async("schema_complete.before").await;
    sql(session, "commit").await?;
    Ok(Attempt::Done(began.elapsed()))
}

/// Takes back what `apply` has made. Other services may have put their schemas into the same search paths meanwhile:
/// only this one's is taken out.
pub(super) async fn cancel(runner: &mut Runner) -> Result<(), EngineError> {
    let Some(row) = runner.row().await? else {
        return Err(runner.wrong_state("not started", CANCEL, Some("apply")));
    };
    match row.state {
        MoveState::Cancelled => return Ok(()),
        MoveState::Planned | MoveState::Prepared => {}
        MoveState::Switched => return Err(runner.wrong_state("switched", CANCEL, Some("rollback"))),
        other => return Err(runner.wrong_state(other.as_str(), CANCEL, None)),
    }
    let plan = plan_of(&row)?;
    let session = runner.m.connect(CANCEL).await?;
    let step = runner.events.step(
        &runner.service,
        CANCEL,
        format!("removes schema {} and what apply made", plan.schema),
    );
    let mut statements = Vec::new();
    if row.state == MoveState::Prepared {
        foreign(&plan, &session).await?;
        let around = cleave_pg::surroundings(&session).await?;
        let database = cleave_pg::facts(&session).await?.database;
        statements = cleave_plan::restored_paths(&plan, &around, &database);
        statements.extend(plan.script.cancel.iter().cloned());
    }
    sql(&session, "begin; set local lock_timeout = '5s'").await?;
    if let Err(error) = sql(&session, &script(&statements)).await {
        return Err(still_used(error, &plan));
    }
    runner.m_lease.check(&*session).await?;
    cleave_journal::delete_owner(&*session, &runner.service).await?;
    MoveRow::transition(&*session, &runner.service, &[row.state], MoveState::Cancelled).await?;
    runner.enter(&*session, &row, (CANCEL, EntryEvent::Done), &json!({})).await?;
    cleave_failpoint::hit_async("schema_cancel.before").await;
    sql(&session, "commit").await?;
    cleave_failpoint::hit_async("schema_cancel.after").await;
    step.finish("the service is where it was");
    Ok(())
}

/// Only a schema that this move has made, and nobody has used, is dropped.
async fn foreign(plan: &SchemaPlan, session: &Session) -> Result<(), EngineError> {
    if !plan.script.cancel.iter().any(|statement| statement.starts_with("drop schema")) {
        return Ok(());
    }
    const SQL: &str = "
        select c.relname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relkind <> 'i' union
        select p.proname::text from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where n.nspname = $1 order by 1 limit 5";
    let rows =
        session.query(SQL, &[&plan.schema]).await.during("looking for objects of others in the schema")?;
    if rows.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = rows
        .iter()
        .map(|row| QualifiedName::new(plan.schema.as_str(), row.get::<_, &str>(0)).to_string())
        .collect();
    Err(EngineError::gate(
        "C1123",
        format!("the schema holds what this move did not make: {}", names.join(", ")),
    )
    .hint("move it elsewhere or drop it; then run the command again"))
}

/// 2BP01: something depends on a role or a schema that would be dropped.
fn still_used(error: EngineError, plan: &SchemaPlan) -> EngineError {
    if error.sqlstate() != Some("2BP01") {
        return error;
    }
    let made = plan.made_roles.join(", ");
    EngineError::gate("C1123", format!("what apply made is used by others: {error}")).hint(format!(
        "take rights and objects from {made} first (`drop owned by`), then run the command again"
    ))
}
