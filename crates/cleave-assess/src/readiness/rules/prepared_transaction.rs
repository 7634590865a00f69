//! Transactions that were prepared and not ended.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::{Instance, PreparedTransaction};
use cleave_model::{format_duration_ms, quote_literal};

pub(super) const RULE: Rule = Rule {
    code: "C0820",
    title: "A prepared transaction is left over",
    severity: Severity::Blocker,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "a slot is made only when every transaction that ran before has ended, and a switch needs its locks",
    cause: "A transaction that was prepared for a two-phase commit has no session any more, and keeps its locks \
        and its id until somebody ends it. No slot can be made while it is there, and no switch can have the \
        locks that it holds. One that is younger than 5 minutes may belong to a commit that is under way.",
    fix: "Ask whoever coordinates the two phases. If nobody does:\n\n\
        ```sql\n\
        rollback prepared 'its name'; -- or commit prepared, in its database\n\
        ```",
    bad: Example::Observed(
        "prepared transaction \"two-phase\" of role shop_app in database shop, 3 h old",
        "",
        |observed| {
            let open = PreparedTransaction {
                name: "two-phase".into(),
                age_ms: 10_800_000,
                ..PreparedTransaction::default()
            };
            observed.instance.prepared = vec![open];
        },
    ),
    good: Example::Observed("pg_prepared_xacts is empty", "", |observed| {
        observed.instance.prepared.clear();
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for PreparedTransaction { name, owner, database, age_ms } in &ground.instance().prepared {
        let age = format_duration_ms(*age_ms);
        let seen = format!("a transaction of role {owner} in database {database} was prepared {age} ago");
        let fix = format!(
            "rollback prepared {}; -- or commit prepared, in database {database}",
            quote_literal(name)
        );
        let severity = if *age_ms >= Instance::LONG_MS { Severity::Blocker } else { Severity::Warning };
        found.sentence(seen).about(name).fix(fix).weighs(severity);
    }
}
