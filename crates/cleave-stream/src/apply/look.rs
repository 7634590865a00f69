//! Looks at the source's catalog: which columns its tables have, by their numbers.

use super::shape::{CatalogColumn, CatalogTable, ColumnDefault};
use crate::{Side, StreamError, error::On};
use cleave_journal::{Shape, ShapeColumn};
use cleave_model::{Lsn, Oid};
use cleave_pg::{During, Session};
use std::collections::BTreeMap;
use tokio_postgres::{GenericClient, types::PgLsn};

/// Tables as they are, and a place in the log: whatever has made them so was committed before it.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) lsn: Lsn,
    pub(crate) tables: Vec<CatalogTable>,
}

/// The snapshot is taken before the place is read. `attmissingval` is an array of one; of a type whose arrays have another
/// delimiter than a comma it is not looked at.
const LOOK: &str = "
    select pg_catalog.pg_current_wal_insert_lsn(), c.oid, c.relnatts, c.relfilenode, a.attnum, a.attname::pg_catalog.text,
           a.atttypid, a.atttypmod, a.attgenerated <> '', a.attidentity <> '', a.attnotnull,
           a.atttypid < 16384 and t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace and t.typdelim = ','
             and a.attcollation = t.typcollation,
           case when a.atthasmissing and t.typdelim = ',' then (a.attmissingval::pg_catalog.text::pg_catalog.text[])[1] end,
           pg_catalog.pg_get_expr(d.adbin, d.adrelid),
           exists (select from pg_catalog.pg_depend k where k.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                   and k.objid = d.oid and k.refclassid <> 'pg_catalog.pg_class'::pg_catalog.regclass
                   or k.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and k.objid = d.oid and k.refobjid <> c.oid)
    from pg_catalog.pg_class c
    left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.oid = any($1) order by c.oid, a.attnum";

/// Looks at tables, by their OIDs; those that are gone are not among the result.
pub(crate) async fn look(source: &impl GenericClient, tables: &[Oid]) -> Result<Look, StreamError> {
    let oids: Vec<u32> = tables.iter().map(|oid| oid.0).collect();
    let rows =
        source.query(LOOK, &[&oids]).await.during("looking at the tables' columns").on(Side::Source)?;
    let mut found: BTreeMap<u32, CatalogTable> = BTreeMap::new();
    let mut lsn = Lsn::default();
    for row in &rows {
        lsn = Lsn(row.get::<_, PgLsn>(0).into());
        let oid = row.get(1);
        let table = found.entry(oid).or_insert_with(|| CatalogTable {
            oid: Oid(oid),
            last_number: row.get(2),
            filenode: Oid(row.get(3)),
            columns: Vec::new(),
        });
        let Some(number) = row.get::<_, Option<i16>>(4) else { continue };
        let depends = row.get(14);
        table.columns.push(CatalogColumn {
            number,
            name: row.get(5),
            type_oid: row.get(6),
            modifier: row.get(7),
            generated: row.get(8),
            identity: row.get(9),
            not_null: row.get(10),
            plain: row.get(11),
            missing: row.get(12),
            default: row.get::<_, Option<String>>(13).map(|expression| ColumnDefault { expression, depends }),
        });
    }
    Ok(Look { lsn, tables: found.into_values().collect() })
}

/// How long a look waits for whoever alters a table.
const LOCK_LIMIT_MS: u32 = 1000;

const NAMES: &str = "
    select pg_catalog.string_agg(pg_catalog.format('only %I.%I', n.nspname, c.relname), ', ' order by c.oid)
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any($1)";

/// Looks at tables under a lock that nobody who alters them has: a commit stands in the log before others can see it, for
/// long where it waits for a standby, but its locks are held until they can. So whatever was committed before the look's
/// place is seen.
///
/// # Errors
/// 55P03 while somebody alters one of them.
pub(crate) async fn look_locked(source: &Session, tables: &[Oid]) -> Result<Look, StreamError> {
    let what = "looking at the tables' columns";
    let oids: Vec<u32> = tables.iter().map(|oid| oid.0).collect();
    let row = source.query_one(NAMES, &[&oids]).await;
    let names: Option<String> = row.and_then(|row| row.try_get(0)).during(what).on(Side::Source)?;
    let lock = names.map_or_else(String::new, |names| format!("lock table {names} in access share mode;"));
    let begin = format!("begin; set local lock_timeout = {LOCK_LIMIT_MS}; {lock}");
    let seen = match source.batch_execute(&begin).await.during(what).on(Side::Source) {
        Ok(()) => look(&**source, tables).await,
        Err(error) => Err(error),
    };
    source.batch_execute("rollback").await.during(what).on(Side::Source)?;
    seen
}

impl CatalogTable {
    /// True if no column has come, gone or become another since; rows may have been written anew.
    pub(crate) fn has_columns_of(&self, known: &Shape) -> bool {
        let now = self.shape();
        (&now.columns, now.last_number) == (&known.columns, known.last_number)
    }

    /// The table as it is recorded.
    pub(crate) fn shape(&self) -> Shape {
        let columns = self.columns.iter().filter(|column| !column.generated);
        Shape {
            source_oid: self.oid,
            last_number: self.last_number,
            filenode: self.filenode,
            columns: columns
                .map(|column| ShapeColumn {
                    number: column.number,
                    name: column.name.clone(),
                    type_oid: column.type_oid,
                    modifier: column.modifier,
                })
                .collect(),
            followed: Vec::new(),
        }
    }
}
