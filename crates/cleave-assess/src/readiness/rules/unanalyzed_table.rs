//! Tables that were never analyzed.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::format_bytes;

pub(super) const RULE: Rule = Rule {
    code: "C0852",
    title: "A table was never analyzed",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("table was never analyzed", "tables were never analyzed"),
    why: "its number of rows is not known, so the plan's sizes and the order of the copy are guesses",
    cause: "The number of rows in the plan is the server's own estimate. A table that was never analyzed or \
        vacuumed has none. The copy begins with the largest tables, and `--max-rate` and progress are \
        reckoned from sizes.",
    fix: "```sql\n\
        analyze public.event;\n\
        ```",
    bad: Example::Sql(
        r"create table event (id int primary key, body text);
alter table event set (autovacuum_enabled = off);
insert into event select n, repeat('x', 200) from generate_series(1, 5000) n;",
    ),
    good: Example::Sql(
        r"create table event (id int primary key, body text);
insert into event select n, repeat('x', 200) from generate_series(1, 5000) n;
analyze event;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    const BYTES_MIN: u64 = 500_000;
    for table in ground.holding().filter(|table| table.rows_estimated == 0 && table.heap_bytes > BYTES_MIN) {
        let fix = format!("analyze {};", table.name.quoted());
        found.object(&table.name).detail(format_bytes(table.heap_bytes)).fix(fix);
    }
}
