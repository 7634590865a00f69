//! What has to be known of a table on one side before SQL for it can be written.

use crate::{VerifyError, VerifyTable, canonical::Canonical, connection::Connection, error::Side};
use cleave_model::{Ident, QualifiedName};

/// A table as one side has it.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) name: QualifiedName,
    /// In the order of [`VerifyTable::columns`].
    pub(crate) columns: Vec<Column>,
    pub(crate) extent: Extent,
    /// The encoding of the database, as PostgreSQL names it.
    pub(crate) encoding: String,
}

/// How large a table is and how much was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// From the statistics, or from the size where there are none.
    pub(crate) estimated_rows: u64,
    /// With what is stored out of line.
    pub(crate) bytes: u64,
    /// Rows ever inserted, updated or deleted, as the server's statistics count them; some seconds old.
    pub(crate) written_rows: i64,
}

/// A column and what its type needs to be read, cast and compared.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Ident,
    pub(crate) not_null: bool,
    /// The type under all domains.
    pub(crate) type_oid: u32,
    /// The length that the type declares; without one, or if it is not of that kind, none.
    pub(crate) length: Option<i32>,
    /// What of a value is hashed: the same on both sides, so it is decided when both are known.
    pub(crate) canonical: Canonical,
    /// That type, as SQL, qualified where needed.
    pub(crate) cast: String,
    /// The equality operator that the type's indexes use, as SQL.
    pub(crate) equals: String,
    /// How its values are sorted, where that is not the same on every server.
    pub(crate) sorted: Sorted,
}

/// Where the order of a column's values comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sorted {
    /// From the type: it is the same everywhere.
    Everywhere,
    /// From a collation, by its bytes.
    Bytes,
    /// From a collation of a library; its name as SQL, none if it is the database's.
    Collation(Option<String>),
}

/// The table and what inherits from it; partitions of partitions too.
const TABLE: &str = "\
    with recursive family(oid) as (
        select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')
        union
        select i.inhrelid from family f join pg_inherits i on i.inhparent = f.oid)
    select (select encoding from (select pg_encoding_to_char(encoding) as encoding
                from pg_database where datname = current_database()) d)::text,
        coalesce(sum(case when c.relkind <> 'r' then 0
                     when c.reltuples >= 0 and c.relpages > 0 then c.reltuples
                     else pg_relation_size(c.oid) / 100 end), 0)::int8,
        coalesce(sum(pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
                     + pg_stat_get_tuples_deleted(c.oid)), 0)::int8,
        coalesce(sum(pg_table_size(c.oid)), 0)::int8
    from family f join pg_class c on c.oid = f.oid having count(*) > 0";

/// A column's type under its domains, and the operator of that type's default B-tree class. Types without a class of
/// their own (varchar, arrays, enums) use one of another type, whose operator is in `pg_catalog`.
const COLUMNS: &str = "\
    with recursive base(attname, attnotnull, sorting, typid, typmod, typtype, typbasetype, basemod) as (
        select a.attname, a.attnotnull, a.attcollation, t.oid, a.atttypmod, t.typtype, t.typbasetype, t.typtypmod
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        join pg_type t on t.oid = a.atttypid
        where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')
        union all
        select b.attname, b.attnotnull, b.sorting, t.oid, b.basemod, t.typtype, t.typbasetype, t.typtypmod
        from base b join pg_type t on t.oid = b.typbasetype where b.typtype = 'd')
    select b.attname::text, b.attnotnull, b.typid, format_type(b.typid, -1),
        (select n.nspname::text from pg_opclass k
         join pg_am m on m.oid = k.opcmethod and m.amname = 'btree'
         join pg_amop o on o.amopfamily = k.opcfamily and o.amopstrategy = 3
              and o.amoplefttype = k.opcintype and o.amoprighttype = k.opcintype
         join pg_operator p on p.oid = o.amopopr
         join pg_namespace n on n.oid = p.oprnamespace
         where k.opcintype = b.typid and k.opcdefault and p.oprname = '=' limit 1),
        nullif(b.typmod, -1),
        b.sorting <> 0,
        (select case when l.collname in ('C', 'POSIX') then 'C'
                     when l.collname <> 'default' then quote_ident(n.nspname) || '.' || quote_ident(l.collname) end
         from pg_collation l join pg_namespace n on n.oid = l.collnamespace where l.oid = b.sorting)
    from base b where b.typtype <> 'd'";

impl Extent {
    /// Of a table on the home.
    pub(crate) async fn read(home: &Connection, table: &VerifyTable) -> Result<Self, VerifyError> {
        Ok(facts(home, &table.home_name).await?.1)
    }
}

/// The database's encoding and the table's extent.
async fn facts(connection: &Connection, name: &QualifiedName) -> Result<(String, Extent), VerifyError> {
    let rows = connection.rows(name, TABLE, &[&name.schema.as_str(), &name.name.as_str()]).await?;
    let Some(row) = rows.first() else {
        return Err(VerifyError::TableMissing { side: connection.side, table: name.clone() });
    };
    let estimated_rows: i64 = connection.value(name, row, 1)?;
    let written_rows = connection.value(name, row, 2)?;
    let bytes: i64 = connection.value(name, row, 3)?;
    let (estimated_rows, bytes) = (estimated_rows.unsigned_abs(), bytes.unsigned_abs());
    let extent = Extent { estimated_rows, bytes, written_rows };
    Ok((connection.value(name, row, 0)?, extent))
}

impl Relation {
    pub(crate) async fn read(connection: &Connection, table: &VerifyTable) -> Result<Self, VerifyError> {
        let side = connection.side;
        let name = match side {
            Side::Home => &table.home_name,
            Side::Follower => &table.follower_name,
        };
        let (schema, relation) = (name.schema.as_str(), name.name.as_str());
        let (encoding, extent) = facts(connection, name).await?;
        let mut known = Vec::new();
        for row in connection.rows(name, COLUMNS, &[&schema, &relation]).await? {
            let operator_schema: Option<String> = connection.value(name, &row, 4)?;
            let operator_schema = operator_schema.map_or_else(|| Ident::from("pg_catalog"), Ident::from);
            known.push(Column {
                name: Ident::from(connection.value::<String>(name, &row, 0)?),
                not_null: connection.value(name, &row, 1)?,
                type_oid: connection.value(name, &row, 2)?,
                length: connection.value(name, &row, 5)?,
                canonical: Canonical::Text,
                cast: connection.value(name, &row, 3)?,
                sorted: match connection.value::<Option<String>>(name, &row, 7)? {
                    _ if !connection.value::<bool>(name, &row, 6)? => Sorted::Everywhere,
                    Some(collation) if collation == "C" => Sorted::Bytes,
                    collation => Sorted::Collation(collation),
                },
                equals: format!("operator({}.=)", operator_schema.quoted()),
            });
        }
        let wanted = table.columns.iter().map(|(home, follower)| match side {
            Side::Home => home,
            Side::Follower => follower,
        });
        let missing =
            |column: &Ident| VerifyError::ColumnMissing { side, table: name.clone(), column: column.clone() };
        let find = |column: &Ident| known.iter().find(|one| one.name == *column).cloned();
        let columns = wanted.map(|column| find(column).ok_or_else(|| missing(column)));
        Ok(Self { columns: columns.collect::<Result<_, _>>()?, extent, encoding, name: name.clone() })
    }
}
