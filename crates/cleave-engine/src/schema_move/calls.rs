//! Calls in flight at a rollback. The server reads a function's text when it is called and looks for its tables as it comes
//! to them: a call that has read the new names finds nothing once they are gone. So functions that do the same through
//! the views get their old texts first, in a transaction of their own; then the rollback waits for whoever may have read
//! the new ones.
//!
//! Until the names go back too, that is an intermediate state: the journal has what the functions were, and whatever does
//! not end in a rollback puts it forth again ([`put_forth`], and `complete` by [`pending`]).

use super::{functions, ladder::begin};
use crate::{
    EngineError,
    runner::Runner,
    switch::{script, sql},
};
use cleave_journal::{EntryEvent, MoveRow};
use cleave_pg::{During, Session};
use cleave_plan::FunctionBack;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Transactions that are open for longer are not waited for: a rollback is urgent.
const CALLS_LIMIT: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Keys of the notes in the journal.
const BACK: &str = "functions_back";
const FORTH: &str = "functions_forth";
const STEP: &str = "rollback";

/// Gives functions their old texts and waits until no transaction is left that may have read the new ones.
pub(super) async fn put_back(
    runner: &Runner,
    row: &MoveRow,
    functions: &[FunctionBack],
    session: &Session,
) -> Result<(), EngineError> {
    if functions.is_empty() {
        return Ok(());
    }
    begin(runner, session).await?;
    if let Err(error) = change(runner, row, functions, session).await {
        sql(session, "rollback").await?;
        return Err(error);
    }
    cleave_failpoint::hit_async("schema_calls.before").await;
    sql(session, "commit").await?;
    cleave_failpoint::hit_async("schema_calls.after").await;
    wait(runner, session).await
}

async fn change(
    runner: &Runner,
    row: &MoveRow,
    functions: &[FunctionBack],
    session: &Session,
) -> Result<(), EngineError> {
    sql(session, &script(&functions::unchecked(functions.iter().map(|function| &function.back)))).await?;
    sql(session, "set local search_path = ''").await?;
    runner.m_lease.check(&**session).await?;
    let oids: Vec<u32> = functions.iter().map(|function| function.oid).collect();
    let digests = functions::digests(&oids, session).await?;
    let kept: Map<String, Value> = functions
        .iter()
        .map(|function| {
            let oid = function.oid.to_string();
            let kept = json!({ "digest": digests.get(&oid), "forth": function.forth });
            (oid, kept)
        })
        .collect();
    runner.enter(&**session, row, (STEP, EntryEvent::Note), &json!({ BACK: kept })).await
}

/// Waits for the transactions that are open now.
async fn wait(runner: &Runner, session: &Session) -> Result<(), EngineError> {
    let (began, open) = (Instant::now(), transactions(session).await?);
    loop {
        runner.check_cancelled()?;
        let left = transactions(session).await?;
        let left: Vec<&String> = open.intersection(&left).collect();
        if left.is_empty() {
            return Ok(());
        }
        if began.elapsed() > CALLS_LIMIT {
            let message = format!(
                "{} transactions are open for longer than {} s: a function that one of them has called already may \
                 miss the new names, once",
                left.len(),
                CALLS_LIMIT.as_secs()
            );
            runner.events.note(Some(&runner.service), message);
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Of clients of this database, whatever their role.
async fn transactions(session: &Session) -> Result<BTreeSet<String>, EngineError> {
    const SQL: &str = "
        select l.pid::text || ' ' || l.virtualxid
        from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid
        where l.locktype = 'virtualxid' and l.granted and l.virtualxid = l.virtualtransaction
          and a.datname = pg_catalog.current_database() and a.backend_type = 'client backend'
          and l.pid <> pg_catalog.pg_backend_pid()";
    let rows = session.query(SQL, &[]).await.during("looking for open transactions")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What gives functions the new names again after a rollback that has not come to its end; nothing if there is none.
/// Functions that somebody has changed since keep the change.
pub(super) async fn pending(
    runner: &Runner,
    row: &MoveRow,
    session: &Session,
) -> Result<Vec<String>, EngineError> {
    let entries = cleave_journal::entries(&**session, &runner.service).await?;
    let mut kept = None;
    for entry in entries.iter().filter(|entry| entry.incarnation == row.id) {
        if let Some(functions) = entry.detail.get(BACK) {
            kept = Some(functions);
        } else if entry.event == EntryEvent::Done || entry.detail.get(FORTH).is_some() {
            kept = None;
        }
    }
    let Some(kept) = kept.and_then(Value::as_object) else { return Ok(Vec::new()) };
    let oids: Vec<u32> = kept.keys().filter_map(|oid| oid.parse().ok()).collect();
    let now = functions::digests(&oids, session).await?;
    let as_left = |(oid, kept): &(&String, &Value)| {
        now.get(*oid).is_some_and(|now| kept.get("digest").and_then(Value::as_str) == Some(now))
    };
    let statements = |(_, kept): (&String, &Value)| -> Vec<String> {
        let statements = kept.get("forth").and_then(Value::as_array).into_iter().flatten();
        statements.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let forth: Vec<Vec<String>> = kept.iter().filter(as_left).map(statements).collect();
    Ok(if forth.is_empty() { Vec::new() } else { functions::unchecked(&forth) })
}

/// Gives functions the new names again, if a rollback has put old texts back and the tables have not followed.
pub(super) async fn put_forth(runner: &Runner, row: &MoveRow) -> Result<(), EngineError> {
    let session = runner.m.connect("switch").await?;
    let statements = pending(runner, row, &session).await?;
    if statements.is_empty() {
        return Ok(());
    }
    begin(runner, &session).await?;
    sql(&session, &script(&statements)).await?;
    sql(&session, "set local search_path = ''").await?;
    runner.m_lease.check(&*session).await?;
    runner.enter(&*session, row, (STEP, EntryEvent::Note), &json!({ FORTH: true })).await?;
    sql(&session, "commit").await
}
