//! Tables and their columns.

use super::reader::{Fields, Reader, acl, no_member};
use super::triggers::{self, ByTable, by_table};
use super::{keys, user_types::collation};
use crate::error::PgError;
use cleave_model::catalog::{
    Column, Generated, Identity, Partition, Persistence, ReplicaIdentity, Table, TableKind,
};
use cleave_model::{Ident, Oid, QualifiedName};

fn tables_sql() -> String {
    format!(
        "select c.oid, c.relname::text as name, c.relkind::text as kind, c.relpersistence::text as persistence,
                c.relreplident::text as replica_identity, identity_index.relname::text as identity_index,
                case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partition_key,
                case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end as bound,
                parents.schemas as parent_schemas, parents.names as parent_names,
                case when c.reloftype <> 0 then format_type(c.reloftype, null) end as of_type,
                case when am.amname <> 'heap' then am.amname::text end as access_method,
                pg_get_userbyid(c.relowner)::text as owner, c.relrowsecurity, c.relforcerowsecurity,
                c.reloptions || array(select 'toast.' || o from unnest(toast.reloptions) o) as options,
                obj_description(c.oid, 'pg_class') as comment, greatest(c.reltuples, 0)::bigint as rows_estimated,
                case when c.relkind = 'r' then pg_table_size(c.oid) else 0 end as heap_bytes,
                case when c.relkind = 'r' then pg_indexes_size(c.oid) else 0 end as index_bytes, acl.*
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         left join pg_class toast on toast.oid = c.reltoastrelid
         left join pg_am am on am.oid = c.relam
         left join pg_index ii on ii.indrelid = c.oid and ii.indisreplident
         left join pg_class identity_index on identity_index.oid = ii.indexrelid
         left join lateral (select array_agg(pn.nspname::text order by h.inhseqno) as schemas,
                                   array_agg(p.relname::text order by h.inhseqno) as names
                            from pg_inherits h
                            join pg_class p on p.oid = h.inhparent
                            join pg_namespace pn on pn.oid = p.relnamespace
                            where h.inhrelid = c.oid) parents on true
         {acl}
         where n.nspname = $1 and c.relkind in ('r', 'p', 'f') and {no_member}
         order by c.relname collate \"C\"",
        acl = acl("coalesce(c.relacl, acldefault('r', c.relowner))"),
        no_member = no_member("pg_class", "c.oid"),
    )
}

/// `element` is the type behind arrays (to which multiranges' ranges come as well).
fn columns_sql() -> String {
    format!(
        "select a.attrelid as table_oid, a.attnum as number, a.attname::text as name,
                format_type(a.atttypid, a.atttypmod) as type_name, a.atttypid as type_oid,
                case when en.nspname not in ('pg_catalog', 'information_schema') and {no_member}
                     then element.oid end as user_type,
                a.attnotnull as not_null, pg_get_expr(d.adbin, d.adrelid) as expression,
                a.attidentity::text as identity, a.attgenerated::text as generated,
                (select min(dep.refobjid) from pg_depend dep join pg_class s on s.oid = dep.refobjid
                 where dep.classid = 'pg_attrdef'::regclass and dep.objid = d.oid
                   and dep.refclassid = 'pg_class'::regclass and s.relkind = 'S') as default_sequence,
                {collation} as collation,
                case when a.attstorage <> t.typstorage then
                     case a.attstorage when 'p' then 'PLAIN' when 'm' then 'MAIN'
                                       when 'e' then 'EXTERNAL' else 'EXTENDED' end end as storage,
                case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end as compression,
                case when a.attstattarget >= 0 then a.attstattarget::integer end as statistics,
                a.attoptions as options, col_description(a.attrelid, a.attnum) as comment, acl.*
         from pg_attribute a
         join pg_class c on c.oid = a.attrelid
         join pg_namespace n on n.oid = c.relnamespace
         join pg_type t on t.oid = a.atttypid
         left join pg_type item on t.typcategory = 'A' and item.oid = t.typelem
         left join pg_range multi on multi.rngmultitypid = coalesce(item.oid, t.oid)
         join pg_type element on element.oid = coalesce(multi.rngtypid, item.oid, t.oid)
         join pg_namespace en on en.oid = element.typnamespace
         left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         {acl}
         where n.nspname = $1 and c.relkind in ('r', 'p', 'f') and a.attnum > 0 and not a.attisdropped
         order by a.attrelid, a.attnum",
        acl = acl("a.attacl"),
        collation = collation("a.attcollation", "t.typcollation"),
        no_member = no_member("pg_type", "element.oid"),
    )
}

/// All that belongs to the tables of one schema, by table.
struct Parts {
    columns: ByTable<Column>,
    constraints: ByTable<cleave_model::catalog::Constraint>,
    foreign_keys: ByTable<cleave_model::catalog::ForeignKey>,
    indexes: ByTable<cleave_model::catalog::Index>,
    triggers: ByTable<cleave_model::catalog::Trigger>,
    policies: ByTable<cleave_model::catalog::Policy>,
    rules: ByTable<cleave_model::catalog::Rule>,
    statistics: ByTable<cleave_model::catalog::StatisticsObject>,
}

