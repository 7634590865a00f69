//! The target's schema, in portions: each is one transaction with its own line in the target's journal, so that a run that
//! was killed goes on behind the last one, and no transaction locks more than a server's table of locks can hold.

use super::{large_objects, roles, views};
use crate::{EngineError, context::MoveContext, steps::finish as shared, switch::sql};
use cleave_journal::EntryEvent;
use cleave_model::Epoch;
use cleave_pg::Session;
use serde_json::json;

const TARGET: &str = "prepare_target";
const FINISH: &str = "indexes_and_keys";
/// Statements of one transaction. One makes or changes one object.
const PORTION: usize = 200;
/// How much of a statement a message shows.
const SHOWN_CHARACTERS_MAX: usize = 120;

/// On N: roles, then everything of the schema that comes before rows, then the closed fence, then the owner row.
pub(crate) async fn prepare_target(move_: &MoveContext) -> Result<(), EngineError> {
    let n = move_.n.connect("prepare").await?;
    if move_.is_done(&*n, TARGET).await? {
        return Ok(());
    }
    let m = move_.m.connect("prepare").await?;
    let tables = move_.plan.tables.len();
    let summary = format!("makes roles and the schema in {}, with {tables} tables", move_.n.name);
    let step = move_.events.step(&move_.service, TARGET, summary);
    cleave_failpoint::hit_async("prepare_target.before").await;
    make_roles(move_, &m, &n).await?;
    in_portions(move_, &n, TARGET, &move_.plan.script.prepare).await?;
    sql(&n, "begin").await?;
    move_.n_lease.check(&*n).await?;
    cleave_journal::insert_owner(&*n, &move_.service, &move_.m.name, Epoch(0)).await?;
    move_.journal_n(&*n, TARGET, EntryEvent::Done, &json!({})).await?;
    sql(&n, "commit").await?;
    cleave_failpoint::hit_async("prepare_target.after").await;
    step.finish("the target's tables are there, empty and fenced");
    Ok(())
}

async fn make_roles(move_: &MoveContext, m: &Session, n: &Session) -> Result<(), EngineError> {
    let step = format!("{TARGET}.roles");
    if move_.is_done(&**n, &step).await? {
        return Ok(());
    }
    sql(n, "begin").await?;
    move_.n_lease.check(&**n).await?;
    let made = roles::make_missing(move_, m, n).await?;
    roles::settings_and_rights(m, n, &made).await?;
    // Names only: a cancel takes back what was made here.
    move_.journal_n(&**n, &step, EntryEvent::Done, &json!({ "roles": made })).await?;
    sql(n, "commit").await
}

/// Runs statements of a dump, each once, however often this is begun.
async fn in_portions(
    move_: &MoveContext,
    n: &Session,
    step: &str,
    statements: &[String],
) -> Result<(), EngineError> {
    sql(n, cleave_plan::DUMP_SESSION).await?;
    for (number, portion) in statements.chunks(PORTION).enumerate() {
        let name = format!("{step}.{number}");
        if move_.is_done(&**n, &name).await? {
            continue;
        }
        move_.check_cancelled()?;
        one_portion(move_, n, &name, portion).await?;
        cleave_failpoint::hit_async("upgrade.portion").await;
    }
    Ok(())
}

/// One transaction. It may meet the stream in a deadlock, and is run again then.
async fn one_portion(
    move_: &MoveContext,
    n: &Session,
    name: &str,
    portion: &[String],
) -> Result<(), EngineError> {
    let mut left = shared::DEADLOCKS_MAX;
    loop {
        sql(n, "begin").await?;
        move_.n_lease.check(&**n).await?;
        match run_all(move_, n, portion).await {
            Ok(()) => break,
            Err(error) if error.sqlstate() == Some("40P01") && left > 0 => {
                left -= 1;
                sql(n, "rollback").await?;
            }
            Err(error) => {
                sql(n, "rollback").await?;
                return Err(error);
            }
        }
    }
    move_.journal_n(&**n, name, EntryEvent::Done, &json!({})).await?;
    sql(n, "commit").await
}

async fn run_all(move_: &MoveContext, n: &Session, portion: &[String]) -> Result<(), EngineError> {
    // A round trip each, but for the good case: all in one.
    let together = sql(n, &format!("savepoint portion;\n{}", portion.join(";\n"))).await;
    let Err(error) = together else { return Ok(()) };
    if error.sqlstate() == Some("40P01") {
        return Err(error);
    }
    sql(n, "rollback to savepoint portion").await?;
    for statement in portion {
        if let Err(source) = sql(n, statement).await {
            return Err(refused(move_, statement, source));
        }
    }
    Ok(())
}

/// Which statement of the dump the target has refused, and why.
fn refused(move_: &MoveContext, statement: &str, source: EngineError) -> EngineError {
    if source.sqlstate() == Some("40P01") {
        return source;
    }
    let first = statement.lines().next().unwrap_or_default();
    let shown: String = first.chars().take(SHOWN_CHARACTERS_MAX).collect();
    let why = source.problem();
    let causes = why.causes.first().map_or_else(|| why.message.clone(), Clone::clone);
    let dumped_by = move_.plan.whole.as_ref().map_or("pg_dump", |whole| whole.dumped_by.as_str());
    EngineError::gate("C1221", format!("{} refuses `{shown}` of {dumped_by}: {causes}", move_.n.name))
        .hint("mend the object on the source, then `cleave cancel` and apply again")
}

/// On N after the copy: keys, triggers, rights and all else; large objects; materialized views.
pub(crate) async fn finish(move_: &MoveContext) -> Result<(), EngineError> {
    let m = move_.m.connect("finish").await?;
    if move_.is_done(&*m, FINISH).await? {
        return Ok(());
    }
    let script = &move_.plan.script;
    let summary = format!("makes foreign keys, triggers, views and grants in {}", move_.n.name);
    let step = move_.events.step(&move_.service, FINISH, summary);
    cleave_failpoint::hit_async("finish.before").await;
    let n = move_.n.connect("finish").await?;
    crate::steps::late_indexes(move_, &n).await?;
    for statement in &script.indexes {
        shared::unless_there(shared::beside_the_stream(&n, statement).await)?;
    }
    cleave_failpoint::hit_async("finish.indexes").await;
    for statement in &script.foreign_keys {
        shared::unless_there(shared::beside_the_stream(&n, statement).await)?;
    }
    shared::validate(move_).await?;
    cleave_failpoint::hit_async("finish.keys").await;
    in_portions(move_, &n, FINISH, &script.finish).await?;
    make_mappings(move_, &m, &n).await?;
    large_objects::carry(move_, (&move_.m, &move_.n), &move_.n_lease).await?;
    views::refresh(move_, &m, &n).await?;
    cleave_failpoint::hit_async("finish.after").await;
    move_.journal_m(&*m, FINISH, EntryEvent::Done, &json!({})).await?;
    step.finish("the target has all that the source has");
    Ok(())
}

async fn make_mappings(move_: &MoveContext, m: &Session, n: &Session) -> Result<(), EngineError> {
    sql(n, "begin").await?;
    move_.n_lease.check(&**n).await?;
    roles::user_mappings(m, n).await?;
    sql(n, "commit").await
}
