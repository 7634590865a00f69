//! `wal_level`: without `logical` no change can be decoded.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0801",
    title: "`wal_level` is not `logical`",
    severity: Severity::Blocker,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "changes cannot be decoded: there is no stream, neither to here nor back",
    cause: "Changes are read from the write-ahead log by logical decoding. The server writes what that needs \
        only with `wal_level = logical`, on both sides: the way back reads the new home.",
    fix: "Set it and restart the server. It costs a little more log for updates and deletes of tables with a \
        replica identity of several columns, and nothing else.\n\n\
        ```sql\n\
        alter system set wal_level = 'logical'; -- then restart the server\n\
        ```",
    bad: Example::Observed("wal_level = replica", "", |observed| {
        observed.catalog.facts.wal_level = "replica".into();
    }),
    good: Example::Observed("wal_level = logical", "", |observed| {
        observed.catalog.facts.wal_level = "logical".into();
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let level = &ground.catalog().facts.wal_level;
    if level != "logical" {
        let fix = "alter system set wal_level = 'logical'; -- then restart the server";
        found.sentence(format!("wal_level is {level}")).about("wal_level").fix(fix);
    }
}
