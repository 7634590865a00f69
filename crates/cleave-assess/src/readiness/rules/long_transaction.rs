//! Transactions that have been open for long.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::format_duration_ms;
use cleave_model::instance::OpenTransaction;

pub(super) const RULE: Rule = Rule {
    code: "C0819",
    title: "A transaction has been open for long",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "a slot is made only when every transaction that ran before has ended, and a switch needs its locks",
    cause: "A replication slot is made only when every transaction that had an id before has ended, in any \
        database of the server; a switch needs locks that such a transaction may hold. The finding names \
        process, role and application, and says whether it has written.",
    fix: "Let it end, or end it:\n\n\
        ```sql\n\
        select pg_terminate_backend(4711);\n\
        ```\n\n\
        See that it does not come again: `idle_in_transaction_session_timeout`, or a look at the \
        application.",
    bad: Example::Observed(
        "process 4711, role shop_app, application \"report\": idle in transaction for 2 h 5 min, has written",
        "",
        |observed| {
            let open =
                OpenTransaction { pid: 4711, age_ms: 7_500_000, has_xid: true, ..OpenTransaction::default() };
            observed.instance.transactions = vec![open];
        },
    ),
    good: Example::Observed("no transaction is older than 5 min", "", |observed| {
        observed.instance.transactions.clear();
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for open in &ground.instance().transactions {
        let pid = open.pid;
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".to_owned());
        let seen = format!(
            "process {pid} has been in a transaction for {} (role {}, application {:?}, database {}, {}{})",
            format_duration_ms(open.age_ms),
            text(&open.role),
            open.application.as_deref().unwrap_or_default(),
            text(&open.database),
            open.state.as_deref().unwrap_or("state unknown"),
            if open.has_xid { ", has written" } else { "" },
        );
        let fix = format!("select pg_terminate_backend({pid}); -- if nobody needs it");
        found.sentence(seen).about(format!("process {pid}")).fix(fix);
    }
}
