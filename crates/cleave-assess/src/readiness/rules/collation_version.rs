//! Collations that have changed under their indexes.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::Collation;

pub(super) const RULE: Rule = Rule {
    code: "C0892",
    title: "A collation has changed since indexes were built",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("collation has changed", "collations have changed"),
    why: "indexes over text may be out of order, so a row that is there may not be found by its key",
    cause: "The order of text comes from a library of the operating system. When that is upgraded, indexes that \
        were built before may be out of order: lookups miss rows and unique indexes let duplicates in. A \
        copy reads tables, not indexes, so it has every row and builds good indexes. But a duplicate that a \
        broken index let in stops the building of the key at the new home, and the way back looks rows up by \
        the old home's indexes.",
    fix: "Rebuild the indexes, then say that it is done:\n\n\
        ```sql\n\
        reindex database concurrently shop;\n\
        alter database shop refresh collation version; -- 15 and later\n\
        ```",
    bad: Example::Observed(
        "collation of the database: version 2.31 when it was made, 2.36 now",
        "",
        |observed| {
            let (version, actual_version) = (Some("2.31".into()), Some("2.36".into()));
            observed.instance.collations =
                vec![Collation { version, actual_version, ..Collation::default() }];
        },
    ),
    good: Example::Observed("collation of the database: version 2.36, as when it was made", "", |observed| {
        let (version, actual_version) = (Some("2.36".into()), Some("2.36".into()));
        observed.instance.collations = vec![Collation { version, actual_version, ..Collation::default() }];
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for collation in &ground.instance().collations {
        let (Some(version), Some(actual)) = (&collation.version, &collation.actual_version) else { continue };
        if version != actual {
            let name = collation.name.as_deref().unwrap_or("the database's own");
            found.object(name).detail(format!("{version} then, {actual} now"));
        }
    }
}
