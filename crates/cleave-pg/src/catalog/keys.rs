//! Constraints, foreign keys and indexes.

use super::reader::{Fields, Reader};
use super::triggers::{ByTable, by_table};
use crate::error::PgError;
use cleave_model::catalog::{Constraint, ConstraintKind, ForeignKey, Index, ReferentialAction};
use cleave_model::{Ident, QualifiedName};

/// NOT NULL constraints (18, `contype = 'n'`) are columns' own business.
pub(super) async fn constraints(reader: &Reader<'_>, schema: &Ident) -> Result<ByTable<Constraint>, PgError> {
    let sql = "select k.conrelid as table_oid, k.conname::text as name, k.contype::text as kind,
                      pg_get_constraintdef(k.oid) as definition,
                      case when k.conkey is null or 0 = any (k.conkey) then '{}'::text[]
                           else array(select a.attname::text from unnest(k.conkey) with ordinality key(number, place)
                                      join pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.number
                                      order by key.place) end as columns,
                      k.condeferrable as deferrable, k.convalidated as validated,
                      k.conparentid <> 0 or (k.contype = 'c' and k.coninhcount > 0) as inherited,
                      obj_description(k.oid, 'pg_constraint') as comment
               from pg_constraint k
               join pg_class c on c.oid = k.conrelid
               join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and k.contype in ('p', 'u', 'c', 'x', 't')
               order by k.conname collate \"C\"";
    let rows = reader.rows_in("constraints", schema, sql).await?;
    by_table(&rows, |row| {
        Ok(Constraint {
            name: row.ident("name")?,
            kind: match row.get::<&str>("kind")? {
                "p" => ConstraintKind::PrimaryKey,
                "u" => ConstraintKind::Unique,
                "x" => ConstraintKind::Exclusion,
                "t" => ConstraintKind::Trigger,
                _ => ConstraintKind::Check,
            },
            definition: row.get("definition")?,
            columns: row.idents("columns")?,
            deferrable: row.get("deferrable")?,
            validated: row.get("validated")?,
            inherited: row.get("inherited")?,
            comment: row.get("comment")?,
        })
    })
}

/// Keys with a parent are the partitions' shares of a key between partitioned tables: made and dropped with it.
pub(super) async fn foreign_keys(
    reader: &Reader<'_>,
    schema: &Ident,
) -> Result<ByTable<ForeignKey>, PgError> {
    let sql = "select k.conrelid as table_oid, k.conname::text as name,
                      array(select a.attname::text from unnest(k.conkey) with ordinality key(number, place)
                            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.number
                            order by key.place) as columns,
                      rn.nspname::text as referenced_schema, r.relname::text as referenced_name,
                      array(select a.attname::text from unnest(k.confkey) with ordinality key(number, place)
                            join pg_attribute a on a.attrelid = k.confrelid and a.attnum = key.number
                            order by key.place) as referenced_columns,
                      k.confdeltype::text as on_delete, k.confupdtype::text as on_update,
                      k.confmatchtype = 'f' as match_full, k.condeferrable as deferrable,
                      k.condeferred as deferred, k.convalidated as validated,
                      pg_get_constraintdef(k.oid) as definition,
                      obj_description(k.oid, 'pg_constraint') as comment
               from pg_constraint k
               join pg_class c on c.oid = k.conrelid
               join pg_namespace n on n.oid = c.relnamespace
               join pg_class r on r.oid = k.confrelid
               join pg_namespace rn on rn.oid = r.relnamespace
               where n.nspname = $1 and k.contype = 'f' and k.conparentid = 0
               order by k.conname collate \"C\"";
    let rows = reader.rows_in("foreign keys", schema, sql).await?;
    by_table(&rows, |row| {
        Ok(ForeignKey {
            name: row.ident("name")?,
            columns: row.idents("columns")?,
            referenced: QualifiedName {
                schema: row.ident("referenced_schema")?,
                name: row.ident("referenced_name")?,
            },
            referenced_columns: row.idents("referenced_columns")?,
            on_delete: action(row.get("on_delete")?),
            on_update: action(row.get("on_update")?),
            match_full: row.get("match_full")?,
            deferrable: (row.get("deferrable")?, row.get("deferred")?),
            validated: row.get("validated")?,
            definition: row.get("definition")?,
            comment: row.get("comment")?,
        })
    })
}

fn action(letter: &str) -> ReferentialAction {
    match letter {
        "r" => ReferentialAction::Restrict,
        "c" => ReferentialAction::Cascade,
        "n" => ReferentialAction::SetNull,
        "d" => ReferentialAction::SetDefault,
        _ => ReferentialAction::NoAction,
    }
}

pub(super) async fn indexes(reader: &Reader<'_>, schema: &Ident) -> Result<ByTable<Index>, PgError> {
    let sql = "select i.indrelid as table_oid, x.relname::text as name,
                      pg_get_indexdef(i.indexrelid, 0, true) as definition,
                      case when keys.plain then keys.names end as columns, i.indisunique as unique_keys,
                      i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null
                          and keys.plain and keys.never_null as identifies_rows,
                      k.conname::text as constraint_name, parent.relname::text as parent,
                      i.indisvalid as valid, i.indisclustered as clustered,
                      case when x.relkind = 'i' then pg_relation_size(x.oid) else 0 end as bytes,
                      obj_description(x.oid, 'pg_class') as comment
               from pg_index i
               join pg_class x on x.oid = i.indexrelid
               join pg_class c on c.oid = i.indrelid
               join pg_namespace n on n.oid = c.relnamespace
               left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid
                    and k.contype in ('p', 'u', 'x')
               left join pg_inherits h on h.inhrelid = i.indexrelid
               left join pg_class parent on parent.oid = h.inhparent
               cross join lateral (
                   select array_agg(a.attname::text order by key.place) as names,
                          bool_and(key.number <> 0) as plain, bool_and(a.attnotnull) as never_null
                   from unnest(i.indkey::smallint[]) with ordinality key(number, place)
                   left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.number
                   where key.place <= i.indnkeyatts) keys
               where n.nspname = $1 and c.relkind in ('r', 'p', 'f')
               order by x.relname collate \"C\"";
    let rows = reader.rows_in("indexes", schema, sql).await?;
    by_table(&rows, |row: &Fields| {
        let parent = row.ident_maybe("parent")?;
        Ok(Index {
            name: row.ident("name")?,
            definition: row.get("definition")?,
            columns: row.idents("columns")?,
            unique: row.get("unique_keys")?,
            identifies_rows: row.get("identifies_rows")?,
            constraint: row.ident_maybe("constraint_name")?,
            inherited: parent.is_some(),
            parent,
            valid: row.get("valid")?,
            clustered: row.get("clustered")?,
            bytes: row.count("bytes")?,
            comment: row.get("comment")?,
        })
    })
}
