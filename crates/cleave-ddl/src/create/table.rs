//! Tables without indexes, as far as nothing needs one before the rows are there.

use super::target::Script;
use super::{column, index};
use crate::carry::Carried;
use crate::text;
use cleave_model::catalog::{Constraint, ConstraintKind, ReplicaIdentity, Table, TableKind};

/// Partitions are made as tables of their own and attached, so that the order of their columns and the names of their
/// keys stay as they are (attaching takes over equal indexes and checks).
pub(super) fn create(script: &mut Script<'_>, table: &Table, carried: &Carried<'_>) {
    script.enter(&table.name.schema);
    let place = script.place(&table.name);
    let columns = table.columns.iter().map(|column| column::definition(script, table, column, carried));
    let constraints = table
        .constraints
        .iter()
        .filter(|constraint| is_first(carried, table, constraint))
        .map(|constraint| format!("constraint {} {}", constraint.name.quoted(), constraint.definition));
    let body: Vec<String> = columns.chain(constraints).map(|line| format!("\n    {line}")).collect();
    let mut sql = format!("create table {place} ({}\n)", body.join(","));
    if let TableKind::Partitioned(key) = &table.kind {
        sql += &format!(" partition by {key}");
    }
    if !table.options.is_empty() {
        sql += &format!(" with ({})", text::options(&table.options));
    }
    script.push(sql);
    column::settings(script, table);
    replica_identity(script, table);
    if let Some(partition) = &table.partition_of {
        let parent = script.place(&partition.parent);
        script.push(format!("alter table only {parent} attach partition {place} {}", partition.bound));
    }
}

/// Checks that hold for all rows; a check that was never validated may not hold for rows that are to be copied. The
/// primary key is built after the copy, but where a function needs it or the replica identity makes it.
fn is_first(carried: &Carried<'_>, table: &Table, constraint: &Constraint) -> bool {
    let is_identity = || {
        let index = table.indexes.iter().find(|index| index.constraint.as_ref() == Some(&constraint.name));
        index.is_some_and(|index| table.replica_identity == ReplicaIdentity::Index(index.name.clone()))
    };
    match constraint.kind {
        ConstraintKind::Check => constraint.validated,
        ConstraintKind::PrimaryKey => index::keys_first(carried) && !is_identity(),
        ConstraintKind::Unique | ConstraintKind::Exclusion | ConstraintKind::Trigger => false,
    }
}

/// The way back reads the new home's changes, so it has to log as much of the old row as the source does.
fn replica_identity(script: &mut Script<'_>, table: &Table) {
    let place = script.place(&table.name);
    match &table.replica_identity {
        ReplicaIdentity::Default => {}
        ReplicaIdentity::Full => script.push(format!("alter table only {place} replica identity full")),
        ReplicaIdentity::Nothing => script.push(format!("alter table only {place} replica identity nothing")),
        ReplicaIdentity::Index(name) => {
            if let Some(own) = table.indexes.iter().find(|index| index.name == *name) {
                index::create(script, table, own);
            }
            script.push(format!("alter table only {place} replica identity using index {}", name.quoted()));
        }
    }
}
