//! Replica identity FULL without an index to find rows by.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::ReplicaIdentity;
use cleave_model::format_count;

pub(super) const RULE: Rule = Rule {
    code: "C0835",
    title: "Rows are told by all their columns",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("table is told by whole rows", "tables are told by whole rows"),
    why: "each update and delete reads the whole table at the new home, so a busy table falls behind",
    cause: "With `replica identity full` and no unique index over NOT NULL columns, a changed row can only be \
        found at the other side by comparing all of its columns, which reads the table from the beginning \
        for each changed row. Small tables do not mind.",
    fix: "Give the table a key, or a unique index over NOT NULL columns and make it the replica identity:\n\n\
        ```sql\n\
        alter table public.reading add column id bigint generated always as identity primary key;\n\
        alter table public.reading replica identity default;\n\
        ```",
    bad: Example::Sql(
        r"create table reading (sensor int, at timestamptz, value float8);
alter table reading replica identity full;",
    ),
    good: Example::Sql(
        r"create table reading (sensor int, at timestamptz, value float8, primary key (sensor, at));
alter table reading replica identity full;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.holding().filter(|table| table.replica_identity == ReplicaIdentity::Full) {
        if table.indexes.iter().any(|index| index.identifies_rows && index.valid) {
            continue;
        }
        let key = "add column id bigint generated always as identity primary key";
        let fix = format!("alter table {} {key}; -- rewrites the table", table.name.quoted());
        found.object(&table.name).detail(format!("{} rows", format_count(table.rows_estimated))).fix(fix);
    }
}
