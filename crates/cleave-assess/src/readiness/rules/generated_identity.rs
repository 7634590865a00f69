//! Generated columns in what identifies a row.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::{Column, ReplicaIdentity};

pub(super) const RULE: Rule = Rule {
    code: "C0836",
    title: "A generated column is part of what identifies a row",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("table is identified by a generated column", "tables are identified by generated columns"),
    why: "generated columns are not published, so they tell no rows apart",
    cause: "A generated column is computed on each side and not sent. A replica identity that contains one \
        cannot name a row. With FULL, PostgreSQL 18 refuses every update and delete of such a table once it \
        is published, the application's too; the way back publishes at the new home, so it is enough that \
        one of the two is 18.",
    fix: "Give the table a key of plain columns:\n\n\
        ```sql\n\
        alter table public.note add column id bigint generated always as identity primary key;\n\
        alter table public.note replica identity default;\n\
        ```",
    bad: Example::Sql(
        r"create table note (body text, length int generated always as (char_length(body)) stored);
alter table note replica identity full;",
    ),
    good: Example::Sql(
        r"create table note (body text, length int generated always as (char_length(body)) stored,
                   id bigint generated always as identity primary key);",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.holding() {
        let named = match (&table.replica_identity, table.identity_columns()) {
            (ReplicaIdentity::Full, _) => {
                let generated: Vec<&Column> = table.columns.iter().filter(|c| !c.is_written()).collect();
                let severity = if ground.major() >= 18 { Severity::Blocker } else { Severity::Warning };
                generated.first().map(|column| (column.name.clone(), severity))
            }
            (_, Some(columns)) => columns
                .iter()
                .find(|name| table.column(name).is_some_and(|column| !column.is_written()))
                .map(|name| (name.clone(), Severity::Blocker)),
            (_, None) => None,
        };
        if let Some((column, severity)) = named {
            let fix = format!(
                "alter table {} replica identity default; -- with a primary key",
                table.name.quoted()
            );
            found.object(&table.name).detail(format!("column {column}")).fix(fix).weighs(severity);
        }
    }
}
