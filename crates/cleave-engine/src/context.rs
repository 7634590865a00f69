//! One service's open move with everything its steps need.

use crate::{EngineError, Events, Site, pooler::Pooler};
use cleave_config::{Hooks, Limits};
use cleave_journal::{Entry, EntryEvent, Lease, MoveRow};
use cleave_model::{Direction, ServiceName, labels};
use cleave_plan::{MovePlan, Plan};
use cleave_stream::Cancelled;
use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use tokio_postgres::GenericClient;

/// A move, its two sides and the leases on them. M is the source of the move, N its target.
#[derive(Clone, Debug)]
pub(crate) struct MoveContext {
    pub(crate) service: ServiceName,
    /// Incarnation of the move.
    pub(crate) incarnation: i64,
    pub(crate) plan: MovePlan,
    pub(crate) m: Site,
    pub(crate) n: Site,
    pub(crate) m_lease: Lease,
    pub(crate) n_lease: Lease,
    pub(crate) limits: Limits,
    /// A switch ends sessions that keep it from its locks for so long.
    pub(crate) terminate_blockers_after: Option<Duration>,
    /// Columns that change on M are changed at N too (`on_ddl = "follow"`).
    pub(crate) follows_columns: bool,
    pub(crate) hooks: Hooks,
    pub(crate) pooler: Option<Pooler>,
    /// Where hooks run.
    pub(crate) folder: PathBuf,
    pub(crate) events: Events,
    /// Somebody asks to stop.
    pub(crate) cancelled: Cancelled,
}

impl MoveContext {
    /// [`EngineError::Interrupted`] once somebody asks to stop.
    pub(crate) fn check_cancelled(&self) -> Result<(), EngineError> {
        if self.cancelled.is_cancelled() { Err(EngineError::Interrupted) } else { Ok(()) }
    }

    /// The site that a direction reads.
    pub(crate) fn source_of(&self, direction: Direction) -> &Site {
        match direction {
            Direction::Forward => &self.m,
            Direction::Back => &self.n,
        }
    }

    /// The site that a direction writes.
    pub(crate) fn target_of(&self, direction: Direction) -> &Site {
        self.source_of(direction.opposite())
    }

    /// The lease on a direction's target.
    pub(crate) fn target_lease_of(&self, direction: Direction) -> &Lease {
        match direction {
            Direction::Forward => &self.n_lease,
            Direction::Back => &self.m_lease,
        }
    }

    /// Key of a stream in the journal.
    pub(crate) fn stream(&self, direction: Direction) -> String {
        labels::stream(&self.service, direction)
    }

    /// Name of a stream's slot.
    pub(crate) fn slot(&self, direction: Direction) -> String {
        labels::slot(&self.service, direction, self.incarnation)
    }

    /// Name of the slot of a detached group.
    pub(crate) fn part_slot(&self, part: u32) -> String {
        labels::of_part(&self.slot(Direction::Forward), part)
    }

    /// Name of the origin of a detached group's stream.
    pub(crate) fn part_origin(&self, part: u32) -> String {
        labels::of_part(&labels::origin(&self.service, Direction::Forward), part)
    }

    /// Writes an entry into M's journal.
    pub(crate) async fn journal_m(
        &self,
        client: &impl GenericClient,
        step: &str,
        event: EntryEvent,
        detail: &Value,
    ) -> Result<(), EngineError> {
        let (lease, service) = (&self.m_lease, &self.service);
        Ok(cleave_journal::append(client, lease, service, self.incarnation, step, event, detail).await?)
    }

    /// Writes an entry into N's journal.
    pub(crate) async fn journal_n(
        &self,
        client: &impl GenericClient,
        step: &str,
        event: EntryEvent,
        detail: &Value,
    ) -> Result<(), EngineError> {
        let (lease, service) = (&self.n_lease, &self.service);
        Ok(cleave_journal::append(client, lease, service, self.incarnation, step, event, detail).await?)
    }

    /// True if a step of this move is done, as M's journal has it.
    pub(crate) async fn is_done(&self, client: &impl GenericClient, step: &str) -> Result<bool, EngineError> {
        Ok(cleave_journal::step_is_done(client, &self.service, self.incarnation, step).await?)
    }

    /// This move's journal entries, oldest first.
    pub(crate) async fn entries(&self, client: &impl GenericClient) -> Result<Vec<Entry>, EngineError> {
        let mut entries = cleave_journal::entries(client, &self.service).await?;
        entries.retain(|entry| entry.incarnation == self.incarnation);
        Ok(entries)
    }
}

/// Reads the plan that a move's row holds, of either kind.
pub(crate) fn stored(row: &MoveRow) -> Result<Plan, EngineError> {
    Plan::from_value(row.plan.clone()).map_err(|error| EngineError::Stored {
        what: format!("the plan of service {}", row.service),
        reason: error.to_string(),
    })
}

/// Reads the plan of a live move.
pub(crate) fn stored_plan(row: &MoveRow) -> Result<MovePlan, EngineError> {
    match stored(row)? {
        Plan::Live(plan) => Ok(*plan),
        Plan::Schema(_) => Err(other_kind(&row.service, "another schema")),
    }
}

/// cleave.toml wants another kind of move than the one that is open.
pub(crate) fn other_kind(service: &ServiceName, open: &str) -> EngineError {
    EngineError::gate(
        "C1119",
        format!("service {service} has an open move into {open}, and cleave.toml wants another kind"),
    )
    .hint("complete or cancel it with the cleave.toml it began with, then go on")
}
