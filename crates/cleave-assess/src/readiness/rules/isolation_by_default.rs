//! A default isolation above read committed.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0882",
    title: "Transactions keep one snapshot by default",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("", ""),
    why: "a transaction that is open across a switch loses its snapshot, and writers through a bridge must \
        retry more often",
    cause: "With `default_transaction_isolation` at repeatable read or serializable a transaction sees the \
        database as it was when it began. A name that has become a foreign table meanwhile shows the new \
        home as it is: such a transaction loses its snapshot of that table at the switch. Two writers of one \
        row get 40001 through a bridge at any level; applications at these levels know how to retry, which \
        helps.",
    fix: "See that the application retries on 40001. Serializable guarantees hold within one database, and no \
        longer between the two.",
    bad: Example::Sql(
        r"do $$ begin execute format('alter database %I set default_transaction_isolation = %L', current_database(), 'repeatable read'); end $$;",
    ),
    good: Example::Sql(r"create table film (id int primary key);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let level = ground.instance().setting("default_transaction_isolation");
    if let Some(level @ ("repeatable read" | "serializable")) = level {
        let seen = format!("default_transaction_isolation is {level}");
        found.sentence(seen).about("default_transaction_isolation");
    }
}