pub(super) async fn tables(reader: &Reader<'_>, schema: &Ident) -> Result<Vec<Table>, PgError> {
    let rows = reader.rows_in("tables", schema, &tables_sql()).await?;
    let columns = reader.rows_in("columns", schema, &columns_sql()).await?;
    let mut parts = Parts {
        columns: by_table(&columns, column)?,
        constraints: keys::constraints(reader, schema).await?,
        foreign_keys: keys::foreign_keys(reader, schema).await?,
        indexes: keys::indexes(reader, schema).await?,
        triggers: triggers::triggers(reader, schema).await?,
        policies: triggers::policies(reader, schema).await?,
        rules: triggers::rules(reader, schema).await?,
        statistics: triggers::statistics(reader, schema).await?,
    };
    rows.iter().map(|row| table(row, schema, &mut parts)).collect()
}

fn table(row: &Fields, schema: &Ident, parts: &mut Parts) -> Result<Table, PgError> {
    let oid = row.oid("oid")?;
    let mut parents = row.qualified_list("parent")?;
    let partition_of = match row.get::<Option<String>>("bound")? {
        Some(bound) => parents.pop().map(|parent| Partition { parent, bound }),
        None => None,
    };
    Ok(Table {
        oid,
        name: QualifiedName { schema: schema.clone(), name: row.ident("name")? },
        kind: match row.get::<Option<String>>("partition_key")? {
            Some(key) => TableKind::Partitioned(key),
            None if row.get::<&str>("kind")? == "f" => TableKind::Foreign,
            None => TableKind::Ordinary,
        },
        partition_of,
        inherits: parents,
        persistence: match row.get::<&str>("persistence")? {
            "u" => Persistence::Unlogged,
            _ => Persistence::Permanent,
        },
        of_type: row.get("of_type")?,
        access_method: row.get("access_method")?,
        owner: row.ident("owner")?,
        replica_identity: replica_identity(row)?,
        columns: parts.columns.remove(&oid).unwrap_or_default(),
        constraints: parts.constraints.remove(&oid).unwrap_or_default(),
        foreign_keys: parts.foreign_keys.remove(&oid).unwrap_or_default(),
        indexes: parts.indexes.remove(&oid).unwrap_or_default(),
        triggers: parts.triggers.remove(&oid).unwrap_or_default(),
        policies: parts.policies.remove(&oid).unwrap_or_default(),
        row_security: (row.get("relrowsecurity")?, row.get("relforcerowsecurity")?),
        rules: parts.rules.remove(&oid).unwrap_or_default(),
        statistics: parts.statistics.remove(&oid).unwrap_or_default(),
        options: row.list("options")?,
        grants: row.grants()?,
        comment: row.get("comment")?,
        rows_estimated: row.count("rows_estimated")?,
        heap_bytes: row.count("heap_bytes")?,
        index_bytes: row.count("index_bytes")?,
    })
}

/// An index identity whose index was dropped acts as NOTHING (manual, `ALTER TABLE ... REPLICA IDENTITY`).
fn replica_identity(row: &Fields) -> Result<ReplicaIdentity, PgError> {
    Ok(match (row.get::<&str>("replica_identity")?, row.ident_maybe("identity_index")?) {
        ("f", _) => ReplicaIdentity::Full,
        ("n", _) | ("i", None) => ReplicaIdentity::Nothing,
        ("i", Some(index)) => ReplicaIdentity::Index(index),
        _ => ReplicaIdentity::Default,
    })
}

fn column(row: &Fields) -> Result<Column, PgError> {
    let expression = row.get::<Option<String>>("expression")?;
    let (default, generated) = match (row.get::<&str>("generated")?, expression) {
        ("s", Some(text)) => (None, Some(Generated::Stored(text))),
        ("v", Some(text)) => (None, Some(Generated::Virtual(text))),
        (_, default) => (default, None),
    };
    Ok(Column {
        number: row.get("number")?,
        name: row.ident("name")?,
        type_name: row.get("type_name")?,
        type_oid: row.oid("type_oid")?,
        user_type: row.get::<Option<u32>>("user_type")?.map(Oid),
        not_null: row.get("not_null")?,
        default,
        default_sequence: row.oid_maybe("default_sequence")?,
        identity: match row.get::<&str>("identity")? {
            "a" => Some(Identity::Always),
            "d" => Some(Identity::ByDefault),
            _ => None,
        },
        generated,
        collation: row.get("collation")?,
        storage: row.get("storage")?,
        compression: row.get("compression")?,
        statistics: row.get("statistics")?,
        options: row.list("options")?,
        comment: row.get("comment")?,
        grants: row.grants()?,
    })
}
