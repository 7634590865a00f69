//! Connection poolers between Cleave and the server.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::format_duration_ms;

pub(super) const RULE: Rule = Rule {
    code: "C0887",
    title: "A connection pooler stands in between",
    severity: Severity::Blocker,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "locks, settings and snapshots belong to a session, and a pooler hands the session on to others",
    cause: "Cleave keeps state in its sessions: replica mode, an origin, locks, an exported snapshot. A pooler \
        that shares server connections between transactions gives that state to somebody else and takes it \
        away in the middle. It is recognised by two sessions that take turns: a process that has served one of \
        them serves the other; or by a statement that was prepared a moment ago and that the server does not \
        know. A pooler that keeps whole sessions for reuse hands over \
        processes older than the connection; that works for SQL but not for replication connections, so it \
        weighs as a warning.",
    fix: "Name the server itself in cleave.toml, host and port of PostgreSQL. Applications may go on through \
        the pooler.\n\n\
        ```toml\n\
        monolith = { url = \"postgres://cleave@db1.internal:5432/shop\" }\n\
        ```",
    bad: Example::Observed("one session was served by processes 4711 and 4712", "", |observed| {
        observed.instance.connection.process_changes = true;
    }),
    good: Example::Observed("each session keeps its process", "", |observed| {
        observed.instance.connection.process_changes = false;
        observed.instance.connection.process_older_ms = 0;
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    const OLDER_MS: u64 = 10_000;
    let connection = ground.instance().connection;
    let fix = "-- name PostgreSQL's own host and port in cleave.toml";
    if connection.process_changes {
        found.sentence("one session was served by different server processes").fix(fix);
    } else if connection.process_older_ms > OLDER_MS {
        let age = format_duration_ms(connection.process_older_ms);
        let seen = format!("the server's process was there {age} before the connection was made");
        found.sentence(seen).fix(fix).weighs(Severity::Warning);
    }
}
