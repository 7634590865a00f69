//! Functions that notify.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::function_name;

pub(super) const RULE: Rule = Rule {
    code: "C0863",
    title: "A function sends notifications",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("function sends notifications", "functions send notifications"),
    why: "notifications reach sessions of the same database only: listeners at the old home hear nothing any \
        more",
    cause: "`notify` wakes sessions that listen in the same database. A trigger that notifies is carried with \
        its table, so after a switch it notifies at the new home, while listeners may still be connected to \
        the old one. Applied changes fire no triggers, so nothing is sent twice.",
    fix: "Let the listeners connect to both databases before the switch, and to the new one alone after \
        `complete`.",
    bad: Example::Sql(
        r"create table job (id int primary key);
create function announce() returns trigger language plpgsql as $$ begin perform pg_notify('jobs', new.id::text); return new; end $$;
create trigger announce after insert on job for each row execute function announce();",
    ),
    good: Example::Sql(
        r"create table job (id int primary key, announced bool);
create function announce() returns trigger language plpgsql as $$ begin new.announced := false; return new; end $$;
create trigger announce before insert on job for each row execute function announce();",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for (function, body) in ground.functions() {
        let statement = function.language == "plpgsql" && body.words().iter().any(|word| word == "notify");
        if statement || body.has_any(&["pg_notify"]) {
            found.object(function_name(function));
        }
    }
}
