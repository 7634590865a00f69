//! Event triggers.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0867",
    title: "An event trigger runs for every change of structure",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("event trigger", "event triggers"),
    why: "it also runs for the statements by which Cleave makes tables, renames them and builds the bridge",
    cause: "An event trigger fires for DDL in its database, and for Cleave's too: at the new home when tables \
        and indexes are made, at the old one in the transaction of the switch. One that logs is harmless. \
        One that refuses makes the step fail, and one that changes something changes what Cleave has just \
        made. Event triggers are not carried to a new home. Triggers for logins (17 and later) run for each \
        connection of a stream.",
    fix: "Let it pass Cleave's role, or switch it off for the steps of a move:\n\n\
        ```sql\n\
        alter event trigger no_drops disable;\n\
        ```",
    bad: Example::Sql(
        r"create function refuse() returns event_trigger language plpgsql as $$ begin raise exception 'no drops'; end $$;
create event trigger no_drops on sql_drop execute function refuse();",
    ),
    good: Example::Sql(
        r"create function refuse() returns event_trigger language plpgsql as $$ begin raise exception 'no drops'; end $$;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for trigger in &ground.catalog().event_triggers {
        let fix = format!("alter event trigger {} disable; -- while a step runs", trigger.name.quoted());
        found.object(&trigger.name).detail(format!("on {}", trigger.event)).fix(fix);
    }
}
