//! Views and materialized views.

use super::reader::{Fields, Reader, acl, no_member};
use super::triggers;
use crate::error::PgError;
use cleave_model::catalog::View;
use cleave_model::{Ident, QualifiedName};

fn sql() -> String {
    format!(
        "select c.oid, c.relname::text as name, c.relkind = 'm' as materialized,
                pg_get_viewdef(c.oid, true) as definition, columns.names as columns,
                pg_get_userbyid(c.relowner)::text as owner, c.reloptions as options, keys.tables as keyed_by,
                obj_description(c.oid, 'pg_class') as comment, acl.*
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         left join lateral (select array_agg(a.attname::text order by a.attnum) as names
                            from pg_attribute a
                            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) columns on true
         left join lateral (select array_agg(distinct k.conrelid) as tables
                            from pg_rewrite r
                            join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                                 and d.refclassid = 'pg_constraint'::regclass
                            join pg_constraint k on k.oid = d.refobjid
                            where r.ev_class = c.oid) keys on true
         {acl}
         where n.nspname = $1 and c.relkind in ('v', 'm') and {no_member}
         order by c.relname collate \"C\"",
        acl = acl("coalesce(c.relacl, acldefault('r', c.relowner))"),
        no_member = no_member("pg_class", "c.oid"),
    )
}

/// What they read is filled in by the dependencies.
pub(super) async fn views(reader: &Reader<'_>, schema: &Ident) -> Result<Vec<View>, PgError> {
    let rows = reader.rows_in("views", schema, &sql()).await?;
    let mut triggers = triggers::triggers(reader, schema).await?;
    let view = |row: &Fields| {
        let oid = row.oid("oid")?;
        Ok(View {
            oid,
            name: QualifiedName { schema: schema.clone(), name: row.ident("name")? },
            materialized: row.get("materialized")?,
            definition: row.get("definition")?,
            columns: row.idents("columns")?,
            owner: row.ident("owner")?,
            options: row.list("options")?,
            reads: Vec::new(),
            keyed_by: row.list::<u32>("keyed_by")?.into_iter().map(cleave_model::Oid).collect(),
            triggers: triggers.remove(&oid).unwrap_or_default(),
            grants: row.grants()?,
            comment: row.get("comment")?,
        })
    };
    rows.iter().map(view).collect()
}
