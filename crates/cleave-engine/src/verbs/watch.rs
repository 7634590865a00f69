//! Comparisons behind the verbs' back: from the first one that found no difference on, an engine that runs makes the next
//! `limits.verify_every` after each. A difference takes the place of what was clean, and so closes the gate. A verb goes
//! first: it ends the comparison that is under way, which goes on where it was once the verb has ended.

use super::comparing::Compared;
use crate::{EngineError, VerifyOptions, runner::Runner};
use cleave_api::{Event, Problem};
use cleave_journal::{MoveState, Verification, VerificationOutcome};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// Between two looks whether it is time; a comparison that failed is tried again after as long.
const LOOK: Duration = Duration::from_secs(1);

/// The comparison under way, if there is one.
#[derive(Default)]
pub(crate) struct Watch {
    task: Option<JoinHandle<Result<Compared, EngineError>>>,
    looked: Option<Instant>,
    /// What the last failure said; told once.
    failed: Option<String>,
}

impl Runner {
    /// Takes what a comparison has found, and begins the next one when it is time.
    pub(crate) async fn watch(&mut self) -> Result<(), EngineError> {
        let Some(every) = self.topology.config().limits.verify_every else { return Ok(()) };
        if let Some(task) = &self.watch.task {
            if !task.is_finished() {
                return Ok(());
            }
            return self.take_watched().await;
        }
        if self.watch.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        self.watch.looked = Some(Instant::now());
        let Some(row) = self.row().await? else { return Ok(()) };
        if !matches!(row.state, MoveState::Following | MoveState::Switched) || row.paused {
            return Ok(());
        }
        let Some(verification) = &row.verification else { return Ok(()) };
        if !self.is_due(verification, every).await? {
            return Ok(());
        }
        // Without its stream nothing can be compared; what stopped it has been told.
        let Ok(comparing) = self.comparing(&row) else { return Ok(()) };
        self.watch.task = Some(tokio::spawn(async move {
            Box::pin(comparing.run(&VerifyOptions::default(), None, |_| {})).await
        }));
        Ok(())
    }

    /// Another epoch has another home and another follower: nothing is known of them.
    async fn is_due(&self, last: &Verification, every: Duration) -> Result<bool, EngineError> {
        if last.outcome == VerificationOutcome::Different {
            return Ok(false);
        }
        let owner = cleave_journal::owner(&*self.journal().await?, &self.service).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let old = last.at_epoch_s + every.as_secs() <= now;
        Ok(old || owner.is_some_and(|owner| owner.epoch.0 != last.epoch))
    }

    async fn take_watched(&mut self) -> Result<(), EngineError> {
        let Some(task) = self.watch.task.take() else { return Ok(()) };
        let service = Some(self.service.to_string());
        match task.await {
            Ok(Ok(compared)) => {
                self.watch.failed = None;
                self.record(&compared).await?;
                if compared.outcome.differing() > 0 {
                    let message = format!(
                        "{} rows of {} differ: found by the comparison that `verify_every` asks for",
                        compared.outcome.differing(),
                        self.service
                    );
                    let problem = Problem::error("C0618", message)
                        .hint("a cutover is refused now; `cleave verify` names the rows, `cleave verify --repair` mends them");
                    self.events.tell(Event::Problem { service, problem });
                }
            }
            Ok(Err(error)) => {
                let problem = error.problem();
                if self.watch.failed.as_ref() != Some(&problem.message) {
                    self.watch.failed = Some(problem.message.clone());
                    self.events.tell(Event::Problem { service, problem });
                }
            }
            // It panicked and has said so, or was ended.
            Err(_) => {}
        }
        Ok(())
    }

    /// Ends the comparison under way; what it has proven is kept.
    pub(crate) async fn end_watch(&mut self) {
        if let Some(task) = self.watch.task.take() {
            task.abort();
            // Until it is gone it has a hand on the stream.
            let _ = task.await;
        }
    }
}

/// Rows that a verification left unproven, for the round to compare while writers wait; none if there is no such row.
pub(super) fn rows_to_compare(last: &Verification) -> Vec<(String, Vec<String>)> {
    if last.outcome == VerificationOutcome::Unproven { last.unproven.clone() } else { Vec::new() }
}
