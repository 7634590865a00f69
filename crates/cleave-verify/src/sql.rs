//! The statements of a comparison, for one table on one side. All names are quoted, all values are parameters.
//!
//! A row's hashes are `hash_record_extended` of a record of its columns, each in its canonical form: on every version
//! the hash of the same bytes. That function adds up what it gets from the columns, and buckets add up rows: under one
//! seed for all rows, two rows that swap a value would leave the sum as it was. So a row's seed is a hash of its key,
//! or of its content. What tells rows apart is text, framed by `array[...]::text`, whose quoting depends on no locale.

use crate::{
    canonical::{Canonical, Textual, oid},
    ranges,
    relation::{Column, Relation},
};

/// Seeds of the hash that orders rows, and of a column's.
const SEED_ORDER: i64 = 3;
const SEED_COLUMN: i64 = 4;
/// Makes the seed of a row's second hash from that of the first: the golden ratio's first bits.
const SECOND_SEED: i64 = 0x1e37_79b9_7f4a_7c15;

/// How characters become bytes to hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// Both databases have one encoding.
    AsStored,
    /// They do not: UTF-8, in which every session of ours is sent its characters.
    Utf8,
}

/// The statements for one table on one side.
///
/// All of them compute, per row, `o` (a 64-bit hash that orders and buckets rows), `h1` and `h2`. The first three take
/// the two bounds of a range behind their other parameters, if the table is read in ranges.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    /// Gives rows, sum of h1, sum of h2.
    pub(crate) totals: String,
    /// `$1` mask. Gives bucket, rows, sum of h1, sum of h2.
    pub(crate) buckets: String,
    /// `$1` mask, `$2` buckets. Gives o, identity, content; ordered by o.
    pub(crate) suspects: String,
    /// One `text[]` per identity column. Gives identity, content, version.
    pub(crate) lookup: String,
    /// The same parameters. Gives identity and all columns as text; empty without a key.
    pub(crate) values: String,
    /// The same, with the text that gives the very value back: -0 is not 0 there.
    pub(crate) contents: String,
    /// The same parameters. Deletes the rows.
    pub(crate) delete: String,
    /// One `text[]` per column. Inserts rows.
    pub(crate) insert: String,
    /// Number of identity columns.
    pub(crate) identity_columns: usize,
}

impl Statements {
    /// `key` are indexes into the relation's columns, of columns that are not null on either side.
    pub(crate) fn keyed(relation: &Relation, key: &[usize], bytes: Bytes) -> Self {
        Self::keyed_where(relation, key, bytes, |_| "true".to_owned())
    }

    /// The same for a table that is read in ranges of its key's first column.
    pub(crate) fn keyed_in_ranges(relation: &Relation, key: &[usize], bytes: Bytes) -> Self {
        let first = key.first().and_then(|at| relation.columns.get(*at));
        let condition =
            |number| first.map_or_else(|| "true".to_owned(), |column| ranges::condition(column, number));
        Self::keyed_where(relation, key, bytes, condition)
    }

    /// `condition` is given the number of its first parameter.
    fn keyed_where(
        relation: &Relation,
        key: &[usize],
        bytes: Bytes,
        condition: impl Fn(usize) -> String,
    ) -> Self {
        let key_columns: Vec<&Column> = key.iter().filter_map(|at| relation.columns.get(*at)).collect();
        let (order, row) = (order(&key_columns, bytes), record(&relation.columns, bytes));
        let identity = array(&key_columns.iter().map(|column| text(column)).collect::<Vec<_>>());
        let from = relation.name.quoted();
        let all = |first| {
            hashes(&format!("select {order} as o, {row} as r from {from} t where {}", condition(first)))
        };
        // The row and the text of its key are made only where the bucket is one of those asked for.
        let some = hashes(&format!(
            "select {order} as o, {row} as r, {identity} as i from {from} t \
             where ({order} & $1)::int4 = any($2::int4[]) and {}",
            condition(3)
        ));
        Self {
            totals: totals(&all(1)),
            buckets: buckets(&all(2)),
            suspects: format!("select o, i, array[1, h1, h2] from ({some} offset 0) q order by o"),
            lookup: lookup(relation, &key_columns, &identity, [&order, &row], bytes),
            values: by_key(
                relation,
                &key_columns,
                &identity,
                &format!("{identity}, {}", texts(relation, text)),
            ),
            contents: by_key(
                relation,
                &key_columns,
                &identity,
                &format!("{identity}, {}", texts(relation, exact_text)),
            ),
            delete: delete(relation, &key_columns, &identity),
            insert: insert(relation),
            identity_columns: key_columns.len(),
        }
    }

