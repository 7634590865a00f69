//! Types that a user has written in C.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::Oid;
use cleave_model::catalog::TypeKind;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    code: "C0851",
    title: "A type is made of functions in C",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("type that cannot be carried", "types that cannot be carried"),
    why: "its code is a library on this server's machine, and Cleave cannot carry that",
    cause: "A base type (`create type` with input and output functions) lives in a library that the server \
        loads, and a shell type has no definition yet. A column of such a type can only be made where the \
        same library is installed. Types of extensions are not meant: they come with their extension.",
    fix: "Package the type as an extension and create that at the new home, or use a domain or a composite \
        type over built-in ones.",
    bad: Example::Sql(
        r"create type temperature;
create function temperature_in(cstring) returns temperature language internal immutable strict as 'int4in';
create function temperature_out(temperature) returns cstring language internal immutable strict as 'int4out';
create type temperature (input = temperature_in, output = temperature_out, internallength = 4, passedbyvalue, alignment = int4);
create table reading (id int primary key, value temperature);",
    ),
    good: Example::Sql(
        r"create domain temperature as int check (value > -274);
create table reading (id int primary key, value temperature);",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let used: BTreeSet<Oid> =
        ground.tables().flat_map(|table| &table.columns).filter_map(|column| column.user_type).collect();
    for user_type in ground.catalog().types.iter().filter(|user_type| used.contains(&user_type.oid)) {
        if let TypeKind::Other(kind) = &user_type.kind {
            found.object(&user_type.name).detail(kind);
        }
    }
}
