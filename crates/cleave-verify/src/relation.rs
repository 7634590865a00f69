//! What has to be known of a table on one side before SQL for it can be written.

use crate::{VerifyError, VerifyTable, connection::Connection, error::Side};
use cleave_model::{Ident, QualifiedName};

/// A table as one side has it.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) name: QualifiedName,
    /// In the order of [`VerifyTable::columns`].
    pub(crate) columns: Vec<Column>,
    /// From the statistics, or from the size where there are none.
    pub(crate) estimated_rows: u64,
    /// The encoding of the database, as PostgreSQL names it.
    pub(crate) encoding: String,
}

/// A column and what its type needs to be read, cast and compared.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Ident,
    pub(crate) not_null: bool,
    pub(crate) canonical: Canonical,
    /// The type under all domains, as SQL, qualified where needed.
    pub(crate) cast: String,
    /// The equality operator that the type's indexes use, as SQL.
    pub(crate) equals: String,
}

/// How a value becomes the text that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canonical {
    /// By a cast to text.
    Cast,
    /// Adding zero makes 0 of -0, which is the same value.
    AddZero,
    /// The cast of `character` strips blanks; the output function does not.
    Output,
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
                     else pg_relation_size(c.oid) / 100 end), 0)::int8
    from family f join pg_class c on c.oid = f.oid having count(*) > 0";

/// A column's type under its domains, and the operator of that type's default B-tree class. Types without a class of
/// their own (varchar, arrays, enums) use one of another type, whose operator is in `pg_catalog`.
const COLUMNS: &str = "\
    with recursive base(attname, attnotnull, typid, typtype, typbasetype) as (
        select a.attname, a.attnotnull, t.oid, t.typtype, t.typbasetype
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        join pg_type t on t.oid = a.atttypid
        where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')
        union all
        select b.attname, b.attnotnull, t.oid, t.typtype, t.typbasetype
        from base b join pg_type t on t.oid = b.typbasetype where b.typtype = 'd')
    select b.attname::text, b.attnotnull, b.typid, format_type(b.typid, -1),
        (select n.nspname::text from pg_opclass k
         join pg_am m on m.oid = k.opcmethod and m.amname = 'btree'
         join pg_amop o on o.amopfamily = k.opcfamily and o.amopstrategy = 3
              and o.amoplefttype = k.opcintype and o.amoprighttype = k.opcintype
         join pg_operator p on p.oid = o.amopopr
         join pg_namespace n on n.oid = p.oprnamespace
         where k.opcintype = b.typid and k.opcdefault and p.oprname = '=' limit 1)
    from base b where b.typtype <> 'd'";

/// Type OIDs that `pg_type.dat` fixes for ever.
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const BPCHAR: u32 = 1042;

impl Relation {
    pub(crate) async fn read(connection: &Connection, table: &VerifyTable) -> Result<Self, VerifyError> {
        let side = connection.side;
        let name = match side {
            Side::Home => &table.home_name,
            Side::Follower => &table.follower_name,
        };
        let (schema, relation) = (name.schema.as_str(), name.name.as_str());
        let facts = connection.rows(name, TABLE, &[&schema, &relation]).await?;
        let Some(facts) = facts.first() else {
            return Err(VerifyError::TableMissing { side, table: name.clone() });
        };
        let mut known = Vec::new();
        for row in connection.rows(name, COLUMNS, &[&schema, &relation]).await? {
            let type_oid: u32 = connection.value(name, &row, 2)?;
            let operator_schema: Option<String> = connection.value(name, &row, 4)?;
            let operator_schema = operator_schema.map_or_else(|| Ident::from("pg_catalog"), Ident::from);
            known.push(Column {
                name: Ident::from(connection.value::<String>(name, &row, 0)?),
                not_null: connection.value(name, &row, 1)?,
                canonical: match type_oid {
                    FLOAT4 | FLOAT8 => Canonical::AddZero,
                    BPCHAR => Canonical::Output,
                    _ => Canonical::Cast,
                },
                cast: connection.value(name, &row, 3)?,
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
        let estimated_rows: i64 = connection.value(name, facts, 1)?;
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            estimated_rows: estimated_rows.unsigned_abs(),
            encoding: connection.value(name, facts, 0)?,
            name: name.clone(),
        })
    }
}
