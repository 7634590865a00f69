//! `cancel` of an upgrade: the target is an empty database again.

use crate::{EngineError, context::MoveContext, switch::sql};
use cleave_journal::EntryEvent;
use cleave_model::{labels, quote_ident};
use cleave_pg::{During, Session};
use serde_json::json;

const TARGET: &str = "prepare_target";
/// Tables dropped in one transaction: each locks its indexes, sequences and what it is stored in, too.
const PORTION: usize = 50;

/// What stands in a schema beside tables, and what drops it.
const LEFT_IN_PUBLIC: &str = "
    select pg_catalog.format('drop %s if exists %s cascade', kind, name) from (
        select case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                            when 'f' then 'foreign table' else 'table' end, c.oid::pg_catalog.regclass::text
        from pg_catalog.pg_class c where c.relnamespace = 'public'::pg_catalog.regnamespace and relkind in ('v', 'm', 'S', 'f', 'r', 'p')
          and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype in ('e', 'i', 'a'))
        union all
        select case prokind when 'a' then 'aggregate' when 'p' then 'procedure' else 'function' end, p.oid::pg_catalog.regprocedure::text
        from pg_catalog.pg_proc p where p.pronamespace = 'public'::pg_catalog.regnamespace
          and not exists (select from pg_catalog.pg_depend d where d.objid = p.oid and d.deptype = 'e')
        union all
        select 'type', pg_catalog.format('%I.%I', 'public', t.typname)
        from pg_catalog.pg_type t where t.typnamespace = 'public'::pg_catalog.regnamespace
          and (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and exists (
               select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c')))
          and not exists (select from pg_catalog.pg_depend d where d.objid = t.oid and d.deptype in ('e', 'i'))
    ) left_over(kind, name)";

/// Drops what `apply` has made in N. Tables that somebody else has put there stop it, by name.
pub(crate) async fn drop_target(move_: &MoveContext) -> Result<(), EngineError> {
    let n = move_.n.connect("cancel").await?;
    let begun = move_.entries(&*n).await?.iter().any(|entry| entry.step.starts_with(TARGET));
    if !begun {
        return Ok(());
    }
    super::strays::refuse(&n, &move_.n.name, &move_.plan).await?;
    sql(&n, "set search_path = ''").await?;
    for tables in move_.plan.tables.chunks(PORTION) {
        let names: Vec<String> = tables.iter().map(|table| table.target.qualified().quoted()).collect();
        in_lease(move_, &n, &[format!("drop table if exists {} cascade", names.join(", "))]).await?;
    }
    let whole = move_.plan.whole.clone().unwrap_or_default();
    in_lease(move_, &n, &whole.dropped).await?;
    let left = super::surroundings::names(&n, LEFT_IN_PUBLIC).await?;
    // Some go with others, whose names are then gone; `if exists` minds neither.
    in_lease(move_, &n, &left).await?;
    unlink_large_objects(move_, &n).await?;
    drop_roles(move_, &n).await?;
    sql(&n, "begin").await?;
    move_.n_lease.check(&*n).await?;
    let fence = labels::fence_function(&move_.service).quoted();
    sql(&n, &format!("drop function if exists {}.{fence}() cascade", labels::CLEAVE_SCHEMA)).await?;
    cleave_journal::delete_owner(&*n, &move_.service).await?;
    move_.journal_n(&*n, TARGET, EntryEvent::Undone, &json!({})).await?;
    sql(&n, "commit").await
}

async fn in_lease(move_: &MoveContext, n: &Session, statements: &[String]) -> Result<(), EngineError> {
    if statements.is_empty() {
        return Ok(());
    }
    sql(n, "begin").await?;
    move_.n_lease.check(&**n).await?;
    let ran = sql(n, &statements.join(";\n")).await;
    sql(n, if ran.is_ok() { "commit" } else { "rollback" }).await?;
    ran
}

async fn unlink_large_objects(move_: &MoveContext, n: &Session) -> Result<(), EngineError> {
    loop {
        sql(n, "begin").await?;
        move_.n_lease.check(&**n).await?;
        let gone = n
            .query(
                "select pg_catalog.lo_unlink(oid) from (
                     select oid from pg_catalog.pg_largeobject_metadata order by oid limit 500) o",
                &[],
            )
            .await
            .during("dropping large objects")?;
        sql(n, "commit").await?;
        if gone.is_empty() {
            return Ok(());
        }
    }
}

/// Roles that this move has made. One that is used elsewhere on the server stays, and is named.
async fn drop_roles(move_: &MoveContext, n: &Session) -> Result<(), EngineError> {
    let entries = move_.entries(&**n).await?;
    let step = format!("{TARGET}.roles");
    let made = entries.iter().filter(|entry| entry.step == step && entry.event == EntryEvent::Done);
    let names: Vec<String> = made
        .filter_map(|entry| entry.detail.get("roles")?.as_array().cloned())
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let mut stay = Vec::new();
    for name in names {
        let role = quote_ident(&name);
        // Default privileges and rights on the database hang on a role, though its objects are gone.
        let statements = [format!("drop owned by {role}"), format!("drop role if exists {role}")];
        match in_lease(move_, n, &statements).await {
            Err(error) if error.sqlstate() == Some("42704") => {}
            Err(_) => stay.push(name),
            Ok(()) => {}
        }
    }
    if !stay.is_empty() {
        let message = format!(
            "these roles stay in {}, as something there depends on them: {}",
            move_.n.name,
            stay.join(", ")
        );
        move_.events.note(Some(&move_.service), message);
    }
    Ok(())
}
