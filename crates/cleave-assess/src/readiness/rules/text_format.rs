//! Types whose binary form is not the same everywhere.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::{Column, TypeKind};
use cleave_model::{Oid, format_bytes};
use std::collections::BTreeMap;

/// What the server itself brings has lower OIDs.
const FIRST_USER_OID: u32 = 16_384;

/// Built-in types whose binary form is not the same in every database or version.
const NAMES_OBJECTS: [&str; 6] = ["regclass", "regproc", "regtype", "regrole", "xml", "tsquery"];

pub(super) const RULE: Rule = Rule {
    code: "C0850",
    title: "A column travels as text",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("table is copied as text", "tables are copied as text"),
    why: "its binary form is not the same in every database, so its table is copied as text, which takes \
        longer",
    cause: "Tables are copied in binary where every column's bytes mean the same on both sides. Composite types, \
        arrays of users' types, users' ranges and types of extensions hold object ids or promise nothing \
        from one version to the next. Such a table is copied as text, with settings pinned so that the text \
        means the same. That is always right, and slower.",
    fix: "Nothing has to be done. For a very large table a plain type may be worth it:\n\n\
        ```sql\n\
        alter table public.parcel add column width numeric, add column height numeric;\n\
        ```",
    bad: Example::Sql(
        r"create type extent as (width numeric, height numeric);
create table parcel (id int primary key, size extent);",
    ),
    good: Example::Sql(
        r"create type state as enum ('sent', 'arrived');
create table parcel (id int primary key, width numeric, height numeric, state state);",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let kinds: BTreeMap<Oid, &TypeKind> = ground.catalog().types.iter().map(|t| (t.oid, &t.kind)).collect();
    for table in ground.holding() {
        let unportable = |column: &&Column| {
            column.is_written()
                && (column.type_oid.0 >= FIRST_USER_OID || NAMES_OBJECTS.contains(&column.type_name.as_str()))
                && !matches!(kinds.get(&column.type_oid), Some(TypeKind::Enum(_) | TypeKind::Domain { .. }))
        };
        if let Some(column) = table.columns.iter().find(unportable) {
            let size = format_bytes(table.heap_bytes);
            found.object(&table.name).detail(format!("{}, {}, {size}", column.name, column.type_name));
        }
    }
}
