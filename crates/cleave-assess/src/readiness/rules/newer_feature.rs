//! What an older new home does not know.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::{Column, Generated};

pub(super) const RULE: Rule = Rule {
    code: "C0896",
    title: "The new home is older than what the tables use",
    severity: Severity::Blocker,
    side: Side::Pair,
    in_plan: false,
    nouns: ("object uses what the new home does not know", "objects use what the new home does not know"),
    why: "the statement that makes it would fail there",
    cause: "A move to an older server is possible as long as the tables use nothing that came later: `nulls not \
        distinct` and views with `security_invoker` came with 15, `without overlaps`, virtual generated \
        columns and `not enforced` with 18.",
    fix: "Choose a new home of the same version, or do without the feature before the move.",
    bad: Example::Pair(
        "source 18, target 16",
        r"create table line (id int primary key, price numeric, amount int, total numeric generated always as (price * amount) virtual);",
        |source, target| {
            source.catalog.facts.version_num = 180_000;
            target.catalog.facts.version_num = 160_000;
        },
    ),
    good: Example::Pair(
        "source 18, target 16",
        r"create table line (id int primary key, price numeric, amount int, total numeric generated always as (price * amount) stored);",
        |source, target| {
            source.catalog.facts.version_num = 180_000;
            target.catalog.facts.version_num = 160_000;
        },
    ),
    check: Check::Two(check),
};

fn check(source: &Ground<'_>, target: &Ground<'_>, found: &mut Found) {
    let major = target.major();
    for table in source.tables() {
        let mut newer = |since: u32, what: &str, used: bool| {
            if used && since > major {
                found.object(&table.name).detail(format!("{what}, since {since}"));
            }
        };
        let definitions = || {
            let constraints = table.constraints.iter().map(|constraint| constraint.definition.as_str());
            let keys = table.foreign_keys.iter().map(|key| key.definition.as_str());
            constraints.chain(keys).chain(table.indexes.iter().map(|index| index.definition.as_str()))
        };
        let says = |text: &str| definitions().any(|definition| definition.contains(text));
        newer(15, "nulls not distinct", says("NULLS NOT DISTINCT"));
        newer(18, "without overlaps", says("WITHOUT OVERLAPS") || says("PERIOD "));
        newer(18, "a constraint that is not enforced", says("NOT ENFORCED"));
        let is_virtual = |column: &Column| matches!(column.generated, Some(Generated::Virtual(_)));
        newer(18, "a virtual generated column", table.columns.iter().any(is_virtual));
    }
    for view in source.views() {
        if major < 15 && view.options.iter().any(|option| option.starts_with("security_invoker=")) {
            found.object(&view.name).detail("security_invoker, since 15").weighs(Severity::Note);
        }
    }
}
