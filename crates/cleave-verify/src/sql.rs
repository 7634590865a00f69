//! The statements of a comparison, for one table on one side. All names are quoted, all values are parameters.
//!
//! Rows become text in one canonical way: every column's text, framed by `array[...]::text`, whose quoting depends
//! on no locale and tells null from empty. Hashes are `hashtextextended` of that text under collation `C`: the hash
//! of the bytes, the same on every version. Where the databases have different encodings, the bytes are those of
//! the text in UTF-8.

use crate::relation::{Canonical, Column, Relation};

/// Seeds of the row's two hashes (128 bits together), of the key's hash and of a column's.
const SEED_ONE: i64 = 1;
const SEED_TWO: i64 = 2;
const SEED_KEY: i64 = 3;
const SEED_COLUMN: i64 = 4;

/// How text becomes bytes to hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// Both databases have one encoding.
    AsStored,
    /// They do not: UTF-8, written in hexadecimal, as the hash functions of 14 to 17 take no `bytea`.
    Utf8,
}

/// The statements for one table on one side.
///
/// All of them compute, per row, `o` (a 64-bit hash that orders and buckets rows), `h1` and `h2`.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    /// `$1` mask. Gives bucket, rows, sum of h1, sum of h2.
    pub(crate) buckets: String,
    /// `$1` mask, `$2` buckets. Gives o, identity, content; ordered by o.
    pub(crate) suspects: String,
    /// One `text[]` per identity column. Gives identity, content, version.
    pub(crate) lookup: String,
    /// Number of identity columns.
    pub(crate) identity_columns: usize,
}

impl Statements {
    /// With a key: a row's identity is its key's text, its content `[1, h1, h2, column hashes...]`.
    pub(crate) fn keyed(relation: &Relation, key: &[usize], bytes: Bytes) -> Self {
        let key_columns: Vec<&Column> = key.iter().filter_map(|at| relation.columns.get(*at)).collect();
        let row = array(&relation.columns.iter().map(text).collect::<Vec<_>>());
        let identity = array(&key_columns.iter().map(|column| text(column)).collect::<Vec<_>>());
        let from = relation.name.quoted();
        // `offset 0` keeps the planner from writing the row's text twice, once per hash.
        let rows = format!("select {identity} as i, {} as r from {from} t offset 0", hashed(&row, bytes));
        let hashes = format!(
            "select i, {} as o, {} as h1, {} as h2 from ({rows}) q",
            hash(&hashed("i", bytes), SEED_KEY),
            hash("r", SEED_ONE),
            hash("r", SEED_TWO)
        );
        Self {
            buckets: buckets(&hashes),
            suspects: format!(
                "select o, i, array[1, h1, h2] from ({hashes} offset 0) q \
                 where (o & $1)::int4 = any($2::int4[]) order by o"
            ),
            lookup: lookup(relation, &key_columns, &identity, &row, bytes),
            identity_columns: key_columns.len(),
        }
    }

    /// Without a key: a row's identity is its hash, and its content how often there is such a row, `[count]`.
    pub(crate) fn keyless(relation: &Relation, bytes: Bytes) -> Self {
        let row = array(&relation.columns.iter().map(text).collect::<Vec<_>>());
        let from = relation.name.quoted();
        let rows = format!("select {} as r, {} as v from {from} t offset 0", hashed(&row, bytes), version());
        let hashes = format!(
            "select {} as o, {} as h1, {} as h2, v from ({rows}) q",
            hash("r", SEED_KEY),
            hash("r", SEED_ONE),
            hash("r", SEED_TWO)
        );
        let identity = "array[to_hex(h1), to_hex(h2)]";
        Self {
            buckets: buckets(&hashes),
            suspects: format!(
                "select o, {identity}, array[count(*)] from ({hashes} offset 0) q \
                 where (o & $1)::int4 = any($2::int4[]) group by o, h1, h2 order by o"
            ),
            lookup: format!(
                "select {identity}, array[count(*)], bit_xor(v) from ({hashes} offset 0) q \
                 where (to_hex(h1), to_hex(h2)) in (select * from unnest($1::text[], $2::text[])) \
                 group by h1, h2"
            ),
            identity_columns: 2,
        }
    }
}

fn buckets(hashes: &str) -> String {
    format!(
        "select (o & $1)::int4, count(*), sum(h1)::text, sum(h2)::text from ({hashes} offset 0) q group by 1"
    )
}

/// Finds rows by key through the key's index. What the index calls equal may have another text (1.0 and 1.00, a
/// collation that ignores case): those are other rows here.
fn lookup(relation: &Relation, key: &[&Column], identity: &str, row: &str, bytes: Bytes) -> String {
    let column_hashes: Vec<String> = relation
        .columns
        .iter()
        .map(|column| {
            let framed = format!("coalesce('=' || {}, '')", text(column));
            hash(&hashed(&framed, bytes), SEED_COLUMN)
        })
        .collect();
    let names: Vec<String> = (1..=key.len()).map(|at| format!("k{at}")).collect();
    let sets: Vec<String> = (1..=key.len()).map(|at| format!("${at}::text[]")).collect();
    let joins: Vec<String> = key
        .iter()
        .zip(&names)
        .map(|(column, name)| {
            format!("t.{} {} w.{name}::{}", column.name.quoted(), column.equals, column.cast)
        })
        .collect();
    let wanted = array(&names.iter().map(|name| format!("w.{name}")).collect::<Vec<_>>());
    format!(
        "select i, array[1, {}, {}] || c, v from (\
            select {identity} as i, {} as r, {} as v, array[{}] as c \
            from unnest({}) as w({}) join {} t on {} \
            where {identity}::text collate \"C\" = {wanted}::text collate \"C\" offset 0) q",
        hash("r", SEED_ONE),
        hash("r", SEED_TWO),
        hashed(row, bytes),
        version(),
        column_hashes.join(", "),
        sets.join(", "),
        names.join(", "),
        relation.name.quoted(),
        joins.join(" and "),
    )
}

/// A column's canonical text; null stays null.
fn text(column: &Column) -> String {
    let name = format!("t.{}", column.name.quoted());
    match column.canonical {
        Canonical::Cast => format!("{name}::text"),
        Canonical::AddZero => format!("({name}::{cast} + '0'::{cast})::text", cast = column.cast),
        Canonical::Output => format!("case when {name} is not null then concat({name}) end"),
    }
}

fn array(texts: &[String]) -> String {
    format!("array[{}]::text[]", texts.join(", "))
}

/// The text whose bytes are hashed.
fn hashed(value: &str, bytes: Bytes) -> String {
    match bytes {
        Bytes::AsStored => format!("({value})::text"),
        Bytes::Utf8 => format!("encode(convert_to(({value})::text, 'UTF8'), 'hex')"),
    }
}

fn hash(text: &str, seed: i64) -> String {
    format!("hashtextextended({text} collate \"C\", {seed})")
}

/// A row version: no two versions of a row have the same table, place and transaction.
fn version() -> String {
    hash("(t.tableoid::text || ' ' || t.ctid::text || ' ' || t.xmin::text)", 0)
}
