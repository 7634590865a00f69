//! `apply` of a schema move: one transaction with roles, schema, privileges and search paths. No application notices:
//! the schema is empty.

use super::plan_of;
use crate::{
    EngineError,
    runner::Runner,
    switch::{script, sql},
};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::Epoch;
use cleave_plan::Plan;
use serde_json::json;

/// Step of the journal. Its time is what sessions are compared with: older ones do not know the new paths.
pub(super) const PREPARE: &str = "prepare_schema";

/// Brings a service to `prepared`.
pub(super) async fn apply(runner: &mut Runner, saved: Option<Plan>) -> Result<MoveState, EngineError> {
    let row = Box::pin(runner.planned(saved)).await?;
    let plan = plan_of(&row)?;
    if row.state != MoveState::Planned {
        return Ok(row.state);
    }
    let summary = format!("makes schema {} in {}, its roles and search paths", plan.schema, plan.database);
    let step = runner.events.step(&runner.service, PREPARE, summary);
    cleave_failpoint::hit_async("prepare_schema.before").await;
    let session = runner.journal().await?;
    let lock_ms = runner.topology.config().limits.lock_timeout.as_millis().max(1000);
    sql(&session, &format!("begin; set local lock_timeout = '{lock_ms}ms'")).await?;
    sql(&session, &script(&plan.script.prepare)).await?;
    runner.m_lease.check(&*session).await?;
    cleave_journal::insert_owner(&*session, &runner.service, &runner.m.name, Epoch(0)).await?;
    MoveRow::transition(&*session, &runner.service, &[MoveState::Planned], MoveState::Prepared).await?;
    let made = json!({ "roles": plan.made_roles, "paths": plan.paths });
    runner.enter(&*session, &row, (PREPARE, EntryEvent::Done), &made).await?;
    sql(&session, "commit").await?;
    cleave_failpoint::hit_async("prepare_schema.after").await;
    let paths = match plan.paths.len() {
        0 => "no search path had to change".to_owned(),
        count => format!("search paths changed: {count}; sessions learn them when they reconnect"),
    };
    step.finish(format!("schema {} is there; {paths}", plan.schema));
    Ok(MoveState::Prepared)
}
