//! `apply`: prepares and fills. It never switches.

use crate::{
    EngineError,
    context::{MoveContext, stored},
    planning,
    runner::Runner,
    steps,
};
use cleave_api::ExitCode;
use cleave_journal::{MoveRow, MoveState};
use cleave_model::Direction;
use cleave_plan::{Finding, Plan, Weight};

/// When a foreground `apply` leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// On request; it keeps the streams going.
    Stopped,
    /// As soon as the target follows.
    Following,
}

impl Runner {
    /// Brings a service to `following`, from wherever it stands. `saved` is a plan that the user has looked at:
    /// exactly that plan is run, or none.
    pub(crate) async fn apply(&mut self, saved: Option<Plan>) -> Result<MoveState, EngineError> {
        let row = Box::pin(self.planned(saved)).await?;
        if row.paused {
            return Err(self.wrong_state("paused", "apply", Some("resume")));
        }
        let move_ = self.context(&row)?;
        self.refuse_half_cancelled(&move_).await?;
        if !matches!(row.state, MoveState::Planned | MoveState::Prepared | MoveState::Copying) {
            self.streams.start(&move_, row.state).await?;
            return Ok(row.state);
        }
        Box::pin(self.fill(&move_)).await?;
        self.streams.start(&move_, MoveState::Following).await?;
        Ok(MoveState::Following)
    }

    async fn fill(&mut self, move_: &MoveContext) -> Result<(), EngineError> {
        self.check_cancelled()?;
        steps::failover::check(move_).await?;
        Box::pin(steps::prepare_target(move_)).await?;
        self.check_cancelled()?;
        Box::pin(steps::prepare_source(move_)).await?;
        self.check_cancelled()?;
        // A stream would hold the slot whose snapshot the copy may still need, and pass start positions too early.
        self.streams.stop(Direction::Forward).await;
        let made = Box::pin(steps::forward_slot(move_)).await?;
        self.check_cancelled()?;
        Box::pin(steps::copy(move_, made, &self.cancelled)).await?;
        self.streams.start(move_, MoveState::Copying).await?;
        self.pass_start_positions(move_).await?;
        self.check_cancelled()?;
        Box::pin(steps::finish(move_)).await?;
        self.check_cancelled()?;
        Box::pin(steps::way_back(move_)).await
    }

    /// Indexes and keys are built once every table is past its own start position: before, a unique index could meet
    /// a table that is newer than the others' changes.
    async fn pass_start_positions(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let Some(stream) = self.streams.get(Direction::Forward) else { return Ok(()) };
        let n = move_.n.connect("catch up").await?;
        let mut passed = None;
        loop {
            let copied = cleave_journal::copied_tables(&*n, &move_.stream(Direction::Forward)).await?;
            let last = copied.iter().map(|table| table.start).max();
            // That of a giant may rise on the way.
            let Some(last) = last.filter(|last| Some(*last) > passed) else { return Ok(()) };
            tokio::select! {
                waited = stream.wait_for_position(last) => waited?,
                () = self.cancelled.cancelled() => return Err(EngineError::Interrupted),
            }
            passed = Some(last);
        }
    }

    pub(crate) fn check_cancelled(&self) -> Result<(), EngineError> {
        if self.cancelled.is_cancelled() { Err(EngineError::Interrupted) } else { Ok(()) }
    }

    /// The open move, or a new one with a plan that nothing stands against.
    pub(crate) async fn planned(&self, saved: Option<Plan>) -> Result<MoveRow, EngineError> {
        if let Some(row) = self.row().await?.filter(|row| row.state.is_open()) {
            let stored = stored(&row)?;
            if saved.is_none_or(|saved| saved.does_the_same_as(&stored)) {
                return Ok(row);
            }
            let message = format!("service {} has an open move with another plan", self.service);
            return Err(EngineError::gate("C0222", message).next(&["status", self.service.as_str()]));
        }
        let configured = self.configured()?;
        let fresh = planning::plan_now(&self.topology, configured).await?;
        if let Some(saved) = &saved
            && !saved.does_the_same_as(&fresh)
        {
            return Err(drifted(saved, &fresh));
        }
        if fresh.is_refused() {
            let refusals = fresh.findings().iter().filter(|finding| finding.weight == Weight::Refusal);
            let findings: Vec<String> = refusals.map(refusal).collect();
            return Err(EngineError::Refused {
                service: self.service.clone(),
                count: findings.len(),
                findings,
            });
        }
        let value = fresh.to_value().map_err(|error| EngineError::Stored {
            what: "the plan".to_owned(),
            reason: error.to_string(),
        })?;
        let session = self.journal().await?;
        let sides = (&self.m.name, &self.n.name);
        MoveRow::start(&*session, &self.service, sides, &value, fresh.fingerprint()).await?;
        cleave_failpoint::hit_async("plan.stored").await;
        self.open_row("apply").await
    }
}

/// A finding in one line, with what would settle it.
pub(crate) fn refusal(finding: &Finding) -> String {
    let Finding { code, object, message, fix, .. } = finding;
    let fix = fix.as_ref().map(|fix| format!("; to settle it: {fix}"));
    format!("{code} {object}: {message}{}", fix.unwrap_or_default())
}

/// A plan is run exactly or not at all: sizes and findings may have changed, nothing else.
fn drifted(saved: &Plan, fresh: &Plan) -> EngineError {
    let what = if saved.fingerprint() != fresh.fingerprint() {
        "the tables were altered since"
    } else {
        "the databases or cleave.toml have changed since"
    };
    EngineError::Gate {
        code: "C0223",
        message: format!("the plan no longer fits: {what}"),
        hint: Some("make the plan again, look at it, and apply that one".to_owned()),
        next: Some(vec!["plan".to_owned(), fresh.service().to_owned()]),
        exit: ExitCode::Drift,
    }
}
