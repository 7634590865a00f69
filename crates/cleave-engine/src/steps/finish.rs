//! After the copy: indexes of partitioned tables, foreign keys, triggers, grants. The stream runs meanwhile.

use crate::{
    EngineError,
    context::MoveContext,
    switch::{script, sql},
};
use cleave_journal::EntryEvent;
use cleave_pg::Session;
use cleave_stream::StreamError;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

const STEP: &str = "indexes_and_keys";
/// How often a statement may meet the stream in a deadlock; each takes the server `deadlock_timeout` to find.
pub(crate) const DEADLOCKS_MAX: u32 = 30;

/// Builds what the target lacks. Each statement skips what is there, as an earlier run may have been killed.
pub(crate) async fn finish(move_: &MoveContext) -> Result<(), EngineError> {
    if move_.plan.whole.is_some() {
        return Box::pin(crate::upgrade::finish(move_)).await;
    }
    let m = move_.m.connect("finish").await?;
    if move_.is_done(&*m, STEP).await? {
        return Ok(());
    }
    let plan = &move_.plan.script;
    let summary = format!("makes foreign keys, triggers and grants in {}", move_.n.name);
    let step = move_.events.step(&move_.service, STEP, summary);
    cleave_failpoint::hit_async("finish.before").await;
    let n = move_.n.connect("finish").await?;
    super::late::indexes(move_, &n).await?;
    for statement in &plan.indexes {
        unless_there(beside_the_stream(&n, statement).await)?;
    }
    cleave_failpoint::hit_async("finish.indexes").await;
    for statement in &plan.foreign_keys {
        unless_there(beside_the_stream(&n, statement).await)?;
    }
    validate(move_).await?;
    for statement in &plan.adopt {
        unless_there(beside_the_stream(&n, statement).await)?;
    }
    cleave_failpoint::hit_async("finish.keys").await;
    if !cleave_journal::step_is_done(&*n, &move_.service, move_.incarnation, STEP).await? {
        let mut statements = vec!["begin".to_owned()];
        statements.extend(plan.finish.iter().cloned());
        beside_the_stream(&n, &script(&statements)).await?;
        move_.n_lease.check(&*n).await?;
        move_.journal_n(&*n, STEP, EntryEvent::Done, &json!({})).await?;
        sql(&n, "commit").await?;
    }
    cleave_failpoint::hit_async("finish.after").await;
    move_.journal_m(&*m, STEP, EntryEvent::Done, &json!({})).await?;
    step.finish("the target has all that the source has");
    Ok(())
}

/// Reads the tables with foreign keys, as many at once as there are jobs.
pub(crate) async fn validate(move_: &MoveContext) -> Result<(), EngineError> {
    let statements: Vec<String> = move_.plan.script.validate.clone();
    let sessions = move_.limits.jobs.min(statements.len());
    let waiting = Arc::new(Mutex::new(statements));
    let mut tasks: JoinSet<Result<(), EngineError>> = JoinSet::new();
    for _ in 0..sessions {
        let (n, waiting) = (move_.n.connect("finish").await?, Arc::clone(&waiting));
        tasks.spawn(async move {
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(statement) = next else { return Ok(()) };
                // On one that is valid the server does nothing.
                beside_the_stream(&n, &statement).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        // The others' sessions are dropped with them, which cancels what they run.
        ended.unwrap_or_else(|error| Err(StreamError::Task(error.to_string()).into()))?;
    }
    Ok(())
}

/// Runs statements again when they met the stream in a deadlock: it takes its locks in the order of its changes, so
/// there is no order here that could not cross it.
pub(crate) async fn beside_the_stream(n: &Session, statements: &str) -> Result<(), EngineError> {
    for _ in 1..DEADLOCKS_MAX {
        match sql(n, statements).await {
            Err(error) if error.sqlstate() == Some("40P01") => sql(n, "rollback").await?,
            result => return result,
        }
    }
    sql(n, statements).await
}

/// 42P07 an index, 42710 a constraint, 42P16 a second primary key: built by a run that was killed before it could say so.
pub(crate) fn unless_there(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if matches!(error.sqlstate(), Some("42P07" | "42710" | "42P16")) => Ok(()),
        other => other,
    }
}
