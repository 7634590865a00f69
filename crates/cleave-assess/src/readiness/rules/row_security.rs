//! Row-level security.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0837",
    title: "A table has row-level security",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: true,
    nouns: ("table has row-level security", "tables have row-level security"),
    why: "through a bridge everybody is one role at the new home, and policies see that role",
    cause: "Policies decide by the role of the session, often by `current_user` or a setting of the session. \
        Code that still uses the old name after a switch comes to the new home through the bridge, as the \
        bridge's role and without the session's settings. What a policy hides from that role is hidden from \
        everybody who comes that way.",
    fix: "Repoint the applications that rely on the policies before the switch, or let the bridge serve reads \
        only (`bridge = \"none\"`). Cleave's own role needs BYPASSRLS where security is forced (C0818).",
    bad: Example::Sql(
        r"create table patient (id int primary key, doctor name);
alter table patient enable row level security;
create policy own on patient using (doctor = current_user);",
    ),
    good: Example::Sql(r"create table patient (id int primary key, doctor name);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables().filter(|table| table.row_security.0) {
        let count = table.policies.len();
        let policies = if count == 1 { "1 policy".to_owned() } else { format!("{count} policies") };
        found.object(&table.name).detail(policies);
    }
}
