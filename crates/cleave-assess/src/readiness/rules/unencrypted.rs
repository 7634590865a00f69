//! Connections in plain.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::Connection;

pub(super) const RULE: Rule = Rule {
    code: "C0888",
    title: "The connection is not encrypted",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "rows and the role's proof of its password cross the network as they are",
    cause: "Streams carry every row of the moved tables over this connection. It leaves the machine and is not \
        encrypted, because the server offers no TLS or the URL does not ask for it. The bridge connects from \
        server to server in the same way.",
    fix: "Ask for TLS, and let the certificate be checked:\n\n\
        ```toml\n\
        monolith = { url = \"postgres://cleave@db1.internal/shop?sslmode=verify-full\" }\n\
        ```",
    bad: Example::Observed("sslmode=disable to a host on the network", "", |observed| {
        observed.instance.connection = Connection { local: false, ..Connection::default() };
    }),
    good: Example::Observed("sslmode=verify-full", "", |observed| {
        observed.instance.connection = Connection { encrypted: true, ..Connection::default() };
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let connection = ground.instance().connection;
    if !connection.local && !connection.encrypted {
        let seen = "the connection to the server is not encrypted";
        found.sentence(seen).fix("-- in cleave.toml: ?sslmode=verify-full at the end of the URL");
    }
}
