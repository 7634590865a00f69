//! Other databases of the same server.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::format_count;
use cleave_model::instance::DatabaseSize;

pub(super) const RULE: Rule = Rule {
    code: "C0873",
    title: "Other databases write to the same log",
    severity: Severity::Note,
    side: Side::Either,
    in_plan: false,
    nouns: ("other database writes to the log", "other databases write to the log"),
    why: "each slot decodes the log of the whole server, so a stream works through what other databases write \
        too",
    cause: "The write-ahead log belongs to the server. A logical slot reads all of it and keeps the changes of \
        its own database. On a server with many databases most of that work is for nothing: a stream needs a \
        processor's time in proportion to the whole log, and waits for each other database's large \
        transactions to be read.",
    fix: "Nothing has to be done if one processor can read the log as fast as it is written; `cleave status` \
        shows whether a stream falls behind. Move few services at a time, as each has a slot in each \
        direction. The busiest databases are named.",
    bad: Example::Observed(
        "databases of the server by rows written: crm 900 million, shop (this one) 40 million, wiki 2 million",
        "",
        |observed| {
            let database =
                |name: &str, rows_written| DatabaseSize { name: name.into(), bytes: None, rows_written };
            let own = observed.catalog.facts.database.clone();
            observed.instance.databases = vec![database("crm", 900_000_000), database(&own, 40_000_000)];
        },
    ),
    good: Example::Observed("no other database of the server writes much", "", |observed| {
        let database =
            |name: &str, rows_written| DatabaseSize { name: name.into(), bytes: None, rows_written };
        let own = observed.catalog.facts.database.clone();
        observed.instance.databases = vec![database(&own, 40_000_000), database("wiki", 9)];
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let own = &ground.catalog().facts.database;
    let written: u64 = ground.instance().databases.iter().map(|database| database.rows_written).sum();
    let others = ground.instance().databases.iter().filter(|database| database.name != *own);
    let others: Vec<_> = others.filter(|database| database.rows_written > 1_000_000).collect();
    let by_others: u64 = others.iter().map(|database| database.rows_written).sum();
    // A tenth more work is not worth a word.
    if by_others.saturating_mul(10) < written.max(1) {
        return;
    }
    for database in others {
        found.object(&database.name).detail(format!("{} rows written", format_count(database.rows_written)));
    }
}
