//! `wal_sender_timeout`: neither off nor short.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0823",
    title: "`wal_sender_timeout` is off or short",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "off, a walsender whose reader is gone keeps its slot from everybody else; short, a busy network \
        breaks streams",
    cause: "The server ends a replication connection that has not answered for this long. Off, a connection \
        whose other end has vanished keeps its slot in use, and the stream that comes after it has to wait \
        for the operating system to notice. Under 10 s, a pause of the network or of a busy machine is \
        enough to break a stream; it starts again, but falls behind each time.",
    fix: "The default is right for a move:\n\n\
        ```sql\n\
        alter system set wal_sender_timeout = '60s'; select pg_reload_conf();\n\
        ```",
    bad: Example::Observed("wal_sender_timeout = 0", "", |observed| {
        observed.instance.settings.insert("wal_sender_timeout".into(), "0".into());
    }),
    good: Example::Observed("wal_sender_timeout = 60s", "", |observed| {
        observed.instance.settings.insert("wal_sender_timeout".into(), "60000".into());
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    const MIN_MS: i64 = 10_000;
    let Some(timeout_ms) = ground.instance().number("wal_sender_timeout") else { return };
    let seen = match timeout_ms {
        0 => "wal_sender_timeout is 0 (off)".to_owned(),
        ms if ms < MIN_MS => format!("wal_sender_timeout is {ms} ms"),
        _ => return,
    };
    let fix = "alter system set wal_sender_timeout = '60s'; select pg_reload_conf();";
    found.sentence(seen).about("wal_sender_timeout").fix(fix);
}
