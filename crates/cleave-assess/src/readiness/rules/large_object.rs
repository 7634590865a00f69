//! Large objects.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::Column;
use cleave_model::{format_bytes, format_count};

pub(super) const RULE: Rule = Rule {
    code: "C0849",
    title: "The database has large objects",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: false,
    nouns: ("", ""),
    why: "large objects are in no table of a service: they are neither copied nor followed",
    cause: "Large objects (`lo_create`, `lo_import`) lie in `pg_largeobject`, which belongs to the database and \
        to no service, and logical decoding leaves them out. A column of type `oid` or `lo` that names them \
        would name nothing at the new home. Where no table holds such a column, it is only said that they \
        stay.",
    fix: "Move the bytes into a column of type `bytea`, up to 1 GB each, or into a store for files:\n\n\
        ```sql\n\
        alter table public.scan add column content bytea;\n\
        update public.scan set content = lo_get(image);\n\
        ```",
    bad: Example::Sql(
        r"create table scan (id int primary key, image oid);
insert into scan values (1, lo_from_bytea(0, 'bytes of an image'));",
    ),
    good: Example::Sql(
        r"create table scan (id int primary key, image bytea);
insert into scan values (1, 'bytes of an image');",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let objects = ground.instance().large_objects;
    if objects.count == 0 {
        return;
    }
    let names =
        |column: &&Column| column.type_name == "oid" || column.type_name.rsplit('.').next() == Some("lo");
    let holder = ground.tables().find_map(|table| Some((table, table.columns.iter().find(names)?)));
    let count = format_count(objects.count);
    let seen = format!("{count} large objects (or more), {} with their index", format_bytes(objects.bytes));
    match holder {
        Some((table, column)) => {
            let seen = format!("{seen}; {}.{} may name them", table.name, column.name);
            found.sentence(seen).about(format!("{}.{}", table.name, column.name));
        }
        None => drop(found.sentence(seen).weighs(Severity::Note)),
    }
}
