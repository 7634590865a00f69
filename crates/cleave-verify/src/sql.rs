//! The statements of a comparison, for one table on one side. All names are quoted, all values are parameters.
//!
//! A row's hashes are `hash_record_extended` of a record of its columns, each in its canonical form: on every version
//! the hash of the same bytes. That function adds up what it gets from the columns, and buckets add up rows: under one
//! seed for all rows, two rows that swap a value would leave the sum as it was. So a row's seed is a hash of its key,
//! or of its content. What tells rows apart is text, framed by `array[...]::text`, whose quoting depends on no locale.

use crate::{
    canonical::{Canonical, Textual, oid},
    parts,
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
/// All of them compute, per row, `o` (a 64-bit hash that orders and buckets rows), `h1` and `h2`. Those that read a part
/// take the bounds of its range behind their other parameters, two values for each column of the table's order.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    /// Gives rows, sum of h1, sum of h2, of a part.
    pub(crate) totals: String,
    /// `$1` mask. Gives bucket, rows, sum of h1, sum of h2, of a part.
    pub(crate) buckets: String,
    /// `$1` mask, `$2` buckets, `$3` a hash above which rows begin, or null. Gives o, identity, content; ordered by o, of
    /// a part.
    pub(crate) suspects: String,
    /// One `text[]` per identity column. Gives identity, content, version; without a key, of a part.
    pub(crate) lookup: String,
    /// The same parameters. Gives identity and all columns as text; empty without a key.
    pub(crate) values: String,
    /// As `lookup`, with the text that gives the very value back: -0 is not 0 there. Each identity once.
    pub(crate) contents: String,
    /// One `text[]` per identity column, and without a key an `int8[]`: how many of each. Deletes rows.
    pub(crate) delete: String,
    /// One `text[]` per column. Inserts rows.
    pub(crate) insert: String,
    /// Number of identity columns.
    pub(crate) identity_columns: usize,
}

/// What statements for a table are made of.
pub(crate) struct Subject<'r> {
    pub(crate) relation: &'r Relation,
    /// Indexes into the relation's columns: those in whose order it is read in parts.
    pub(crate) order: &'r [usize],
    /// Which rows count, as SQL; all without it.
    pub(crate) only: Option<&'r str>,
    pub(crate) bytes: Bytes,
}

impl Subject<'_> {
    /// The rows that count.
    fn counted(&self) -> String {
        self.only.map_or_else(|| "true".to_owned(), |only| format!("({only})"))
    }

    /// Those of a part, whose bounds are parameters from `$first` on.
    fn of_part(&self, first: usize) -> String {
        let columns: Vec<&Column> =
            self.order.iter().filter_map(|at| self.relation.columns.get(*at)).collect();
        format!("{} and {}", self.counted(), parts::condition(&columns, first))
    }
}

impl Statements {
    /// `key` are indexes into the relation's columns, of columns that are not null on either side.
    pub(crate) fn keyed(subject: &Subject<'_>, key: &[usize]) -> Self {
        let Subject { relation, bytes, .. } = *subject;
        let key_columns: Vec<&Column> = key.iter().filter_map(|at| relation.columns.get(*at)).collect();
        let (order, row) = (order(&key_columns, bytes), record(&relation.columns, bytes));
        let identity = array(&key_columns.iter().map(|column| text(column)).collect::<Vec<_>>());
        let from = relation.name.quoted();
        let all = |first| {
            hashes(&format!("select {order} as o, {row} as r from {from} t where {}", subject.of_part(first)))
        };
        // The row and the text of its key are made only where the bucket is one of those asked for.
        let some = hashes(&format!(
            "select {order} as o, {row} as r, {identity} as i from {from} t \
             where ({order} & $1)::int4 = any($2::int4[]) and ($3::int8 is null or {order} > $3) and {}",
            subject.of_part(4)
        ));
        let found = |what: &str| by_key(subject, &key_columns, &identity, what);
        Self {
            totals: totals(&all(1)),
            buckets: buckets(&all(2)),
            suspects: format!("select o, i, array[1, h1, h2] from ({some} offset 0) q order by o"),
            lookup: lookup(relation, found, &identity, [&order, &row], bytes),
            values: found(&format!("{identity}, {}", texts(relation, text))),
            contents: found(&format!("{identity}, {}", texts(relation, exact_text))),
            delete: delete(relation, &found("t.tableoid, t.ctid")),
            insert: insert(relation),
            identity_columns: key_columns.len(),
        }
    }

