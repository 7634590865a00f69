//! Statements of shapes, against a table of three columns.

use super::*;
use crate::{
    ColumnRoute, Identity, Route,
    apply::table::{TargetColumn, TargetTable},
};
use bytes::Bytes;
use cleave_model::{Ident, Lsn, Oid, QualifiedName};
use cleave_proto::pgoutput::{Relation, ReplicaIdentity};
use std::{collections::HashMap, sync::Arc};

fn column(name: &str, type_name: &str, comparison: Comparison, identity_always: bool) -> TargetColumn {
    TargetColumn {
        name: Ident::new(name),
        type_sql: QualifiedName::new("pg_catalog", type_name).quoted(),
        type_oid: Oid(0),
        has_array: true,
        equals: "=".into(),
        comparison,
        identity_always,
        generated: false,
    }
}

fn layout(key: &[usize], always: bool) -> Layout {
    let columns = [
        column("id", "int4", Comparison::Native, always),
        column("title", "text", Comparison::Bytewise, false),
        column("price", "numeric", Comparison::AsText, false),
    ];
    let routes = columns.iter().map(|column| ColumnRoute {
        number: 0,
        source_name: column.name.clone(),
        target_name: column.name.clone(),
        identity_always: column.identity_always,
    });
    let route = Route {
        source_oid: Oid(1),
        target_oid: Oid(42),
        columns: routes.collect(),
        identity: Identity::Full,
        start: Lsn(0),
    };
    let table = TargetTable {
        route,
        name: QualifiedName::new("films", "film"),
        columns: HashMap::new(),
        set_based: true,
    };
    let columns = columns.into_iter().enumerate();
    Layout {
        serial: 1,
        relation: Arc::new(Relation {
            oid: Oid(1),
            name: QualifiedName::new("films", "film"),
            replica_identity: ReplicaIdentity::Default,
            columns: Vec::new(),
        }),
        table: Arc::new(table),
        columns: columns.map(|(cell, target)| LayoutColumn { cell, target }).collect(),
        key: key.to_vec(),
        set_based: true,
    }
}

fn text(value: &'static str) -> Cell {
    Cell::Text(Bytes::from_static(value.as_bytes()))
}

fn tuple(cells: [Cell; 3]) -> Tuple {
    Tuple { cells: cells.to_vec() }
}

/// The statement's text and the lengths of its parameters.
fn check(layout: &Layout, change: &Change, expected: &str, lengths: &[usize]) {
    let planned = plan(layout, change).unwrap();
    assert_eq!(sql(layout, &planned.shape), expected);
    let found: Vec<usize> = planned.parameters.iter().map(Parameter::bytes).collect();
    assert_eq!(found, lengths);
}

#[test]
fn an_insert_overrides_identities() {
    check(
        &layout(&[0], true),
        &Change::Insert { new: tuple([text("7"), text("Alien"), Cell::Null]) },
        r#"insert into "films"."film" ("id", "title", "price") overriding system value values ($1, $2, $3)"#,
        &[1, 5, 0],
    );
}

#[test]
fn an_update_sets_neither_the_unchanged_key_nor_values_that_were_not_sent() {
    check(
        &layout(&[0], false),
        &Change::Update { old: None, new: tuple([text("7"), Cell::Unchanged, text("10")]) },
        r#"update only "films"."film" set "price" = $1 where "id" = $2::"pg_catalog"."int4" and tableoid = 42"#,
        &[2, 1],
    );
}

#[test]
fn a_changed_key_finds_the_row_by_its_old_value() {
    let old = Some(OldTuple::Key(tuple([text("7"), Cell::Null, Cell::Null])));
    check(
        &layout(&[0], false),
        &Change::Update { old, new: tuple([text("777"), Cell::Unchanged, Cell::Unchanged]) },
        r#"update only "films"."film" set "id" = $1 where "id" = $2::"pg_catalog"."int4" and tableoid = 42"#,
        &[3, 1],
    );
}

#[test]
fn a_changed_identity_always_replaces_the_row_and_keeps_what_was_not_sent() {
    let old = Some(OldTuple::Key(tuple([text("7"), Cell::Null, Cell::Null])));
    check(
        &layout(&[0], true),
        &Change::Update { old, new: tuple([text("777"), Cell::Unchanged, text("10")]) },
        "with gone as (delete from only \"films\".\"film\" where \"id\" = $3::\"pg_catalog\".\"int4\" and \
         tableoid = 42 returning *) insert into \"films\".\"film\" (\"id\", \"title\", \"price\") overriding \
         system value select $1::\"pg_catalog\".\"int4\", gone.\"title\", $2::\"pg_catalog\".\"numeric\" from gone",
        &[3, 2, 1],
    );
}

#[test]
fn an_identity_always_outside_the_key_is_compared_first() {
    let layout = layout(&[1], true);
    let change = Change::Update { old: None, new: tuple([text("7"), text("Alien"), text("10")]) };
    check(
        &layout,
        &change,
        "update only \"films\".\"film\" set \"price\" = $1 where \"title\" = $2::\"pg_catalog\".\"text\" and \
         tableoid = 42 and \"id\" is not distinct from $3::\"pg_catalog\".\"int4\"",
        &[2, 5, 1],
    );
    let otherwise = plan(&layout, &change).unwrap().otherwise.unwrap();
    assert_eq!(otherwise.shape, Shape::Replace { set: vec![0, 2] });
}

#[test]
fn an_update_that_sets_nothing_still_needs_its_row() {
    check(
        &layout(&[0], true),
        &Change::Update { old: None, new: tuple([text("7"), Cell::Unchanged, Cell::Unchanged]) },
        r#"select from only "films"."film" where "id" = $1::"pg_catalog"."int4" and tableoid = 42 for update"#,
        &[1],
    );
}

#[test]
fn without_a_key_one_of_the_rows_that_are_exactly_alike_is_deleted() {
    let old = OldTuple::Full(tuple([text("7"), Cell::Null, text("1.0")]));
    check(
        &layout(&[], false),
        &Change::Delete { old },
        "delete from only \"films\".\"film\" where ctid = (select ctid from only \"films\".\"film\" where \
         \"id\" is not distinct from $1::\"pg_catalog\".\"int4\" and \
         \"title\" collate \"pg_catalog\".\"C\" is not distinct from $2::\"pg_catalog\".\"text\" collate \"pg_catalog\".\"C\" and \
         \"price\"::pg_catalog.text collate \"pg_catalog\".\"C\" is not distinct from $3::\"pg_catalog\".\"numeric\"::pg_catalog.text collate \"pg_catalog\".\"C\" \
         limit 1) and tableoid = 42",
        &[1, 0, 3],
    );
}

#[test]
fn a_value_whose_cast_says_something_else_is_told_by_what_it_prints() {
    let said =
        same(&LayoutColumn { cell: 0, target: column("page", "xml", Comparison::Printed, false) }, &mut 0);
    assert_eq!(
        said,
        r#"array["page"]::pg_catalog.text collate "pg_catalog"."C" is not distinct from array[$1::"pg_catalog"."xml"]::pg_catalog.text collate "pg_catalog"."C""#
    );
}

#[test]
fn a_key_that_was_not_sent_is_an_error_that_names_the_table_only() {
    let change = Change::Update { old: None, new: tuple([Cell::Unchanged, text("Alien"), Cell::Null]) };
    let error = plan(&layout(&[0], false), &change).unwrap_err();
    assert_eq!(error.code(), "C0510");
    assert!(error.to_string().contains("films.film") && !error.to_string().contains("Alien"));
}
