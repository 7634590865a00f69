//! Sequences.

use super::reader::{Fields, Reader, acl, no_member};
use crate::error::PgError;
use cleave_model::catalog::{Sequence, SequenceOwner};
use cleave_model::{Ident, QualifiedName};

/// `OWNED BY` is an automatic dependency on a column, an identity column's an internal one.
fn sql() -> String {
    format!(
        "select c.oid, c.relname::text as name, format_type(s.seqtypid, null) as type_name,
                s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, s.seqcycle,
                d.refobjid as owner_table, a.attname::text as owner_column, d.deptype = 'i' as owner_identity,
                pg_get_userbyid(c.relowner)::text as owner, obj_description(c.oid, 'pg_class') as comment, acl.*
         from pg_class c
         join pg_sequence s on s.seqrelid = c.oid
         join pg_namespace n on n.oid = c.relnamespace
         left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0
              and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
         left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
         {acl}
         where n.nspname = $1 and {no_member}
         order by c.relname collate \"C\"",
        acl = acl("coalesce(c.relacl, acldefault('s', c.relowner))"),
        no_member = no_member("pg_class", "c.oid"),
    )
}

pub(super) async fn sequences(reader: &Reader<'_>, schema: &Ident) -> Result<Vec<Sequence>, PgError> {
    let rows = reader.rows_in("sequences", schema, &sql()).await?;
    rows.iter().map(|row| sequence(row, schema)).collect()
}

fn sequence(row: &Fields, schema: &Ident) -> Result<Sequence, PgError> {
    let owner_column = match row.oid_maybe("owner_table")? {
        Some(table) => Some(SequenceOwner {
            table,
            column: row.ident("owner_column")?,
            identity: row.get("owner_identity")?,
        }),
        None => None,
    };
    Ok(Sequence {
        oid: row.oid("oid")?,
        name: QualifiedName { schema: schema.clone(), name: row.ident("name")? },
        type_name: row.get("type_name")?,
        increment: row.get("seqincrement")?,
        min: row.get("seqmin")?,
        max: row.get("seqmax")?,
        start: row.get("seqstart")?,
        cache: row.get("seqcache")?,
        cycle: row.get("seqcycle")?,
        owner_column,
        owner: row.ident("owner")?,
        grants: row.grants()?,
        comment: row.get("comment")?,
    })
}
