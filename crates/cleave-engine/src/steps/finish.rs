//! After the copy: indexes, keys, triggers, grants, statistics. The stream runs meanwhile.

use crate::{
    EngineError,
    context::MoveContext,
    switch::{script, sql},
};
use cleave_journal::EntryEvent;
use cleave_pg::Session;
use serde_json::json;

const STEP: &str = "indexes_and_keys";
/// How often a statement may meet the stream in a deadlock; each takes the server `deadlock_timeout` to find.
const DEADLOCKS_MAX: u32 = 30;

/// Builds what the target lacks. Each statement skips what is there, as an earlier run may have been killed.
pub(crate) async fn finish(move_: &MoveContext) -> Result<(), EngineError> {
    let m = move_.m.connect("finish").await?;
    if move_.is_done(&*m, STEP).await? {
        return Ok(());
    }
    let plan = &move_.plan.script;
    let summary = format!(
        "builds {} indexes and {} keys in {}",
        plan.indexes.len(),
        plan.foreign_keys.len(),
        move_.n.name
    );
    let step = move_.events.step(&move_.service, STEP, summary);
    cleave_failpoint::hit_async("finish.before").await;
    let n = move_.n.connect("finish").await?;
    for statement in &plan.indexes {
        unless_there(beside_the_stream(&n, statement).await)?;
    }
    cleave_failpoint::hit_async("finish.indexes").await;
    beside_the_stream(&n, &analyze(move_)).await?;
    for statement in &plan.foreign_keys {
        unless_there(beside_the_stream(&n, statement).await)?;
    }
    for statement in &plan.validate {
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

/// Runs statements again when they met the stream in a deadlock: it takes its locks in the order of its changes, so
/// there is no order here that could not cross it.
async fn beside_the_stream(n: &Session, statements: &str) -> Result<(), EngineError> {
    for _ in 1..DEADLOCKS_MAX {
        match sql(n, statements).await {
            Err(error) if error.sqlstate() == Some("40P01") => sql(n, "rollback").await?,
            result => return result,
        }
    }
    sql(n, statements).await
}

/// 42P07 an index, 42710 a constraint, 42P16 a second primary key: built by a run that was killed before it could say so.
fn unless_there(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if matches!(error.sqlstate(), Some("42P07" | "42710" | "42P16")) => Ok(()),
        other => other,
    }
}

fn analyze(move_: &MoveContext) -> String {
    let tables: Vec<String> =
        move_.plan.row_tables().map(|table| table.target.qualified().quoted()).collect();
    format!("analyze {}", tables.join(", "))
}
