//! What stands in the zoo: types, each with values to its limits, and tables made of them.

use cleave_sandbox::Version;

/// Rows that a wide table begins with.
const ROWS: usize = 8;

/// A type as SQL names it, and its values as text.
pub(super) type Kind = (String, Vec<String>);

pub(super) fn kind(name: &str, values: &[&str]) -> Kind {
    (name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
}

/// A built-in type by its name in `pg_type`, which some keywords hide.
pub(super) fn built_in(name: &str, values: &[&str]) -> Kind {
    kind(&format!("pg_catalog.\"{name}\""), values)
}

/// What the list of types that travel in binary leaves out.
pub(super) fn in_text_only() -> Vec<Kind> {
    let mut kinds: Vec<Kind> = [
        ("xml", &["<?xml version=\"1.0\" encoding=\"UTF-8\"?><ä/>", "<a b=\"c\">d</a>", "e", ""] as &[&str]),
        ("tsquery", &["", "'fat' & ( 'rat':AB | !'cat':* )", "'a' <2> 'b'"]),
        ("txid_snapshot", &["10:20:10,14,15", "1:1:"]),
        ("pg_snapshot", &["10:20:10,14,15"]),
        ("xid", &["0", "4294967295"]),
        ("cid", &["0", "4294967295"]),
        ("tid", &["(0,1)", "(4294967295,65535)"]),
        ("int2vector", &["1 2 -3", ""]),
        ("oidvector", &["1 2 4294967295", ""]),
        ("refcursor", &["a cursor", ""]),
        ("regclass", &["pg_catalog.pg_class", "4294967295", "-"]),
        ("regtype", &["integer", "pg_catalog.\"char\"[]", "-"]),
        ("regproc", &["pg_catalog.now", "-"]),
        ("regprocedure", &["pg_catalog.now()", "-"]),
        ("regoper", &["pg_catalog.||/", "0"]),
        ("regoperator", &["pg_catalog.+(integer,integer)", "0"]),
        ("regnamespace", &["pg_catalog", "-"]),
        ("regrole", &["pg_monitor", "-"]),
        ("regcollation", &["\"C\"", "-"]),
        ("regconfig", &["english", "-"]),
        ("regdictionary", &["simple", "-"]),
    ]
    .iter()
    .map(|(name, values)| built_in(name, values))
    .collect();
    // With a length, a precision or a range of fields.
    kinds.extend(
        [
            ("numeric(10,3)", &["-9999999.999", "1.5", "NaN"] as &[&str]),
            ("varchar(5)", &["", "ä€😀 x"]),
            ("char(5)", &["", "a", "äbcde"]),
            ("bit(9)", &["101010101", "000000000"]),
            ("bit varying(12)", &["", "1", "111100001111"]),
            ("time(2)", &["12:34:56.78", "24:00"]),
            ("time(1) with time zone", &["12:34:56.7+15:59:59"]),
            ("timestamp(3)", &["2024-02-29 23:59:59.999", "-infinity", "0044-03-15 BC"]),
            ("timestamptz(0)", &["1883-11-18 12:03:58-04:56:02", "infinity"]),
            ("interval year to month", &["-178000000 years", "1 mon"]),
            ("interval second(2)", &["1.25", "-0.01"]),
            ("float(5)", &["1e-45", "NaN"]),
        ]
        .iter()
        .map(|(name, values)| kind(name, values)),
    );
    kinds
}

/// What only newer versions can say; none where one side is older.
pub(super) fn newer(oldest: Version) -> Vec<Kind> {
    let mut kinds = Vec::new();
    if oldest >= Version::V15 {
        kinds.push(kind("numeric(2,-3)", &["99000", "-1000"]));
        kinds.push(kind("numeric(3,5)", &["0.00999"]));
    }
    if oldest >= Version::V17 {
        kinds.push(kind("interval", &["infinity", "-infinity"]));
    }
    kinds
}

/// A table with a column of each type and one of its array, with `ROWS` rows.
pub(super) struct Wide {
    pub(super) name: String,
    pub(super) kinds: Vec<Kind>,
}

fn literal(value: &str) -> String {
    format!("$literal${value}$literal$")
}

impl Wide {
    pub(super) fn columns(&self) -> Vec<String> {
        (0..self.kinds.len()).flat_map(|at| [format!("v{at}"), format!("a{at}")]).collect()
    }

    pub(super) fn schema(&self) -> Vec<String> {
        let columns: Vec<String> = self
            .kinds
            .iter()
            .enumerate()
            .map(|(at, (name, _))| format!(", v{at} {name}, a{at} {name}[]"))
            .collect();
        let create =
            format!("create table {} (id int primary key, note text{})", self.name, columns.concat());
        std::iter::once(create).chain((0..ROWS).map(|row| self.insert(row))).collect()
    }

    fn insert(&self, row: usize) -> String {
        let values: Vec<String> =
            self.kinds.iter().map(|(name, values)| values_of(name, values, row)).collect();
        format!("insert into {} values ({row}, 'first'{})", self.name, values.concat())
    }
}

/// A value and an array of it: nested with nulls, empty, of other bounds, or null.
fn values_of(name: &str, values: &[String], row: usize) -> String {
    let value = |row: usize| literal(&values[row % values.len()]);
    let one = value(row);
    match row % ROWS {
        3 => format!(", {one}, '{{}}'"),
        4 => format!(", {one}, null"),
        5 => format!(", null, array[null, {one}]::{name}[]"),
        6 => format!(", {one}, ('[-1:0]=' || array[{one}, null]::{name}[]::text)::{name}[]"),
        _ => format!(", {one}, array[[{one}, null], [{}, {one}]]::{name}[]", value(row + 1)),
    }
}

/// What is done to the rows of a table with an int `id` and a `note`, each round to others.
pub(super) fn changes(table: &str, columns: &[String], round: usize) -> Vec<String> {
    let all = columns.join(", ");
    let set: Vec<String> = columns.iter().map(|column| format!("{column} = s.{column}")).collect();
    let nulls: Vec<String> = columns.iter().map(|column| format!("{column} = null")).collect();
    let (new, moved) = (100 * (round + 1), 100 * (round + 1) + 50);
    let (set, nulls) = (set.join(", "), nulls.join(", "));
    vec![
        format!("insert into {table} (id, note, {all}) select id + {new}, 'new', {all} from {table} where id < 50"),
        format!(
            "begin;
             update {table} t set note = 'all', {set} from {table} s where t.id = {round} and s.id = {new} + 7;
             update {table} set note = 'unchanged' where id in (1, 2, {new} + 1);
             update {table} set note = 'again' where id in (2, {new} + 2);
             commit"
        ),
        format!("update {table} set note = null, {nulls} where id = {new} + 3"),
        format!("update {table} t set {set} from {table} s where t.id = {new} + 3 and s.id = {new} + 6"),
        format!("update {table} set id = id + {moved} - {new} where id in ({new} + 4, {new} + 5)"),
        format!(
            "begin;
             delete from {table} where id = {new} + 6;
             insert into {table} (id, note, {all}) select {new} + 6, 'anew', {all} from {table} where id = {new} + 1;
             update {table} set note = 'swapped', id = -1 where id = {new};
             update {table} set id = {new} where id = {new} + 1;
             update {table} set id = {new} + 1 where id = -1;
             commit"
        ),
        format!("delete from {table} where id in ({new} + 2, {moved} + 4)"),
    ]
}
