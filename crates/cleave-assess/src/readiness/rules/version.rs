//! The versions that Cleave is made for.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0802",
    title: "The server is of a version that Cleave is not made for",
    severity: Severity::Blocker,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "Cleave is made for and tested with 14 to 18",
    cause: "Every part of a move is tested on PostgreSQL 14, 15, 16, 17 and 18. Older servers lack what a move \
        needs (statistics of sessions, streams without superuser rights); newer ones have not been tried.",
    fix: "Upgrade the server, or use a version of Cleave that knows it.",
    bad: Example::Observed("server_version = 13.22", "", |observed| {
        observed.catalog.facts.version_num = 130_022;
    }),
    good: Example::Observed("server_version = 18.1", "", |observed| {
        observed.catalog.facts.version_num = 180_001;
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let major = ground.major();
    if !(14..=18).contains(&major) {
        found.sentence(format!("the server is PostgreSQL {major}")).about("server_version");
    }
}
