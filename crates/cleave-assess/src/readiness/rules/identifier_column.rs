//! Columns whose values mean something in this database only.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0848",
    title: "A column holds values that mean something in this database only",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("column holds values of this database only", "columns hold values of this database only"),
    why: "object ids, transaction ids and positions of one server are numbers without meaning on another",
    cause: "Values of `oid` and of the types that name objects (`regclass`, `regproc`, `regrole`, ...) are \
        numbers that each database gives out by itself; `xid8`, `pg_snapshot` and `pg_lsn` count one \
        server's transactions and its log. They are copied as they are, or as the object's name where an \
        object of that name is at the new home, and mean something else there, or nothing.",
    fix: "Store names instead of object ids, and times or numbers of your own instead of transaction ids and \
        positions:\n\n\
        ```sql\n\
        alter table public.audit alter column about type text using about::regclass::text;\n\
        ```",
    bad: Example::Sql(r"create table audit (id int primary key, about regclass, in_transaction xid8);"),
    good: Example::Sql(r"create table audit (id int primary key, about text, at timestamptz);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    const TYPES: [&str; 17] = [
        "oid",
        "regclass",
        "regproc",
        "regprocedure",
        "regoper",
        "regoperator",
        "regtype",
        "regrole",
        "regnamespace",
        "regconfig",
        "regdictionary",
        "regcollation",
        "xid",
        "xid8",
        "pg_snapshot",
        "tid",
        "pg_lsn",
    ];
    for table in ground.tables() {
        for column in &table.columns {
            let plain = column.type_name.trim_end_matches("[]");
            if TYPES.contains(&plain) {
                found.object(format!("{}.{}", table.name, column.name)).detail(&column.type_name);
            }
        }
    }
}
