//! Partitions whose detachment was not finished.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::QualifiedName;

pub(super) const RULE: Rule = Rule {
    code: "C0854",
    title: "The detachment of a partition was never finished",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: false,
    nouns: ("partition is half detached", "partitions are half detached"),
    why: "queries see the partition no longer, but it still belongs to its table: neither copy would be right",
    cause: "A `detach partition ... concurrently` works in two transactions. If the second was interrupted, the \
        partition is invisible to queries of its parent and yet attached: nothing can be attached or \
        detached until it is finished. A copy would take it as a partition, and the application does not.",
    fix: "```sql\n\
        alter table public.measurement detach partition public.measurement_2020 finalize;\n\
        ```",
    bad: Example::Observed(
        "pg_inherits.inhdetachpending is true for public.measurement_2020",
        "",
        |observed| {
            observed.instance.detaching = vec![QualifiedName::new("public", "measurement_2020")];
        },
    ),
    good: Example::Observed("no detachment is pending", "", |observed| {
        observed.instance.detaching.clear();
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for partition in &ground.instance().detaching {
        let parent = ground.table(partition).and_then(|table| table.partition_of.as_ref());
        let hit = found.object(partition);
        if let Some(above) = parent {
            let (parent, partition) = (above.parent.quoted(), partition.quoted());
            hit.fix(format!("alter table {parent} detach partition {partition} finalize;"));
        }
    }
}
