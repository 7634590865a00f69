//! `idle_replication_slot_timeout` (18).

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0874",
    title: "The server drops slots that are idle",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "a move that is paused for longer loses its slot, and begins again",
    cause: "PostgreSQL 18 can invalidate slots that nobody has read for a while, at a checkpoint. While a move \
        is paused, or its engine is down, its slots are idle. The forward slot waits during the whole first \
        copy too.",
    fix: "Switch it off while a move is open:\n\n\
        ```sql\n\
        alter system set idle_replication_slot_timeout = 0; select pg_reload_conf();\n\
        ```",
    bad: Example::Observed("idle_replication_slot_timeout = 1h", "", |observed| {
        observed.instance.settings.insert("idle_replication_slot_timeout".into(), "3600".into());
    }),
    good: Example::Observed("idle_replication_slot_timeout = 0", "", |observed| {
        observed.instance.settings.insert("idle_replication_slot_timeout".into(), "0".into());
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    if let Some(timeout) =
        ground.instance().number("idle_replication_slot_timeout").filter(|timeout| *timeout > 0)
    {
        let fix = "alter system set idle_replication_slot_timeout = 0; select pg_reload_conf(); -- while a move is open";
        let seen = format!("idle_replication_slot_timeout is {timeout} s");
        found.sentence(seen).about("idle_replication_slot_timeout").fix(fix);
    }
}
