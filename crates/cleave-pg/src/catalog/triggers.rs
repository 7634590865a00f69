//! What hangs on a table besides keys: triggers, policies, rules, extended statistics.

use super::reader::{Fields, Reader};
use crate::error::PgError;
use cleave_model::catalog::{Policy, Rule, StatisticsObject, Trigger, TriggerFiring};
use cleave_model::{Ident, Oid, QualifiedName};
use std::collections::HashMap;

/// Objects by the OID of their table.
pub(super) type ByTable<T> = HashMap<Oid, Vec<T>>;

pub(super) fn by_table<T>(
    rows: &[Fields],
    object: impl Fn(&Fields) -> Result<T, PgError>,
) -> Result<ByTable<T>, PgError> {
    let mut by_table = ByTable::new();
    for row in rows {
        by_table.entry(row.oid("table_oid")?).or_insert_with(Vec::new).push(object(row)?);
    }
    Ok(by_table)
}

/// On 14 a trigger cloned to a partition is marked internal, so what tells users' triggers from the server's own is
/// the constraint they carry out.
pub(super) async fn triggers(reader: &Reader<'_>, schema: &Ident) -> Result<ByTable<Trigger>, PgError> {
    let sql = "select t.tgrelid as table_oid, t.tgname::text as name, pg_get_triggerdef(t.oid, true) as definition,
                      t.tgfoid as function, t.tgenabled::text as firing, t.tgparentid <> 0 as inherited,
                      obj_description(t.oid, 'pg_trigger') as comment
               from pg_trigger t
               join pg_class c on c.oid = t.tgrelid
               join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and (not t.tgisinternal or t.tgparentid <> 0)
                 and not exists (select from pg_constraint k where k.oid = t.tgconstraint and k.contype <> 't')
               order by t.tgname collate \"C\"";
    let rows = reader.rows_in("triggers", schema, sql).await?;
    by_table(&rows, |row| {
        Ok(Trigger {
            name: row.ident("name")?,
            definition: row.get("definition")?,
            function: row.oid("function")?,
            firing: match row.get::<&str>("firing")? {
                "D" => TriggerFiring::Disabled,
                "R" => TriggerFiring::Replica,
                "A" => TriggerFiring::Always,
                _ => TriggerFiring::Origin,
            },
            inherited: row.get("inherited")?,
            comment: row.get("comment")?,
        })
    })
}

pub(super) async fn policies(reader: &Reader<'_>, schema: &Ident) -> Result<ByTable<Policy>, PgError> {
    let sql = "select p.polrelid as table_oid, p.polname::text as name, p.polpermissive as permissive,
                      case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE'
                                    when 'd' then 'DELETE' else 'ALL' end as command,
                      array(select pg_get_userbyid(role)::text from unnest(p.polroles) role
                            where role <> 0 order by 1) as roles,
                      pg_get_expr(p.polqual, p.polrelid) as using_text,
                      pg_get_expr(p.polwithcheck, p.polrelid) as check_text
               from pg_policy p
               join pg_class c on c.oid = p.polrelid
               join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1
               order by p.polname collate \"C\"";
    let rows = reader.rows_in("policies", schema, sql).await?;
    by_table(&rows, |row| {
        Ok(Policy {
            name: row.ident("name")?,
            permissive: row.get("permissive")?,
            command: row.get("command")?,
            roles: row.idents("roles")?,
            using: row.get("using_text")?,
            check: row.get("check_text")?,
        })
    })
}

pub(super) async fn rules(reader: &Reader<'_>, schema: &Ident) -> Result<ByTable<Rule>, PgError> {
    let sql =
        "select r.ev_class as table_oid, r.rulename::text as name, pg_get_ruledef(r.oid, true) as definition
               from pg_rewrite r
               join pg_class c on c.oid = r.ev_class
               join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and r.rulename <> '_RETURN'
               order by r.rulename collate \"C\"";
    let rows = reader.rows_in("rules", schema, sql).await?;
    by_table(&rows, |row| Ok(Rule { name: row.ident("name")?, definition: row.get("definition")? }))
}

pub(super) async fn statistics(
    reader: &Reader<'_>,
    schema: &Ident,
) -> Result<ByTable<StatisticsObject>, PgError> {
    let sql = "select s.stxrelid as table_oid, sn.nspname::text as schema, s.stxname::text as name,
                      pg_get_statisticsobjdef(s.oid) as definition
               from pg_statistic_ext s
               join pg_namespace sn on sn.oid = s.stxnamespace
               join pg_class c on c.oid = s.stxrelid
               join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1
               order by sn.nspname collate \"C\", s.stxname collate \"C\"";
    let rows = reader.rows_in("statistics objects", schema, sql).await?;
    by_table(&rows, |row| {
        Ok(StatisticsObject {
            name: QualifiedName { schema: row.ident("schema")?, name: row.ident("name")? },
            definition: row.get("definition")?,
        })
    })
}