    /// Without a key: a row's identity is its hash, and its content how often there is such a row, `[count]`.
    pub(crate) fn keyless(relation: &Relation, bytes: Bytes) -> Self {
        let (row, version, from) = (record(&relation.columns, bytes), version(), relation.name.quoted());
        let order = row_hash("r", &SEED_ORDER.to_string());
        let of = |rows: &str| hashes(&format!("select {order} as o, c.* from ({rows} offset 0) c"));
        let all = of(&format!("select {row} as r from {from} t"));
        let versions = of(&format!("select {row} as r, {version} as v from {from} t"));
        let identity = "array[to_hex(h1), to_hex(h2)]";
        Self {
            totals: totals(&all),
            buckets: buckets(&all),
            suspects: format!(
                "select o, {identity}, array[count(*)] from ({all} offset 0) q \
                 where (o & $1)::int4 = any($2::int4[]) group by o, h1, h2 order by o"
            ),
            lookup: format!(
                "select {identity}, array[count(*)], bit_xor(v) from ({versions} offset 0) q \
                 where (to_hex(h1), to_hex(h2)) in (select * from unnest($1::text[], $2::text[])) \
                 group by h1, h2"
            ),
            values: String::new(),
            contents: String::new(),
            delete: String::new(),
            insert: String::new(),
            identity_columns: 2,
        }
    }
}

/// Adds both hashes to rows that have `o` and `r`. `offset 0` keeps the planner from computing them once per use.
fn hashes(rows: &str) -> String {
    let (one, two) = (row_hash("r", "o"), row_hash("r", &format!("o # {SECOND_SEED}")));
    format!("select {one} as h1, {two} as h2, p.* from ({rows} offset 0) p")
}

fn totals(hashes: &str) -> String {
    format!("select count(*), sum(h1)::text, sum(h2)::text from ({hashes}) q")
}

fn buckets(hashes: &str) -> String {
    format!("select (o & $1)::int4, count(*), sum(h1)::text, sum(h2)::text from ({hashes}) q group by 1")
}

/// Reads rows again, with the hash of each column and their version.
fn lookup(
    relation: &Relation,
    key: &[&Column],
    identity: &str,
    [order, row]: [&str; 2],
    bytes: Bytes,
) -> String {
    let of_column = |column| row_hash(&record([column], bytes), &SEED_COLUMN.to_string());
    let columns: Vec<String> = relation.columns.iter().map(of_column).collect();
    let columns = columns.join(", ");
    let what =
        format!("{order} as o, {row} as r, {identity} as i, {} as v, array[{columns}] as c", version());
    let rows = by_key(relation, key, identity, &what);
    format!("select i, array[1, h1, h2] || c, v from ({} offset 0) q", hashes(&rows))
}

fn texts(relation: &Relation, text: impl Fn(&Column) -> String) -> String {
    array(&relation.columns.iter().map(text).collect::<Vec<_>>())
}

fn delete(relation: &Relation, key: &[&Column], identity: &str) -> String {
    let rows = by_key(relation, key, identity, "t.tableoid, t.ctid");
    format!(
        "delete from {} d using ({rows}) x where d.tableoid = x.tableoid and d.ctid = x.ctid",
        relation.name.quoted()
    )
}

