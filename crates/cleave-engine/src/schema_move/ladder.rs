//! The lock ladder of a schema move: short attempts at all locks at once, growing pauses, a budget, and who was in the
//! way. Each attempt is one transaction, which does everything or nothing.

use crate::{
    EngineError,
    runner::Runner,
    switch::{describe_holders, holder, holders, sql, terminate_client},
};
use cleave_journal::{EntryEvent, MoveRow};
use cleave_model::QualifiedName;
use cleave_pg::Session;
use serde_json::json;
use std::time::{Duration, Instant};

const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How an attempt ended.
pub(super) enum Attempt {
    /// Committed; writers waited so long.
    Done(Duration),
    /// A lock could not be had in time, or a deadlock was found: tried again.
    Blocked,
}

/// Which end of the tables an attempt begins at: applications take them in both orders.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Forward,
    Backward,
}

/// What the ladder climbs for.
pub(super) struct Climb<'a> {
    runner: &'a Runner,
    row: &'a MoveRow,
    step: &'static str,
    /// What is locked, for a message.
    names: &'a [QualifiedName],
    began: Instant,
    wait: Duration,
    order: Order,
}

impl<'a> Climb<'a> {
    pub(super) fn new(
        runner: &'a Runner,
        row: &'a MoveRow,
        step: &'static str,
        names: &'a [QualifiedName],
    ) -> Self {
        let (began, wait, order) = (Instant::now(), WAIT_MIN, Order::Forward);
        Self { runner, row, step, names, began, wait, order }
    }

    /// Where the next attempt begins.
    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// After an attempt that was blocked: waits before the next one, or gives up when `lock_budget` is used up.
    pub(super) async fn rest(&mut self) -> Result<(), EngineError> {
        self.runner.check_cancelled()?;
        self.order = if self.order == Order::Forward { Order::Backward } else { Order::Forward };
        let session = self.runner.journal().await?;
        if self.began.elapsed() + self.wait > self.runner.topology.config().limits.lock_budget {
            let holders = describe_holders(&session, self.names).await;
            let message = format!("the locks could not be had within lock_budget: {holders}");
            return Err(EngineError::gate("C0703", message)
                .hint("wait for it to end, or end it; then run the command again"));
        }
        if self.end_blockers(&session, self.began.elapsed()).await? {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(self.wait) => {}
            () = self.runner.cancelled.cancelled() => return Err(EngineError::Interrupted),
        }
        self.wait = (self.wait * 2).min(WAIT_MAX);
        Ok(())
    }

    /// Ends client sessions in the way, if the operator wishes so. True if one was told to end.
    async fn end_blockers(&self, session: &Session, waited: Duration) -> Result<bool, EngineError> {
        let runner = self.runner;
        let Some(after) = runner.wishes.terminate_blockers_after.filter(|after| waited >= *after) else {
            return Ok(false);
        };
        let mut ended = false;
        for blocker in holders(session, self.names).await.unwrap_or_default() {
            let Some(pid) = blocker.pid else { continue };
            if terminate_client(session, pid, after).await.unwrap_or(false) {
                ended = true;
                let message =
                    format!("ended a session that kept the move from its locks: {}", holder(&blocker));
                let detail = json!({ "blocker": message });
                runner.enter(&**session, self.row, (self.step, EntryEvent::Note), &detail).await?;
                runner.events.note(Some(&runner.service), message);
            }
        }
        Ok(ended)
    }
}

/// Begins a transaction that nobody has to wait for longer than the limits say, even if this process is gone.
pub(super) async fn begin(runner: &Runner, session: &Session) -> Result<(), EngineError> {
    let limits = &runner.topology.config().limits;
    let (lock, pause) = (limits.lock_timeout.as_millis(), limits.write_pause.as_millis());
    sql(
        session,
        &format!(
            "begin; set local lock_timeout = '{lock}ms'; set local statement_timeout = '{pause}ms';
             set local idle_in_transaction_session_timeout = '{pause}ms'"
        ),
    )
    .await
}

/// An attempt whose transaction failed: undone, and tried again if a lock was the reason.
pub(super) async fn undone(session: &Session, error: EngineError) -> Result<Attempt, EngineError> {
    let rolled_back = sql(session, "rollback").await;
    if matches!(error.sqlstate(), Some("55P03" | "40P01")) {
        rolled_back?;
        return Ok(Attempt::Blocked);
    }
    Err(error)
}
