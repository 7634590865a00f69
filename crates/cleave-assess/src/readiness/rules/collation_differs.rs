//! What depends on the order of text.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::Ident;
use cleave_model::catalog::{Column, TableKind};
use std::collections::BTreeSet;

/// Types whose order a collation decides, as `format_type` begins.
const TEXTS: [&str; 3] = ["text", "character varying", "character("];

pub(super) const RULE: Rule = Rule {
    code: "C0894",
    title: "Something depends on an order of text that differs",
    severity: Severity::Warning,
    side: Side::Pair,
    in_plan: false,
    nouns: ("table depends on the order of text", "tables depend on the order of text"),
    why: "text is ordered by another rule or another version of it at the new home",
    cause: "Where the collation of the two databases differs, or its version does, `order by` gives another \
        order, a comparison of texts another answer, and text between two bounds is other text. Indexes are \
        built anew and are right. A table that is partitioned by ranges of text may refuse rows at the new \
        home that its partitions took at the old one, or take them elsewhere; that weighs as a blocker. \
        Columns with the collation \"C\" do not depend on it.",
    fix: "Make the new home's database with the same collation on the same version of the library, or give the \
        columns the collation \"C\" on both sides:\n\n\
        ```sql\n\
        create database films template template0 lc_collate 'de_AT.UTF-8' lc_ctype 'de_AT.UTF-8';\n\
        alter table public.customer alter column name type text collate \"C\";\n\
        ```",
    bad: Example::Pair(
        "source libc de_AT.UTF-8, target libc C, and an index on a text",
        r"create table customer (name text, id int, primary key (name, id)) partition by range (name);
create table customer_a partition of customer for values from (minvalue) to ('n');",
        |source, target| {
            source.catalog.facts.collation = "libc de_AT.UTF-8".into();
            target.catalog.facts.collation = "libc C".into();
        },
    ),
    good: Example::Pair(
        "source libc C, target libc C",
        r"create table customer (name text, id int, primary key (name, id)) partition by range (name);
create table customer_a partition of customer for values from (minvalue) to ('n');",
        |source, target| {
            source.catalog.facts.collation = "libc C".into();
            target.catalog.facts.collation = "libc C".into();
        },
    ),
    check: Check::Two(check),
};

fn check(source: &Ground<'_>, target: &Ground<'_>, found: &mut Found) {
    let versions = |ground: &Ground<'_>| {
        let own = ground.instance().collations.iter().find(|collation| collation.name.is_none());
        own.and_then(|collation| collation.actual_version.clone())
    };
    let (from, to) = (&source.catalog().facts, &target.catalog().facts);
    let (version, other) = (versions(source), versions(target));
    let named = if from.collation == to.collation {
        match (version, other) {
            (Some(version), Some(other)) if version != other => {
                format!("version {version} here, {other} there")
            }
            _ => return,
        }
    } else {
        format!("{} here, {} there", from.collation, to.collation)
    };
    let is_text = |column: &Column| {
        TEXTS.iter().any(|text| column.type_name.starts_with(text)) && column.collation.is_none()
    };
    for table in source.tables() {
        let text: BTreeSet<&Ident> =
            table.columns.iter().filter(|c| is_text(c)).map(|column| &column.name).collect();
        let by_range = matches!(&table.kind, TableKind::Partitioned(key) if key.starts_with("RANGE")
            && text.iter().any(|name| key.contains(name.as_str())));
        if by_range {
            found.object(&table.name).detail(format!("partitioned by ranges of text; {named}"));
        } else if table.indexes.iter().any(|index| index.columns.iter().any(|column| text.contains(column))) {
            found.object(&table.name).detail(&named).weighs(Severity::Note);
        }
    }
}
