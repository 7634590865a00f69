//! Extensions that the new home lacks or has in another version.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::Ident;
use cleave_model::catalog::{ObjectRef, Outside};
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    code: "C0895",
    title: "An extension differs between the two servers",
    severity: Severity::Blocker,
    side: Side::Pair,
    in_plan: false,
    nouns: ("extension differs", "extensions differ"),
    why: "objects of an extension can only be used where the extension is, and behave as its version does",
    cause: "Types, operators and functions of an extension are made by `create extension` from files on the \
        server's machine. Where they are missing, tables that use them cannot be made: that is a blocker. \
        Where only another version is there, values are copied as text and read by that version, which is \
        usually right and worth a test. Only extensions that a table of the move uses are named.",
    fix: "Install the package on the new home's machine and create the extension in a schema of the same name:\n\n\
        ```sql\n\
        create extension pg_trgm schema public;\n\
        ```",
    bad: Example::Pair(
        "the target's server does not have citext",
        r"create extension citext;
create table film (id int primary key, title citext);",
        |_source, target| {
            target.catalog.extensions.clear();
            target.instance.available_extensions.clear();
        },
    ),
    good: Example::Pair(
        "the target's server does not have citext",
        r"create table film (id int primary key, title text);",
        |_source, target| {
            target.catalog.extensions.clear();
            target.instance.available_extensions.clear();
        },
    ),
    check: Check::Two(check),
};

fn check(source: &Ground<'_>, target: &Ground<'_>, found: &mut Found) {
    let mut names: BTreeSet<&Ident> = BTreeSet::new();
    for need in &source.catalog().outside_needs {
        if let (ObjectRef::Relation(oid), Outside::Extension(name)) = (need.dependent, &need.what)
            && source.table_by_oid(oid).is_some_and(|table| source.has(&table.name))
        {
            names.insert(name);
        }
    }
    for name in names {
        let here = source.catalog().extensions.iter().find(|extension| extension.name == *name);
        let there = target.catalog().extensions.iter().find(|extension| extension.name == *name);
        let available = target.instance().available_extensions.get(name.as_str());
        match (here, there, available) {
            (_, None, None) => drop(found.object(name).detail("is not on the server")),
            // That it is still to be created is said by the plan.
            (Some(here), None, Some(version)) if *version != here.version => {
                let versions = format!("{} here, {version} there", here.version);
                found.object(name).detail(versions).weighs(Severity::Warning);
            }
            (Some(here), Some(there), _) if here.version != there.version => {
                let versions = format!("{} here, {} there", here.version, there.version);
                found.object(name).detail(versions).weighs(Severity::Warning);
            }
            _ => {}
        }
    }
}
