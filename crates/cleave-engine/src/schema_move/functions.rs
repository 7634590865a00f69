//! Functions at a switch: their new texts, whether the server finds every name in them, and the old texts again.

use crate::{EngineError, runner::Runner, switch::sql};
use cleave_journal::{EntryEvent, MoveRow};
use cleave_pg::{During, Session, catalog::read_catalog};
use cleave_plan::{FunctionBack, FunctionChange, SchemaPlan};
use std::collections::BTreeMap;

/// A function whose names the server can check.
pub(super) struct Checked {
    oid: u32,
    function: String,
    path: String,
}

/// What the cutover runs: the names of the tables first, then the functions. Bodies are checked afterwards, as one that
/// fails today may fail tomorrow.
pub(super) fn cutover(plan: &SchemaPlan) -> Vec<String> {
    let mut statements = plan.script.cutover.clone();
    if !plan.functions.is_empty() {
        statements.push("set local check_function_bodies = off".to_owned());
        statements.extend(plan.functions.iter().flat_map(|change| change.cutover.iter().cloned()));
    }
    statements
}

/// Those in which the server finds every name now.
pub(super) async fn valid(plan: &SchemaPlan, session: &Session) -> Result<Vec<Checked>, EngineError> {
    let candidates = plan.functions.iter().filter_map(|change| {
        let path = change.checked_under.clone()?;
        Some(Checked { oid: change.oid, function: change.function.clone(), path })
    });
    let mut valid = Vec::new();
    for function in candidates {
        sql(session, "begin read only").await?;
        let checked = validate(&function, session).await;
        sql(session, "rollback").await?;
        if checked.is_ok() {
            valid.push(function);
        }
    }
    Ok(valid)
}

/// In the switch's transaction, under the new names.
pub(super) async fn check(functions: &[Checked], session: &Session) -> Result<(), EngineError> {
    for function in functions {
        validate(function, session).await.map_err(|error| {
            EngineError::gate(
                "C1117",
                format!("function {} would no longer find its names: {error}", function.function),
            )
            .hint("write its names anew by hand, then run the command again")
        })?;
    }
    Ok(())
}

async fn validate(function: &Checked, session: &Session) -> Result<(), EngineError> {
    let settings = format!("set local check_function_bodies = on; set local search_path = {}", function.path);
    sql(session, &settings).await?;
    session
        .execute("select pg_catalog.fmgr_sql_validator($1)", &[&function.oid])
        .await
        .during("checking a function")?;
    Ok(())
}

/// A digest of each changed function's text as it is now, by OID.
pub(super) async fn texts(
    plan: &SchemaPlan,
    session: &Session,
) -> Result<BTreeMap<String, String>, EngineError> {
    let oids: Vec<u32> = plan.functions.iter().map(|change| change.oid).collect();
    digests(&oids, session).await
}

/// The same for any functions.
pub(super) async fn digests(
    oids: &[u32],
    session: &Session,
) -> Result<BTreeMap<String, String>, EngineError> {
    let rows = session
        .query(
            "select oid::text, pg_catalog.md5(pg_catalog.concat_ws('|', prosrc, proconfig::text))
             from pg_catalog.pg_proc where oid = any ($1)",
            &[&oids],
        )
        .await
        .during("reading the functions")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The old texts again. Functions that somebody has changed since the cutover, another service's cutover among them,
/// keep the change: only the names in them go back.
pub(super) async fn rollback(
    runner: &Runner,
    row: &MoveRow,
    plan: &SchemaPlan,
    session: &Session,
) -> Result<Vec<FunctionBack>, EngineError> {
    let entries = cleave_journal::entries(&**session, &runner.service).await?;
    let cutover = entries.iter().rev().find(|entry| {
        entry.incarnation == row.id && entry.step == "cutover" && entry.event == EntryEvent::Done
    });
    let left = cutover.and_then(|entry| entry.detail.get("functions")).cloned().unwrap_or_default();
    let now = texts(plan, session).await?;
    let untouched = |change: &&FunctionChange| {
        let oid = change.oid.to_string();
        now.get(&oid).is_some_and(|now| left.get(&oid).and_then(serde_json::Value::as_str) == Some(now))
    };
    let untouched: Vec<u32> = plan.functions.iter().filter(untouched).map(|change| change.oid).collect();
    let catalog = read_catalog(session).await?;
    Ok(cleave_plan::functions_back(&catalog, plan, &untouched))
}

/// Statements that make functions anew, whatever stands in their bodies.
pub(super) fn unchecked<'f>(functions: impl IntoIterator<Item = &'f Vec<String>>) -> Vec<String> {
    let unchecked = "set local check_function_bodies = off".to_owned();
    std::iter::once(unchecked).chain(functions.into_iter().flatten().cloned()).collect()
}
