//! Locks outside a switch: short attempts, growing pauses, a budget.

use crate::{EngineError, context::MoveContext, switch::describe_holders};
use cleave_model::QualifiedName;
use cleave_pg::Session;
use std::time::{Duration, Instant};

const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Runs statements in one transaction with `lock_timeout` set, again and again until it works or `lock_budget` is used
/// up. Only a lock that could not be had is tried again.
pub(crate) async fn with_ladder(
    move_: &MoveContext,
    session: &Session,
    statements: &[String],
    tables: &[QualifiedName],
) -> Result<(), EngineError> {
    let began = Instant::now();
    let lock_ms = move_.limits.lock_timeout.as_millis();
    let script =
        format!("begin; set local lock_timeout = '{lock_ms}ms';\n{};\ncommit", statements.join(";\n"));
    let mut wait = WAIT_MIN;
    loop {
        let Err(error) = crate::switch::sql(session, &script).await else { return Ok(()) };
        crate::switch::sql(session, "rollback").await?;
        if !matches!(error.sqlstate(), Some("55P03" | "40P01")) {
            return Err(error);
        }
        if began.elapsed() + wait > move_.limits.lock_budget {
            let holders = describe_holders(session, tables).await;
            let message = format!("a lock could not be had within lock_budget: {holders}");
            return Err(EngineError::gate("C0703", message)
                .hint("wait for it to end, or end it; then run the command again"));
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = move_.cancelled.cancelled() => return Err(EngineError::Interrupted),
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}
