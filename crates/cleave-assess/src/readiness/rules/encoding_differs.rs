//! Databases of different encodings.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::{quote_ident, quote_literal};

pub(super) const RULE: Rule = Rule {
    code: "C0893",
    title: "The encodings of the two databases differ",
    severity: Severity::Blocker,
    side: Side::Pair,
    in_plan: true,
    nouns: ("", ""),
    why: "bytes that are a text in one encoding are another text, or none, in the other",
    cause: "The encoding belongs to the database. A text that the new home's encoding cannot hold fails at the \
        first row that has it, and lengths in bytes differ. Cleave refuses the pair (C0204) instead of \
        finding out in the middle of a copy.",
    fix: "Make the new home's database anew:\n\n\
        ```sql\n\
        create database films encoding 'UTF8' template template0;\n\
        ```",
    bad: Example::Pair("source UTF8, target LATIN1", "", |source, target| {
        source.catalog.facts.encoding = "UTF8".into();
        target.catalog.facts.encoding = "LATIN1".into();
    }),
    good: Example::Pair("source UTF8, target UTF8", "", |source, target| {
        source.catalog.facts.encoding = "UTF8".into();
        target.catalog.facts.encoding = "UTF8".into();
    }),
    check: Check::Two(check),
};

fn check(source: &Ground<'_>, target: &Ground<'_>, found: &mut Found) {
    let (from, to) = (&source.catalog().facts, &target.catalog().facts);
    if from.encoding != to.encoding {
        let seen = format!("{} is {} and {} is {}", from.database, from.encoding, to.database, to.encoding);
        let fix = format!(
            "create database {} encoding {} template template0; -- made anew",
            quote_ident(&to.database),
            quote_literal(&from.encoding)
        );
        found.sentence(seen).about(format!("database {}", to.database)).fix(fix);
    }
}
