//! Tables that came after the plan: they have neither route nor fence, so they are named wherever a step depends on all.

use crate::EngineError;
use cleave_model::{DatabaseName, QualifiedName};
use cleave_pg::{During, Session};
use cleave_plan::MovePlan;
use std::collections::BTreeSet;

/// Tables of users. Temporary ones live in schemas of their own; those of extensions come with the extension.
const TABLES: &str = "
    select n.nspname::text, c.relname::text
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'cleave')
      and n.nspname !~ '^pg_' and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')";

/// Those that the plan does not have, by name.
pub(crate) async fn strays(session: &Session, plan: &MovePlan) -> Result<Vec<QualifiedName>, EngineError> {
    let unlogged = plan.whole.iter().flat_map(|whole| &whole.unlogged);
    let planned: BTreeSet<QualifiedName> = plan
        .tables
        .iter()
        .map(|table| &table.source)
        .chain(unlogged)
        .map(cleave_plan::Name::qualified)
        .collect();
    let rows = session.query(TABLES, &[]).await.during("looking for tables that are not in the plan")?;
    let found = rows.iter().map(|row| QualifiedName::new(row.get::<_, &str>(0), row.get::<_, &str>(1)));
    let mut strays: Vec<QualifiedName> = found.filter(|name| !planned.contains(name)).collect();
    strays.sort();
    Ok(strays)
}

/// `C1210` when there is one.
pub(crate) async fn refuse(
    session: &Session,
    database: &DatabaseName,
    plan: &MovePlan,
) -> Result<(), EngineError> {
    const SHOWN_MAX: usize = 5;
    let strays = strays(session, plan).await?;
    let Some(first) = strays.first() else { return Ok(()) };
    let names: Vec<String> = strays.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    let what = if strays.len() == 1 {
        format!("table {first} was made in {database} after the plan: its rows are not carried")
    } else {
        format!("{} tables were made in {database} after the plan: {}", strays.len(), names.join(", "))
    };
    Err(EngineError::gate("C1210", what).hint(
        "drop it, or move it to another database; or `cleave cancel` and apply again, which takes all tables",
    ))
}
