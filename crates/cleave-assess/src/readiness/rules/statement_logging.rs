//! Logs that hold every statement.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::quote_ident;

pub(super) const RULE: Rule = Rule {
    code: "C0885",
    title: "The server logs every writing statement",
    severity: Severity::Note,
    side: Side::Either,
    in_plan: false,
    nouns: ("setting logs statements", "settings log statements"),
    why: "rows that streams and bridges write are in the server's log then, with their values",
    cause: "With `log_statement = mod` or `all`, or `log_min_duration_statement = 0`, the server writes each \
        statement into its log, parameters included unless `log_parameter_max_length = 0`. Cleave never logs \
        a row's value; the server does, for what Cleave writes too, and the log grows with every applied \
        change.",
    fix: "Set it off for Cleave's role, as only a superuser can:\n\n\
        ```sql\n\
        alter role cleave set log_statement = 'none';\n\
        alter role cleave set log_min_duration_statement = -1;\n\
        ```",
    bad: Example::Observed("log_statement = 'all'", "", |observed| {
        observed.instance.settings.insert("log_statement".into(), "all".into());
    }),
    good: Example::Observed("log_statement = 'ddl'", "", |observed| {
        observed.instance.settings.insert("log_statement".into(), "ddl".into());
        observed.instance.settings.insert("log_min_duration_statement".into(), "-1".into());
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let role = quote_ident(&ground.catalog().facts.role);
    if let Some(level) =
        ground.instance().setting("log_statement").filter(|level| matches!(*level, "mod" | "all"))
    {
        found
            .object(format!("log_statement = {level}"))
            .fix(format!("alter role {role} set log_statement = 'none';"));
    }
    if ground.instance().number("log_min_duration_statement") == Some(0) {
        let fix = format!("alter role {role} set log_min_duration_statement = -1;");
        found.object("log_min_duration_statement = 0").fix(fix);
    }
}
