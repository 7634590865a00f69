//! Native subscriptions.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0871",
    title: "A native subscription writes to this database",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("native subscription", "native subscriptions"),
    why: "its tables have a writer that no fence stops and no switch repoints",
    cause: "A subscription applies changes of another server, in replica mode, past the fence of a switch. A \
        service that claims one of its tables is refused (C0211). Tables that refer to its tables or are \
        referred to by them can move, but what it writes is not held up by anything.",
    fix: "Let the service's tables be written by applications alone: end the subscription, or leave its tables \
        with the monolith.\n\n\
        ```sql\n\
        alter subscription upstream disable;\n\
        ```",
    bad: Example::Sql(
        r"create subscription upstream connection 'dbname=elsewhere' publication everything with (connect = false);",
    ),
    good: Example::Sql(r"create table film (id int primary key);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for subscription in &ground.catalog().subscriptions {
        let hit = found.object(&subscription.name);
        let tables: Vec<String> = subscription.tables.iter().take(3).map(ToString::to_string).collect();
        if !tables.is_empty() {
            hit.detail(format!("writes to {}", tables.join(", ")));
        }
    }
}
