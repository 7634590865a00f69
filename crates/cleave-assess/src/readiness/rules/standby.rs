//! Standbys: nothing can be written to them.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0821",
    title: "The server is a standby",
    severity: Severity::Blocker,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "Cleave keeps its journal in the databases of a move, and a standby cannot be written to",
    cause: "A move writes on both sides: its journal, the fence, the rows of the other side once the home has \
        changed. A standby refuses all of it. (16 and later could decode on a standby; a move needs more \
        than that.)",
    fix: "Name the primary in cleave.toml. A URL with several hosts and `target_session_attrs=primary` finds \
        it by itself.",
    bad: Example::Observed("pg_is_in_recovery() = true", "", |observed| {
        observed.catalog.facts.in_recovery = true;
    }),
    good: Example::Observed("pg_is_in_recovery() = false", "", |observed| {
        observed.catalog.facts.in_recovery = false;
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    if ground.catalog().facts.in_recovery {
        found.sentence("the server is a standby").fix("-- name the primary in cleave.toml");
    }
}
