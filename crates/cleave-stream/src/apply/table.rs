//! The target's tables as its catalog has them now.

use crate::{Identity, Route, Side, StreamError, error::On};
use cleave_model::{Ident, Oid, QualifiedName, labels};
use cleave_pg::During;
use std::{collections::HashMap, sync::Arc};
use tokio_postgres::{Client, Row};

/// A table that changes are applied to.
#[derive(Debug)]
pub(super) struct TargetTable {
    pub(super) route: Route,
    pub(super) name: QualifiedName,
    pub(super) columns: HashMap<Ident, TargetColumn>,
    /// Statements over many rows do the same as one per row: no trigger or rule sees the rows, and an index keeps the
    /// identity unique at every moment, so that a key never means two rows.
    pub(super) set_based: bool,
}

/// A column of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetColumn {
    pub(super) name: Ident,
    /// For a cast: schema and name in quotes, which takes no modifier (`"pg_catalog"."bpchar"` is no `char(1)`).
    pub(super) type_sql: String,
    pub(super) type_oid: Oid,
    /// There is an array type of it, so that many values fit into one parameter.
    pub(super) has_array: bool,
    /// `=` in SQL: with its schema where the type's own is not in `pg_catalog`.
    pub(super) equals: String,
    pub(super) comparison: Comparison,
    pub(super) identity_always: bool,
    pub(super) generated: bool,
}

/// How to find out that a stored value is exactly the one that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The type's own equality: equal values look equal.
    Native,
    /// Text types: byte by byte, whatever the collation holds for equal.
    Bytewise,
    /// All others: as text. Some have no equality, and `1.0 = 1.00` in numeric, `'24:00' = '1 day'` in intervals.
    AsText,
    /// As the type prints it, where a cast to text says something else: that of `bpchar` strips blanks that count, that
    /// of `xml` keeps the declaration of an encoding, which no value has that came from elsewhere.
    Printed,
}

/// Reads the present names and columns of all routes' tables.
pub(super) async fn read(
    client: &Client,
    routes: &[Route],
) -> Result<HashMap<Oid, Arc<TargetTable>>, StreamError> {
    let oids: Vec<u32> = routes.iter().map(|route| route.target_oid.0).collect();
    let rows = client
        .query(COLUMNS, &[&oids])
        .await
        .during("reading the tables that changes are applied to")
        .on(Side::Target)?;
    let mut found: HashMap<u32, (QualifiedName, HashMap<Ident, TargetColumn>)> = HashMap::new();
    for row in &rows {
        let (oid, schema, name): (u32, &str, &str) = (row.get(0), row.get(1), row.get(2));
        let table = found.entry(oid).or_insert_with(|| (QualifiedName::new(schema, name), HashMap::new()));
        if let Some(column) = column(row) {
            table.1.insert(column.name.clone(), column);
        }
    }
    let mut plain = plain(client, &oids).await?;
    let mut tables = HashMap::new();
    for route in routes {
        let table = found.remove(&route.target_oid.0);
        let unique_keys = plain.remove(&route.target_oid.0);
        tables.insert(route.source_oid, Arc::new(target(route, table, unique_keys)?));
    }
    Ok(tables)
}

