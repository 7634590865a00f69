//! `transaction_timeout` (17 and later).

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::{format_duration_ms, quote_ident};

pub(super) const RULE: Rule = Rule {
    code: "C0879",
    title: "The server ends long transactions",
    severity: Severity::Blocker,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "the replication connection that holds the copy's snapshot is ended by it, however long the copy \
        takes",
    cause: "`transaction_timeout` ends any session whose transaction is older. Cleave's sessions set it off for \
        themselves as they do all limits. A replication connection that exports the snapshot of a copy is in \
        a transaction too, and cannot: what the server, the database or the role says holds for it. A copy \
        that takes longer cannot begin its last tables.",
    fix: "Set it off for Cleave's role, on both sides. Applications keep their limit.\n\n\
        ```sql\n\
        alter role cleave set transaction_timeout = 0;\n\
        ```",
    bad: Example::Sql(
        r"do $$ begin execute format('alter database %I set transaction_timeout = %L', current_database(), '30s'); end $$;",
    ),
    good: Example::Sql(r"create table film (id int primary key);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    if let Some(timeout_ms) = ground.instance().number("transaction_timeout").filter(|timeout| *timeout > 0) {
        let role = quote_ident(&ground.catalog().facts.role);
        let timeout = format_duration_ms(timeout_ms.unsigned_abs());
        let seen = format!("transaction_timeout is {timeout} for role {}", ground.catalog().facts.role);
        found
            .sentence(seen)
            .about("transaction_timeout")
            .fix(format!("alter role {role} set transaction_timeout = 0;"));
    }
}
