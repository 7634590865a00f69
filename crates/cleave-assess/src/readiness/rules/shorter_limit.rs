//! Time limits that are shorter at the new home.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::{format_duration_ms, quote_ident};

pub(super) const RULE: Rule = Rule {
    code: "C0899",
    title: "A time limit is shorter at the new home",
    severity: Severity::Warning,
    side: Side::Pair,
    in_plan: false,
    nouns: ("time limit is shorter", "time limits are shorter"),
    why: "work that the old home lets end is cut off there, for applications and for the bridge",
    cause: "Statements that come through a bridge run in a session at the new home, under its limits: \
        `statement_timeout`, `lock_timeout`, `idle_in_transaction_session_timeout`, `idle_session_timeout`, \
        `transaction_timeout`. Where one is shorter than at the old home, long reports and batches fail that \
        have worked for years. Cleave's own sessions set them off for themselves.",
    fix: "Give the new home's database the same limits:\n\n\
        ```sql\n\
        alter database films set statement_timeout = '5min';\n\
        ```",
    bad: Example::Pair("statement_timeout is 0 here and 30 s there", "", |source, target| {
        source.instance.settings.insert("statement_timeout".into(), "0".into());
        target.instance.settings.insert("statement_timeout".into(), "30000".into());
    }),
    good: Example::Pair("statement_timeout is 30 s here and 5 min there", "", |source, target| {
        target.instance.settings = source.instance.settings.clone();
        source.instance.settings.insert("statement_timeout".into(), "30000".into());
        target.instance.settings.insert("statement_timeout".into(), "300000".into());
    }),
    check: Check::Two(check),
};

fn check(source: &Ground<'_>, target: &Ground<'_>, found: &mut Found) {
    const LIMITS: [&str; 5] = [
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "transaction_timeout",
    ];
    let database = quote_ident(&target.catalog().facts.database);
    for name in LIMITS {
        let here = source.instance().number(name).unwrap_or_default().max(0).unsigned_abs();
        let there = target.instance().number(name).unwrap_or_default().max(0).unsigned_abs();
        if there > 0 && (here == 0 || there < here) {
            let fix = format!("alter database {database} set {name} = {here};");
            let before = if here == 0 { "none".to_owned() } else { format_duration_ms(here) };
            found.object(name).detail(format!("{before} here, {} there", format_duration_ms(there))).fix(fix);
        }
    }
}
