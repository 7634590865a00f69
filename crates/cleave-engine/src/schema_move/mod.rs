//! The verbs of a move inside one database. Rows stay where they are, so there is no stream and nothing to compare:
//! `apply` makes schema, roles and search paths, `cutover` changes the names in one transaction, `rollback` changes
//! them back, `complete` removes the old names. State, plan and journal stand where those of live moves do; the
//! transaction that does the work writes them.

mod apply;
mod calls;
mod close;
mod drift;
mod functions;
mod gates;
mod ladder;
mod observe;
mod switch;

pub(crate) use drift::problems;
pub(crate) use observe::plan;

use crate::{
    EngineError,
    context::{other_kind, stored},
    engine::{Answer, Verb, state_of},
    hooks::HookSite,
    runner::Runner,
};
use cleave_journal::{EntryEvent, MoveRow};
use cleave_plan::{Plan, SchemaPlan};
use serde_json::Value;
use tokio_postgres::GenericClient;

/// Runs a verb on a service whose home is in the database that its tables come from.
pub(crate) async fn run_verb(runner: &mut Runner, verb: Verb) -> Result<Answer, EngineError> {
    match verb {
        Verb::Apply(plan) => {
            let state = Box::pin(apply::apply(runner, plan.map(|plan| *plan))).await?;
            Ok(Answer::State(state.as_str().to_owned()))
        }
        Verb::Cutover { dry_run } => Ok(Answer::Switch(Box::pin(switch::cutover(runner, dry_run)).await?)),
        Verb::Rollback { dry_run } => Ok(Answer::Switch(Box::pin(switch::rollback(runner, dry_run)).await?)),
        Verb::Complete => {
            Box::pin(close::complete(runner)).await?;
            state_of(runner).await
        }
        Verb::Cancel => {
            Box::pin(close::cancel(runner)).await?;
            state_of(runner).await
        }
        Verb::Verify | Verb::VerifyWith(_) | Verb::Repair { .. } => {
            Err(nothing(runner, "its rows stay where they are, and there is nothing to compare"))
        }
        Verb::Pause | Verb::Resume => Err(nothing(runner, "it has no streams to pause or to resume")),
    }
}

fn nothing(runner: &Runner, why: &str) -> EngineError {
    let service = &runner.service;
    EngineError::gate("C1122", format!("service {service} moves inside one database: {why}"))
        .next(&["status", service.as_str()])
}

/// The plan of a move, which must be one inside the database.
fn plan_of(row: &MoveRow) -> Result<SchemaPlan, EngineError> {
    match stored(row)? {
        Plan::Schema(plan) => Ok(*plan),
        Plan::Live(_) => Err(other_kind(&row.service, "another database")),
    }
}

impl Runner {
    /// Writes an entry into the journal.
    async fn enter(
        &self,
        client: &impl GenericClient,
        row: &MoveRow,
        (step, event): (&str, EntryEvent),
        detail: &Value,
    ) -> Result<(), EngineError> {
        Ok(cleave_journal::append(client, &self.m_lease, &self.service, row.id, step, event, detail).await?)
    }

    fn hook_site(&self, row: &MoveRow) -> HookSite<'_> {
        HookSite {
            hooks: &self.topology.config().hooks,
            folder: self.topology.folder(),
            service: &self.service,
            incarnation: row.id,
            lease: &self.m_lease,
            events: &self.events,
        }
    }
}
