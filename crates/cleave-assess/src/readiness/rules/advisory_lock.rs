//! Functions that take advisory locks.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::function_name;

pub(super) const RULE: Rule = Rule {
    code: "C0862",
    title: "A function takes advisory locks",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("function takes advisory locks", "functions take advisory locks"),
    why: "advisory locks hold in one database: code at the old home and code at the new one do not exclude \
        each other",
    cause: "An advisory lock is a number that sessions of one database agree on. Once a service has its own \
        database, sessions there and sessions of the monolith can hold the \"same\" lock at once. Statements \
        of applications do the same and are not seen here: `cleave assess services` shows them from the \
        workload.",
    fix: "Keep all code that shares a lock on one side, lock a row instead (`select ... for update` goes \
        through a bridge), or repoint all its users at the switch.",
    bad: Example::Sql(
        r"create function next_batch() returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(42);
end $$;",
    ),
    good: Example::Sql(
        r"create table batch (id int primary key);
create function next_batch() returns void language plpgsql as $$
begin
  perform 1 from batch where id = 42 for update;
end $$;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    const LOCKS: [&str; 8] = [
        "pg_advisory_lock",
        "pg_advisory_xact_lock",
        "pg_try_advisory_lock",
        "pg_try_advisory_xact_lock",
        "pg_advisory_lock_shared",
        "pg_advisory_xact_lock_shared",
        "pg_try_advisory_lock_shared",
        "pg_try_advisory_xact_lock_shared",
    ];
    for (function, _) in ground.functions().filter(|(_, body)| body.has_any(&LOCKS)) {
        found.object(function_name(function));
    }
}
