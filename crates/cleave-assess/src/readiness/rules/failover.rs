//! Standbys that do not have the slots.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::Standby;

pub(super) const RULE: Rule = Rule {
    code: "C0875",
    title: "After a failover the slots would be gone",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("standby would not have the slots", "standbys would not have the slots"),
    why: "a standby that takes over has no slot of the move: streams stop, and the way back is lost if it was \
        armed",
    cause: "Logical slots live on the primary. Up to 16 a standby does not have them; from 17 on those marked \
        for failover are kept on standbys that are set up for it, and a promotion is safe only for standbys \
        named in `synchronized_standby_slots`. A server that takes over shows another timeline. Cleave goes on there if its \
        slots were made with `failover_slots = \"on\"` and nothing is missing, and else stops at the first contact \
        instead of guessing.",
    fix: "Plan the switch for a time without planned failovers, and read C0501 before one happens. On 17 and \
        later name the standbys that wait for each other:\n\n\
        ```sql\n\
        alter system set synchronized_standby_slots = 'standby_1'; select pg_reload_conf();\n\
        ```",
    bad: Example::Observed(
        "a standby streams from this server, and synchronized_standby_slots is empty",
        "",
        |observed| {
            let standby = Standby { name: "standby_1".into(), sync_state: "async".into() };
            observed.instance.standbys = vec![standby];
        },
    ),
    good: Example::Observed("no standby streams from this server", "", |observed| {
        observed.instance.standbys.clear();
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let synchronized =
        ground.instance().setting("synchronized_standby_slots").is_some_and(|names| !names.is_empty());
    if synchronized {
        return;
    }
    for standby in &ground.instance().standbys {
        found.object(&standby.name).detail(&standby.sync_state);
    }
}
