//! Servers that may forget what they have acknowledged.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0880",
    title: "A crash may lose what was acknowledged",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("setting is off that keeps data safe", "settings are off that keep data safe"),
    why: "nothing that Cleave does can be safer than the servers under it",
    cause: "With `fsync` or `full_page_writes` off, a crash of the machine can leave a database that does not \
        start, or starts with wrong pages. With `synchronous_commit = off` the last moments of acknowledged \
        commits may be gone after a crash: the application's, not Cleave's, which sets it on for itself. A \
        stream never confirms more than the other side has flushed, so the two sides agree again; but with \
        `fsync` off flushed means nothing.",
    fix: "```sql\n\
        alter system set fsync = on;\n\
        alter system set full_page_writes = on;\n\
        alter system set synchronous_commit = on;\n\
        select pg_reload_conf();\n\
        ```",
    bad: Example::Observed("full_page_writes = off", "", |observed| {
        observed.instance.settings.insert("full_page_writes".into(), "off".into());
    }),
    good: Example::Observed("fsync, full_page_writes and synchronous_commit are on", "", |observed| {
        observed.instance.settings.insert("fsync".into(), "on".into());
        observed.instance.settings.insert("full_page_writes".into(), "on".into());
        observed.instance.settings.insert("synchronous_commit".into(), "on".into());
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        if ground.instance().setting(name) == Some("off") {
            found.object(name).fix(format!("alter system set {name} = on; select pg_reload_conf();"));
        }
    }
}
