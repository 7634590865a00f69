//! `idle_in_transaction_session_timeout` off.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0825",
    title: "Forgotten transactions are never ended",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("", ""),
    why: "an application that forgets a transaction holds up slots and locks for as long as it likes",
    cause: "A session that has begun a transaction and sends nothing more keeps its locks and its id. No slot \
        can be made until it has ended, and a switch gives up when it cannot have its locks within its \
        budget.",
    fix: "Let the server end such sessions. Cleave's own sessions set the limit off for themselves.\n\n\
        ```sql\n\
        alter system set idle_in_transaction_session_timeout = '5min'; select pg_reload_conf();\n\
        ```",
    bad: Example::Observed("idle_in_transaction_session_timeout = 0", "", |observed| {
        observed.instance.settings.insert("idle_in_transaction_session_timeout".into(), "0".into());
    }),
    good: Example::Observed("idle_in_transaction_session_timeout = 5min", "", |observed| {
        observed.instance.settings.insert("idle_in_transaction_session_timeout".into(), "300000".into());
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    if ground.instance().number("idle_in_transaction_session_timeout") == Some(0) {
        let fix = "alter system set idle_in_transaction_session_timeout = '5min'; select pg_reload_conf();";
        let seen = "idle_in_transaction_session_timeout is 0 (off)";
        found.sentence(seen).about("idle_in_transaction_session_timeout").fix(fix);
    }
}