    /// Without a key: a row's identity is its hash, and its content how often there is such a row, `[count]`.
    pub(crate) fn keyless(subject: &Subject<'_>) -> Self {
        let Subject { relation, bytes, .. } = *subject;
        let (row, from) = (record(&relation.columns, bytes), relation.name.quoted());
        let order = row_hash("r", &SEED_ORDER.to_string());
        let of = |what: &str, first: usize| {
            let rows = format!("select {row} as r{what} from {from} t where {}", subject.of_part(first));
            hashes(&format!("select {order} as o, c.* from ({rows} offset 0) c"))
        };
        let identity = "array[to_hex(h1), to_hex(h2)]";
        let wanted = "(to_hex(h1), to_hex(h2)) in (select * from unnest($1::text[], $2::text[]))";
        let versions = of(&format!(", {} as v", version()), 3);
        let contents = of(&format!(", {} as x", texts(relation, exact_text)), 3);
        // Not in ranges: whoever deletes holds the rows anyway.
        let places = format!(
            "select {row} as r, t.tableoid as place_table, t.ctid as place from {from} t where {}",
            subject.counted()
        );
        let places = hashes(&format!("select {order} as o, c.* from ({places} offset 0) c"));
        Self {
            totals: totals(&of("", 1)),
            buckets: buckets(&of("", 2)),
            suspects: format!(
                "select o, {identity}, array[count(*)] from ({} offset 0) q \
                 where (o & $1)::int4 = any($2::int4[]) and ($3::int8 is null or o > $3) \
                 group by o, h1, h2 order by o",
                of("", 4)
            ),
            lookup: format!(
                "select {identity}, array[count(*)], bit_xor(v) from ({versions} offset 0) q \
                 where {wanted} group by h1, h2"
            ),
            values: String::new(),
            contents: format!(
                "select i, x from (select {identity} as i, x, row_number() over (partition by h1, h2) as n \
                 from ({contents} offset 0) q where {wanted}) w where n = 1"
            ),
            delete: delete(
                relation,
                &format!(
                    "select place_table as tableoid, place as ctid from ( \
                     select q.place_table, q.place, w.many, row_number() over (partition by h1, h2) as n \
                     from ({places} offset 0) q join unnest($1::text[], $2::text[], $3::int8[]) as w(one, two, many) \
                     on to_hex(q.h1) = w.one and to_hex(q.h2) = w.two) y where n <= many"
                ),
            ),
            insert: insert(relation),
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
    found: impl Fn(&str) -> String,
    identity: &str,
    [order, row]: [&str; 2],
    bytes: Bytes,
) -> String {
    let of_column = |column| row_hash(&record([column], bytes), &SEED_COLUMN.to_string());
    let columns: Vec<String> = relation.columns.iter().map(of_column).collect();
    let columns = columns.join(", ");
    let what =
        format!("{order} as o, {row} as r, {identity} as i, {} as v, array[{columns}] as c", version());
    format!("select i, array[1, h1, h2] || c, v from ({} offset 0) q", hashes(&found(&what)))
}

fn texts(relation: &Relation, text: impl Fn(&Column) -> String) -> String {
    array(&relation.columns.iter().map(text).collect::<Vec<_>>())
}

/// Deletes the rows that `places` gives.
fn delete(relation: &Relation, places: &str) -> String {
    format!(
        "delete from {} d using ({places}) x where d.tableoid = x.tableoid and d.ctid = x.ctid",
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
fn by_key(subject: &Subject<'_>, key: &[&Column], identity: &str, what: &str) -> String {
    // Names that no condition of the user's means.
    let names: Vec<String> = (1..=key.len()).map(|at| format!("cleave_key_{at}")).collect();
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
         where {identity}::text collate \"C\" = {wanted}::text collate \"C\" and {}",
        sets.join(", "),
        names.join(", "),
        subject.relation.name.quoted(),
        joins.join(" and "),
        subject.counted(),
    )
}

/// The record that is hashed.
fn record<'c>(columns: impl IntoIterator<Item = &'c Column>, bytes: Bytes) -> String {
    let elements: Vec<String> = columns.into_iter().map(|column| element(column, bytes)).collect();
    format!("row({})", elements.join(", "))
}

/// A column's value in the form that is the same on both sides; may be several elements of the record.
fn element(column: &Column, bytes: Bytes) -> String {
    let value = format!("t.{}::{}", column.name.quoted(), column.cast);
    match (column.canonical, bytes) {
        (Canonical::Value, _) => value,
        (Canonical::Halves, _) => format!("{value}, {value} >> 32"),
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
            (Canonical::Halves, _) => {
                return format!("hashint8extended({value}, ({value} >> 32) # {SEED_ORDER})");
            }
            _ => {}
        }
    }
    row_hash(&record(key.iter().copied(), bytes), &SEED_ORDER.to_string())
}

/// A column's text, as it is shown and found again; null stays null.
pub(crate) fn text(column: &Column) -> String {
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
