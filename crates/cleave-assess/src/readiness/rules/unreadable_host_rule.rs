//! Lines of `pg_hba.conf` that the server cannot read.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::HostRule;

pub(super) const RULE: Rule = Rule {
    code: "C0889",
    title: "A line of `pg_hba.conf` cannot be read",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("line of pg_hba.conf cannot be read", "lines of pg_hba.conf cannot be read"),
    why: "the server ignores the whole file at the next reload, so a rule that a move needs would not come \
        into force",
    cause: "After `select pg_reload_conf()` the server reads `pg_hba.conf` anew. If one line has an error it \
        keeps all old rules and says so only in its log. A rule that was added for Cleave, or for the bridge \
        from server to server, is then not there although it stands in the file.",
    fix: "Mend the line, reload, and look again:\n\n\
        ```sql\n\
        select line_number, error from pg_hba_file_rules where error is not null;\n\
        ```",
    bad: Example::Observed("line 98: invalid authentication method \"scram\"", "", |observed| {
        let rule =
            HostRule { line: 98, error: Some("invalid authentication method".into()), ..HostRule::default() };
        observed.instance.host_rules = Some(vec![rule]);
    }),
    good: Example::Observed("all lines can be read", "", |observed| {
        observed.instance.host_rules = Some(Vec::new());
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for rule in ground.instance().host_rules.iter().flatten() {
        if let Some(error) = &rule.error {
            found.object(format!("line {}", rule.line)).detail(error);
        }
    }
}
