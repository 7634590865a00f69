//! A comparison of a move's two sides as a piece of work that needs nothing of its runner: a verb makes it, or the
//! engine behind the verbs' back. How far it has come is kept in `cleave.verifying`, so that the next one goes on where
//! a dead one was.

use super::verify::{bound_to, settle};
use crate::{
    EngineError, VerifyOptions,
    context::MoveContext,
    runner::Runner,
    streams::Stream,
    verdict::{self, Alignment, Listing},
};
use cleave_api::VerifyReport;
use cleave_journal::{MoveRow, MoveState, Verification, VerificationOutcome, Verifying, VerifyingHead};
use cleave_model::{Direction, Ident, QualifiedName};
use cleave_pg::Session;
use cleave_plan::{MovePlan, PlannedTable, RowIdentity};
use cleave_verify::{
    Checkpoints, Found, Reached, RowKey, VerifyError, VerifyOutcome, VerifyProgress, VerifySpec, VerifyTable,
    verify,
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// Tables compared at a time where the user does not ask for more: each takes two connections on each side, beside those
/// of the streams.
const JOBS_MAX: usize = 2;

/// A comparison to be made.
pub(crate) struct Comparing {
    move_: MoveContext,
    state: MoveState,
    direction: Direction,
    tables: Vec<VerifyTable>,
    stream: Arc<Stream>,
}

/// One that was made; it is still to be recorded.
pub(crate) struct Compared {
    pub(super) move_: MoveContext,
    pub(super) state: MoveState,
    pub(super) direction: Direction,
    pub(super) tables: Vec<VerifyTable>,
    pub(super) outcome: VerifyOutcome,
    pub(super) report: VerifyReport,
    pub(super) verification: Verification,
}

impl Runner {
    /// A comparison of the home with the side that follows it.
    pub(crate) fn comparing(&self, row: &MoveRow) -> Result<Comparing, EngineError> {
        let direction = match row.state {
            _ if row.paused => return Err(self.wrong_state("paused", "verify", Some("resume"))),
            MoveState::Following => Direction::Forward,
            MoveState::Switched | MoveState::Completing | MoveState::Done => Direction::Back,
            other => return Err(self.wrong_state(other.as_str(), "verify", Some("apply"))),
        };
        let move_ = self.context(row)?;
        let tables = tables(&move_.plan, direction);
        Ok(Comparing { tables, state: row.state, direction, stream: self.running(direction)?, move_ })
    }
}

/// What is compared in a direction.
pub(super) fn tables(plan: &MovePlan, direction: Direction) -> Vec<VerifyTable> {
    plan.row_tables().map(|table| compared(plan, table, direction)).collect()
}

impl Comparing {
    /// How many tables there are.
    pub(super) fn count(&self) -> usize {
        self.tables.len()
    }

    /// Compares. `found` is told of every difference, beside whom the options name.
    pub(crate) async fn run(
        self,
        options: &VerifyOptions,
        found: Option<Found>,
        progress: impl Fn(VerifyProgress) + Sync,
    ) -> Result<Compared, EngineError> {
        let began = Instant::now();
        let listing = Listing::new(&self.tables);
        let (bound, checkpoints) = self.take_up(options).await?;
        let spec = self.spec(options, found.or_else(|| listing.found(options)), checkpoints);
        let outcome = verify(spec, progress).await?;
        let mut report =
            listing.report(self.move_.service.as_str(), &outcome, Alignment::Stream, began.elapsed());
        if report.resumed > 0 {
            report.since = Some(crate::status::timestamp_of(bound.at_epoch_s));
        }
        let verification = Verification {
            outcome: recorded(&outcome),
            rows: outcome.rows(),
            differences: outcome.differing(),
            unproven: unproven(&outcome),
            ..bound
        };
        let Self { move_, state, direction, tables, .. } = self;
        Ok(Compared { move_, state, direction, tables, outcome, report, verification })
    }

    /// What an earlier comparison of the same has proven, if that is not too old, and the place where this one keeps it.
    /// A verification is as old as its oldest part.
    async fn take_up(&self, options: &VerifyOptions) -> Result<(Verification, Checkpoints), EngineError> {
        let move_ = &self.move_;
        let session = Arc::new(move_.m.connect("verify progress").await?);
        let head = VerifyingHead {
            bound: bound_to(move_).await?,
            tables: self.tables.iter().map(|table| format!("{table:?}")).collect(),
        };
        let kept = if options.restart { None } else { Verifying::read(&**session, &move_.service).await? };
        let max_age_s = move_.limits.verify_max_age.as_secs();
        let taken = kept.filter(|kept| {
            let at_epoch_s = kept.head.bound.at_epoch_s;
            let young = at_epoch_s + max_age_s > head.bound.at_epoch_s;
            let same = kept.head.tables == head.tables
                && kept.head.bound == Verification { at_epoch_s, ..head.bound.clone() };
            same && young
        });
        let (bound, reached) = match taken {
            Some(kept) => (kept.head.bound, verdict::reached(kept.tables)),
            None => {
                Verifying::begin(&**session, &move_.m_lease, &move_.service, &head).await?;
                (head.bound, BTreeMap::new())
            }
        };
        Ok((bound, Checkpoints { reached, keep: Some(self.keeper(session)) }))
    }

    fn keeper(&self, session: Arc<Session>) -> cleave_verify::Keep {
        let (lease, service) = (self.move_.m_lease.clone(), self.move_.service.clone());
        Arc::new(move |table: &VerifyTable, reached: Reached| {
            let (session, lease, service) = (Arc::clone(&session), lease.clone(), service.clone());
            let title = table.title();
            Box::pin(async move {
                let part = verdict::part(reached);
                let kept = Verifying::keep(&**session, &lease, &service, &title, &part).await;
                kept.map_err(|error| VerifyError::NotKept { reason: error.to_string() })?;
                cleave_failpoint::hit_async("verify.kept").await;
                Ok(())
            })
        })
    }

    fn spec(&self, options: &VerifyOptions, found: Option<Found>, checkpoints: Checkpoints) -> VerifySpec {
        let move_ = &self.move_;
        let (home, follower) = (move_.source_of(self.direction), move_.target_of(self.direction));
        let cancelled = move_.cancelled.clone();
        let jobs = move_.limits.jobs.min(JOBS_MAX);
        let prefix = format!("{}/verify/{}", move_.service, move_.m_lease.epoch);
        VerifySpec {
            home: home.endpoint.clone(),
            follower: follower.endpoint.clone(),
            tables: self.tables.clone(),
            jobs: options.jobs(jobs),
            settle: settle(home.clone(), Arc::clone(&self.stream), prefix),
            limits: options.limits(jobs, &move_.limits),
            found,
            checkpoints,
            cancel: Box::pin(async move { cancelled.cancelled().await }),
        }
    }
}

fn compared(plan: &MovePlan, table: &PlannedTable, direction: Direction) -> VerifyTable {
    let at_source = match direction {
        Direction::Forward => table.source.qualified(),
        Direction::Back => plan.left_behind(&table.source),
    };
    let (home_name, follower_name): (QualifiedName, QualifiedName) = match direction {
        Direction::Forward => (at_source, table.target.qualified()),
        Direction::Back => (table.target.qualified(), at_source),
    };
    let column = |name: &str| (Ident::new(name), Ident::new(name));
    let key = match &table.identity {
        Some(RowIdentity::Key(columns)) => {
            let at = |name: &String| table.columns.iter().position(|column| column.name == *name);
            columns.iter().map(at).collect()
        }
        _ => None,
    };
    let columns = table.columns.iter().map(|c| column(&c.name)).collect();
    VerifyTable::whole(home_name, follower_name, columns, key)
}

fn recorded(outcome: &VerifyOutcome) -> VerificationOutcome {
    if outcome.differing() > 0 {
        VerificationOutcome::Different
    } else if outcome.unproven() > 0 {
        VerificationOutcome::Unproven
    } else {
        VerificationOutcome::Clean
    }
}

/// Unproven rows for a cutover to compare, if they are all known and each has a key.
fn unproven(outcome: &VerifyOutcome) -> Vec<(String, Vec<String>)> {
    let listed = outcome.tables.iter().flat_map(|table| {
        let keyed = table.unproven_rows.iter().filter(|row| matches!(row, RowKey::Key(_)));
        keyed.map(|row| (table.title.clone(), row.identity()))
    });
    let listed: Vec<_> = listed.collect();
    if listed.len() as u64 == outcome.unproven() { listed } else { Vec::new() }
}
