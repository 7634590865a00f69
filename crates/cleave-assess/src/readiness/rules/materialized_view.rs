//! Materialized views.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0868",
    title: "A materialized view reads tables that may move",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("materialized view", "materialized views"),
    why: "it stays and reads the copy that is left behind, so a service that moves its tables needs `copies`",
    cause: "A materialized view is bound to its tables, not to their names. After a switch it reads the \
        read-only copy that stays, which the way back keeps current to within moments. Without a copy the \
        plan is refused (C0213). Refreshing it takes what it takes today.",
    fix: "Let the service keep a copy:\n\n\
        ```toml\n\
        copies = [\"monolith/films_copy\"]\n\
        ```",
    bad: Example::Sql(
        r"create table sale (id int primary key, film int, amount numeric);
create materialized view sales as select film, sum(amount) from sale group by film;",
    ),
    good: Example::Sql(
        r"create table sale (id int primary key, film int, amount numeric);
create view sales as select film, sum(amount) from sale group by film;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for view in ground.views().filter(|view| view.materialized) {
        found.object(&view.name);
    }
}
