//! `temp_file_limit` at the new home.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::{format_bytes, quote_ident};

pub(super) const RULE: Rule = Rule {
    code: "C0886",
    title: "Temporary files are limited",
    severity: Severity::Warning,
    side: Side::Target,
    in_plan: false,
    nouns: ("", ""),
    why: "building an index sorts the table in temporary files, and fails where they may not grow that far",
    cause: "An index is built by sorting what it indexes. What does not fit into `maintenance_work_mem` goes to \
        temporary files, and `temp_file_limit` bounds how much of them one process may have. A build that \
        meets the limit fails each time it is tried.",
    fix: "Lift it for Cleave's role, as only a superuser can:\n\n\
        ```sql\n\
        alter role cleave set temp_file_limit = -1;\n\
        ```",
    bad: Example::Observed("temp_file_limit = 1GB", "", |observed| {
        observed.instance.settings.insert("temp_file_limit".into(), "1048576".into());
    }),
    good: Example::Observed("temp_file_limit = -1", "", |observed| {
        observed.instance.settings.insert("temp_file_limit".into(), "-1".into());
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    if let Some(kilobytes) =
        ground.instance().number("temp_file_limit").and_then(|limit| u64::try_from(limit).ok())
    {
        let role = quote_ident(&ground.catalog().facts.role);
        let seen = format!("temp_file_limit is {}", format_bytes(kilobytes.saturating_mul(1024)));
        found
            .sentence(seen)
            .about("temp_file_limit")
            .fix(format!("alter role {role} set temp_file_limit = -1;"));
    }
}
