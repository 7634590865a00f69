//! Base backups that run.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0822",
    title: "A base backup is running",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "a copy and a base backup read the same disks; what is restored from it later is behind the switch",
    cause: "A base backup reads everything and slows the copy, and the copy slows the backup. More important: a \
        server that is restored from a backup taken before a switch does not know of the switch.",
    fix: "Wait until it has ended, and take a fresh backup of both sides after the switch.",
    bad: Example::Observed("1 base backup is running (pg_stat_progress_basebackup)", "", |observed| {
        observed.instance.backups = 1;
    }),
    good: Example::Observed("no base backup is running", "", |observed| {
        observed.instance.backups = 0;
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    match ground.instance().backups {
        0 => {}
        1 => drop(found.sentence("a base backup is running")),
        count => drop(found.sentence(format!("{count} base backups are running"))),
    }
}
