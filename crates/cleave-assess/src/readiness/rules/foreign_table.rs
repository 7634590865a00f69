//! Foreign tables: their rows are elsewhere.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::TableKind;

pub(super) const RULE: Rule = Rule {
    code: "C0831",
    title: "A table is a foreign table",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("foreign table", "foreign tables"),
    why: "its rows are not in this database, so there is nothing to copy and nothing to follow",
    cause: "A foreign table shows rows of another server. They are neither in this database nor in its log.",
    fix: "Leave it out of services. A service that needs it makes a foreign table of its own at its home, with \
        its own server and user mapping. If its rows shall move, name the database that has them as the \
        source.",
    bad: Example::Sql(
        r"create extension postgres_fdw;
create server elsewhere foreign data wrapper postgres_fdw options (dbname 'elsewhere');
create foreign table price (id int, amount numeric) server elsewhere;",
    ),
    good: Example::Sql(r"create table price (id int primary key, amount numeric);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables().filter(|table| table.kind == TableKind::Foreign) {
        found.object(&table.name);
    }
}