/// A value's text becomes the value again by a cast to its type.
fn insert(relation: &Relation) -> String {
    let numbers = 1..=relation.columns.len();
    let names: Vec<String> = relation.columns.iter().map(|column| column.name.quoted()).collect();
    let sets: Vec<String> = numbers.clone().map(|at| format!("${at}::text[]")).collect();
    let values: Vec<String> = numbers.clone().map(|at| format!("c{at}")).collect();
    let casts: Vec<String> =
        numbers.zip(&relation.columns).map(|(at, column)| format!("w.c{at}::{}", column.cast)).collect();
    format!(
        "insert into {} ({}) overriding system value select {} from unnest({}) as w({})",
        relation.name.quoted(),
        names.join(", "),
        casts.join(", "),
        sets.join(", "),
        values.join(", ")
    )
}

/// Finds rows by key through the key's index. What the index calls equal may have another text (1.0 and 1.00, a
/// collation that ignores case): those are other rows here.
fn by_key(relation: &Relation, key: &[&Column], identity: &str, what: &str) -> String {
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
        "select {what} from unnest({}) as w({}) join {} t on {} \
         where {identity}::text collate \"C\" = {wanted}::text collate \"C\"",
        sets.join(", "),
        names.join(", "),
        relation.name.quoted(),
        joins.join(" and "),
    )
}

/// The record that is hashed.
fn record<'c>(columns: impl IntoIterator<Item = &'c Column>, bytes: Bytes) -> String {
    let elements: Vec<String> = columns.into_iter().map(|column| element(column, bytes)).collect();
    format!("row({})", elements.join(", "))
}

/// A column's value in the form that is the same on both sides.
fn element(column: &Column, bytes: Bytes) -> String {
    let value = format!("t.{}::{}", column.name.quoted(), column.cast);
    match (column.canonical, bytes) {
        (Canonical::Value, _) => value,
        (Canonical::Sent(function), _) => format!("{function}({value})"),
        (Canonical::Characters, Bytes::AsStored) => format!("{value} collate \"C\""),
        (Canonical::Characters, Bytes::Utf8) => format!("textsend({value}::text)"),
        (Canonical::Text, Bytes::AsStored) => format!("{} collate \"C\"", text(column)),
        (Canonical::Text, Bytes::Utf8) => format!("textsend({})", text(column)),
    }
}

/// The hash of the key, which orders and buckets rows and is their seed. A key of one column of a common type is
/// hashed without the detour of a record.
fn order(key: &[&Column], bytes: Bytes) -> String {
    if let [column] = key {
        let value = format!("t.{}::{}", column.name.quoted(), column.cast);
        match (column.canonical, column.type_oid) {
            (Canonical::Value, oid::INT4) => return format!("hashint4extended({value}, {SEED_ORDER})"),
            (Canonical::Value, oid::UUID) => return format!("uuid_hash_extended({value}, {SEED_ORDER})"),
            // This hash folds its upper half into the lower one; as the seed the upper half counts in full.
            (Canonical::Sent(_), oid::INT8) => {
                return format!("hashint8extended({value}, ({value} >> 32) # {SEED_ORDER})");
            }
            _ => {}
        }
    }
    row_hash(&record(key.iter().copied(), bytes), &SEED_ORDER.to_string())
}

/// A column's text, as it is shown and found again; null stays null.
fn text(column: &Column) -> String {
    let name = format!("t.{}", column.name.quoted());
    match Textual::of(column.type_oid) {
        Textual::Cast => format!("{name}::text"),
        Textual::AddZero => format!("({name}::{cast} + '0'::{cast})::text", cast = column.cast),
        Textual::Output => format!("case when {name} is not null then concat({name}) end"),
    }
}

fn exact_text(column: &Column) -> String {
    match Textual::of(column.type_oid) {
        Textual::AddZero => format!("t.{}::text", column.name.quoted()),
        Textual::Cast | Textual::Output => text(column),
    }
}

fn array(texts: &[String]) -> String {
    format!("array[{}]::text[]", texts.join(", "))
}

fn row_hash(record: &str, seed: &str) -> String {
    format!("hash_record_extended({record}, {seed})")
}

/// A row version: no two versions of a row have the same table, place and transaction.
fn version() -> String {
    "hashtextextended((t.tableoid::text || ' ' || t.ctid::text || ' ' || t.xmin::text) collate \"C\", 0)"
        .to_owned()
}
