//! Tables that a vacuum against wraparound is due for.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::TableAge;
use cleave_model::{QualifiedName, format_count};

pub(super) const RULE: Rule = Rule {
    code: "C0853",
    title: "A vacuum against wraparound is due",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("table is due for a vacuum against wraparound", "tables are due for a vacuum against wraparound"),
    why: "such a vacuum does not let go of its lock, and a switch has to wait for its end",
    cause: "When a table has not been frozen for `autovacuum_freeze_max_age` transactions, the server vacuums it \
        whether or not autovacuum is on, and that vacuum does not give way to others. A switch needs the \
        table's lock for a moment and gives up when it cannot have it. Tables over 90 % of that age are \
        named.",
    fix: "Freeze them at a quiet time before the switch:\n\n\
        ```sql\n\
        vacuum (freeze, verbose) public.event;\n\
        ```",
    bad: Example::Observed(
        "age(relfrozenxid) of public.event is 195 million, autovacuum_freeze_max_age is 200 million",
        "",
        |observed| {
            let table = QualifiedName::new("public", "event");
            observed.instance.table_ages = vec![TableAge { table, age: 195_000_000 }];
        },
    ),
    good: Example::Observed("the oldest table was frozen 20 million transactions ago", "", |observed| {
        let table = QualifiedName::new("public", "event");
        observed.instance.table_ages = vec![TableAge { table, age: 20_000_000 }];
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let max =
        ground.instance().number("autovacuum_freeze_max_age").unwrap_or(200_000_000).max(1).unsigned_abs();
    for TableAge { table, age } in &ground.instance().table_ages {
        if age.saturating_mul(10) > max.saturating_mul(9) {
            let fix = format!("vacuum (freeze, verbose) {};", table.quoted());
            found.object(table).detail(format!("{} transactions", format_count(*age))).fix(fix);
        }
    }
}