/// The columns of each index that keeps its values unique, of the tables that have neither rules nor triggers which
/// fire in replica mode, our fence excepted: it sees statements, not rows.
async fn plain(client: &Client, oids: &[u32]) -> Result<HashMap<u32, Vec<Vec<String>>>, StreamError> {
    let rows = client
        .query(UNIQUE_KEYS, &[&oids, &labels::FENCE_TRIGGER])
        .await
        .during("reading the keys of the tables that changes are applied to")
        .on(Side::Target)?;
    let mut found: HashMap<u32, Vec<Vec<String>>> = HashMap::new();
    for row in &rows {
        found.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(found)
}

/// A deferrable index is none of them: in replica mode nothing checks it.
const UNIQUE_KEYS: &str = "
    select c.oid,
           (select pg_catalog.array_agg(a.attname::pg_catalog.text)
            from pg_catalog.pg_attribute a
            where a.attrelid = c.oid and a.attnum = any((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]))
    from pg_catalog.pg_class c
    join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisunique and i.indimmediate and i.indisvalid
      and i.indpred is null and i.indexprs is null
    where c.oid = any($1) and not c.relhasrules
      and not exists (
        select from pg_catalog.pg_trigger t
        where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled in ('A', 'R') and t.tgname <> $2::pg_catalog.text)";

fn target(
    route: &Route,
    found: Option<(QualifiedName, HashMap<Ident, TargetColumn>)>,
    unique_keys: Option<Vec<Vec<String>>>,
) -> Result<TargetTable, StreamError> {
    let invalid = |problem: String| StreamError::RouteInvalid { source_oid: route.source_oid, problem };
    let Some((name, mut columns)) = found else {
        let problem = format!("no plain table has OID {} on the target", route.target_oid.0);
        return Err(invalid(problem));
    };
    for routed in &route.columns {
        // One that is missing is an error where rows come for it: another partition's change may have taken it away.
        if let Some(column) = columns.get_mut(&routed.target_name) {
            column.identity_always |= routed.identity_always;
        }
    }
    let mut set_based = false;
    if let Identity::Key(key) = &route.identity {
        let tells_apart = |unique: &Vec<String>| {
            unique.iter().all(|column| key.iter().any(|key| key.as_str() == column.as_str()))
        };
        set_based = unique_keys.is_some_and(|keys| keys.iter().any(tells_apart));
        let routed = |column: &&Ident| route.columns.iter().any(|routed| routed.target_name == **column);
        if let Some(missing) = key.iter().find(|column| !routed(column)) {
            return Err(invalid(format!("column {missing} of {name} tells rows apart but is not carried")));
        }
        if key.is_empty() {
            return Err(invalid(format!("no column of {name} tells its rows apart")));
        }
    }
    Ok(TargetTable { route: route.clone(), name, columns, set_based })
}

/// One row per column; one with nulls for a table without any. The equality operator comes from the default btree
/// operator class of the type, as extensions' types have theirs outside `pg_catalog`.
const COLUMNS: &str = "
    select c.oid, n.nspname, c.relname, a.attname, tn.nspname, t.typname,
           a.attidentity = 'a', a.attgenerated <> '', b.oid, t.oid, t.typarray <> 0,
           (select opn.nspname
            from pg_catalog.pg_opclass oc
            join pg_catalog.pg_am am on am.oid = oc.opcmethod and am.amname = 'btree'
            join pg_catalog.pg_amop ao on ao.amopfamily = oc.opcfamily and ao.amopstrategy = 3
              and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
            join pg_catalog.pg_operator op on op.oid = ao.amopopr and op.oprname = '='
            join pg_catalog.pg_namespace opn on opn.oid = op.oprnamespace
            where oc.opcdefault and oc.opcintype = b.oid limit 1)
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
    left join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
    where c.oid = any($1) and c.relkind = 'r'";

fn column(row: &Row) -> Option<TargetColumn> {
    let name: Option<&str> = row.get(3);
    let name = Ident::new(name?);
    let type_name = QualifiedName::new(row.get::<_, &str>(4), row.get::<_, &str>(5));
    let equals = match row.get::<_, Option<&str>>(11) {
        None | Some("pg_catalog") => "=".to_owned(),
        Some(schema) => format!("operator({}.=)", Ident::new(schema).quoted()),
    };
    Some(TargetColumn {
        name,
        type_sql: type_name.quoted(),
        type_oid: Oid(row.get(9)),
        has_array: row.get(10),
        equals,
        comparison: comparison(row.get::<_, Option<u32>>(8).unwrap_or(0)),
        identity_always: row.get(6),
        generated: row.get(7),
    })
}

/// By the OIDs of built-in types (`pg_type.dat`), the same in every version.
fn comparison(base_type: u32) -> Comparison {
    match base_type {
        // bool, bytea, int8, int2, int4, oid, date, time, timestamp, timestamptz, uuid
        16 | 17 | 20 | 21 | 23 | 26 | 1082 | 1083 | 1114 | 1184 | 2950 => Comparison::Native,
        // text, varchar
        25 | 1043 => Comparison::Bytewise,
        // xml, bpchar
        142 | 1042 => Comparison::Printed,
        _ => Comparison::AsText,
    }
}
