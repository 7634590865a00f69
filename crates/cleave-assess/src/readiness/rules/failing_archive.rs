//! An archiver that fails.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::format_count;
use cleave_model::instance::Archive;

pub(super) const RULE: Rule = Rule {
    code: "C0877",
    title: "The log cannot be archived",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "log that is not archived stays on the disk, and a copy writes a lot of it",
    cause: "With `archive_mode` the server removes log only when it has been archived. While `archive_command` \
        fails, log piles up. A copy writes at least the size of the tables and indexes as log at the new \
        home, and slots keep more at the old one, so the disk is full sooner than anybody expects. Backups \
        have a gap as well.",
    fix: "Look into the server's log for what the command says, and mend it before a move. `select * from \
        pg_stat_archiver` shows when it works again.",
    bad: Example::Observed(
        "the last attempt of archive_command failed, 1,200 failures so far",
        "",
        |observed| {
            observed.instance.archive = Some(Archive { failing: true, failures: 1200 });
        },
    ),
    good: Example::Observed("the last attempt of archive_command succeeded", "", |observed| {
        observed.instance.archive = Some(Archive { failing: false, failures: 3 });
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    if let Some(archive) = ground.instance().archive.filter(|archive| archive.failing) {
        let seen =
            format!("the archiver's last attempt failed ({} failures)", format_count(archive.failures));
        found.sentence(seen).about("archive_command");
    }
}
