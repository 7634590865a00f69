//! Code that uses transaction ids as data.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::function_name;
use crate::text::Body;

pub(super) const RULE: Rule = Rule {
    code: "C0866",
    title: "Code uses transaction ids as data",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("object uses transaction ids", "objects use transaction ids"),
    why: "each server counts its transactions by itself: ids that were copied say nothing about the new home's \
        order",
    cause: "Some designs remember the id of the writing transaction (`pg_current_xact_id()`, `txid_current()`, \
        `xmin`) to find what has changed since. Copied rows carry ids of the old server, and the system \
        column `xmin` of a copied row is that of the transaction that copied it. A reader that asks for \
        everything after an id finds too much or too little after a switch.",
    fix: "Use a sequence or a time of the application's, or let the readers begin anew after the switch. A \
        change stream (`cleave` itself, an outbox) does not need such a column.",
    bad: Example::Sql(
        r"create table change (id int primary key, in_transaction bigint default txid_current());",
    ),
    good: Example::Sql(
        r"create table change (id int primary key, number bigint generated always as identity);",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    const IDS: [&str; 8] = [
        "txid_current",
        "pg_current_xact_id",
        "txid_current_snapshot",
        "pg_current_snapshot",
        "txid_snapshot_xmin",
        "pg_snapshot_xmin",
        "txid_visible_in_snapshot",
        "pg_visible_in_snapshot",
    ];
    for table in ground.tables() {
        for column in &table.columns {
            if column.default.as_deref().is_some_and(|text| Body::new(text).has_any(&IDS)) {
                found.object(format!("default of {}.{}", table.name, column.name));
            }
        }
    }
    for (function, body) in ground.functions() {
        if body.has_any(&IDS) || body.has_any(&["xmin"]) {
            found.object(function_name(function));
        }
    }
}
