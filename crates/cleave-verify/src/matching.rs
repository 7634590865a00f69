//! Which tables of two databases are compared with each other: those of one name. Pure.

use crate::{Mapping, VerifyError, VerifyTable};
use cleave_model::{
    Ident, QualifiedName,
    catalog::{Catalog, Table, TableKind},
};
use std::collections::BTreeMap;

/// Pairs the wanted tables of two databases by their names. Partitions are compared with the table they are parts of,
/// unless that one is not wanted; foreign tables hold no rows.
///
/// # Errors
/// As [`Mapping::match_tables`].
pub fn match_tables(
    home: &Catalog,
    follower: &Catalog,
    wanted: impl Fn(&QualifiedName) -> bool,
) -> Result<Vec<VerifyTable>, VerifyError> {
    Mapping::default().match_tables(home, follower, wanted)
}

/// The wanted tables that are no parts of another wanted one.
pub(crate) fn chosen<'c>(
    catalog: &'c Catalog,
    wanted: &impl Fn(&QualifiedName) -> bool,
) -> BTreeMap<&'c QualifiedName, &'c Table> {
    let apart = |table: &Table| table.partition_of.as_ref().is_none_or(|of| !wanted(&of.parent));
    let tables = catalog.tables.iter().filter(|table| table.kind != TableKind::Foreign);
    tables.filter(|table| wanted(&table.name) && apart(table)).map(|table| (&table.name, table)).collect()
}

/// The primary key, or a unique index without null, condition or expression.
pub(crate) fn key(table: &Table) -> Option<&[Ident]> {
    let unique = || table.indexes.iter().find(|index| index.identifies_rows && index.valid);
    table.primary_key().or_else(|| unique().map(|index| index.columns.as_slice()))
}
