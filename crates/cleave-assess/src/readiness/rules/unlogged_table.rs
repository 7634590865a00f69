//! Unlogged tables: their changes are not in the log.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::Persistence;

pub(super) const RULE: Rule = Rule {
    code: "C0830",
    title: "A table is unlogged",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("unlogged table", "unlogged tables"),
    why: "changes of unlogged tables are not in the log, so a copy could not be kept current",
    cause: "A move copies a table and then follows its changes in the write-ahead log. An unlogged table writes \
        none. It is also emptied after a crash of the server and does not exist on standbys.",
    fix: "Make it an ordinary table. This rewrites it under an exclusive lock. If nothing in it has to be \
        kept, leave it out of the service and make it anew at the new home.\n\n\
        ```sql\n\
        alter table public.basket set logged;\n\
        ```",
    bad: Example::Sql(r"create unlogged table basket (id int primary key, items jsonb);"),
    good: Example::Sql(r"create table basket (id int primary key, items jsonb);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables().filter(|table| table.persistence == Persistence::Unlogged) {
        found.object(&table.name).fix(format!("alter table {} set logged;", table.name.quoted()));
    }
}
