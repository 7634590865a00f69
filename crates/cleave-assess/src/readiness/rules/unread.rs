//! What the role may not read.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::Unread;

pub(super) const RULE: Rule = Rule {
    code: "C0840",
    title: "Something could not be read",
    severity: Severity::Note,
    side: Side::Either,
    in_plan: false,
    nouns: ("thing could not be read", "things could not be read"),
    why: "what cannot be read cannot be judged, and is not guessed",
    cause: "Some views of the server show all of themselves only to roles that monitor it, and some only to \
        superusers. What this role could not read is named, with what the server said. Findings that depend \
        on it are missing.",
    fix: "Give the role what it needs to look; nothing of it lets it change anything:\n\n\
        ```sql\n\
        grant pg_monitor to cleave;\n\
        grant execute on function pg_hba_file_rules() to cleave;\n\
        grant select on pg_hba_file_rules to cleave;\n\
        ```",
    bad: Example::Observed(
        "the rules of pg_hba.conf: permission denied for view pg_hba_file_rules",
        "",
        |observed| {
            let reason = "permission denied for view pg_hba_file_rules".into();
            observed.instance.unread = vec![Unread { what: "the rules of pg_hba.conf".into(), reason }];
        },
    ),
    good: Example::Observed("everything could be read", "", |observed| {
        observed.instance.unread.clear();
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for Unread { what, reason } in &ground.instance().unread {
        found.object(what).detail(reason);
    }
}
