//! Which tables of two databases are compared with each other: those of one name. Pure.

use crate::{Side, VerifyError, VerifyTable};
use cleave_model::{
    Ident, QualifiedName,
    catalog::{Catalog, Table, TableKind},
};
use std::collections::BTreeMap;

/// Pairs the wanted tables of two databases by their names. Partitions are compared with the table they are parts of,
/// unless that one is not wanted; foreign tables hold no rows.
///
/// # Errors
/// [`VerifyError::OneSided`], [`VerifyError::ColumnsDiffer`], and [`VerifyError::NothingToCompare`].
pub fn match_tables(
    home: &Catalog,
    follower: &Catalog,
    wanted: impl Fn(&QualifiedName) -> bool,
) -> Result<Vec<VerifyTable>, VerifyError> {
    let (here, mut there) = (chosen(home, &wanted), chosen(follower, &wanted));
    let (mut pairs, mut lonely) = (Vec::new(), Vec::new());
    for (name, table) in here {
        match there.remove(name) {
            Some(other) => pairs.push((table, other)),
            None => lonely.push((name.clone(), Side::Home)),
        }
    }
    lonely.extend(there.into_keys().map(|name| (name.clone(), Side::Follower)));
    if !lonely.is_empty() {
        lonely.sort();
        return Err(VerifyError::OneSided { tables: lonely });
    }
    if pairs.is_empty() {
        return Err(VerifyError::NothingToCompare);
    }
    pairs.into_iter().map(|(table, other)| pair(table, other)).collect()
}

fn chosen<'c>(
    catalog: &'c Catalog,
    wanted: &impl Fn(&QualifiedName) -> bool,
) -> BTreeMap<&'c QualifiedName, &'c Table> {
    let apart = |table: &Table| table.partition_of.as_ref().is_none_or(|of| !wanted(&of.parent));
    let tables = catalog.tables.iter().filter(|table| table.kind != TableKind::Foreign);
    tables.filter(|table| wanted(&table.name) && apart(table)).map(|table| (&table.name, table)).collect()
}

fn pair(table: &Table, other: &Table) -> Result<VerifyTable, VerifyError> {
    let lacking = |one: &Table, in_other: &Table| -> Vec<Ident> {
        let names = one.columns.iter().map(|column| &column.name);
        names.filter(|name| in_other.column(name).is_none()).cloned().collect()
    };
    let (only_home, only_follower) = (lacking(table, other), lacking(other, table));
    if !only_home.is_empty() || !only_follower.is_empty() {
        return Err(VerifyError::ColumnsDiffer { table: table.name.clone(), only_home, only_follower });
    }
    let place = |name: &Ident| table.columns.iter().position(|column| column.name == *name);
    Ok(VerifyTable {
        home_name: table.name.clone(),
        follower_name: other.name.clone(),
        columns: table.columns.iter().map(|column| (column.name.clone(), column.name.clone())).collect(),
        key: key(table).and_then(|key| key.iter().map(place).collect()),
    })
}

/// The primary key, or a unique index without null, condition or expression.
fn key(table: &Table) -> Option<&[Ident]> {
    let unique = || table.indexes.iter().find(|index| index.identifies_rows && index.valid);
    table.primary_key().or_else(|| unique().map(|index| index.columns.as_slice()))
}
