//! Indexes, and the constraints that are indexes.

use super::target::{Script, Target};
use crate::carry::Carried;
use cleave_model::QualifiedName;
use cleave_model::catalog::{ConstraintKind, Index, ReplicaIdentity, Table};

/// All indexes, unique constraints and exclusion constraints that [`first`](super::first) left out; indexes that are
/// not valid at the source are left out here too. The server prints `ON ONLY` for an index of a partitioned table:
/// the partitions' parts are made one by one, under their own names, and attached.
pub fn indexes(carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let mut script = Script::new(target);
    for table in &carried.tables {
        script.enter(&table.name.schema);
        let left = table.indexes.iter().filter(|index| !is_first(table, index));
        // A partitioned index is invalid as long as a partition lacks its part; its parts say so themselves.
        for index in left.filter(|index| index.valid || !table.holds_rows()) {
            create(&mut script, table, index);
        }
    }
    for table in &carried.tables {
        for index in table.indexes.iter().filter(|index| !is_primary(table, index)) {
            attach(&mut script, table, index);
        }
        for index in table.indexes.iter().filter(|index| index.clustered) {
            let place = script.place(&table.name);
            script.push(format!("alter table {place} cluster on {}", index.name.quoted()));
        }
    }
    script.finish()
}

pub(super) fn create(script: &mut Script<'_>, table: &Table, index: &Index) {
    let constraint =
        index.constraint.as_ref().and_then(|name| table.constraints.iter().find(|c| c.name == *name));
    match constraint {
        Some(constraint) => {
            let place = script.place(&table.name);
            let (name, definition) = (constraint.name.quoted(), &constraint.definition);
            script.push(format!("alter table only {place} add constraint {name} {definition}"));
        }
        None => script.push(index.definition.clone()),
    }
}

fn attach(script: &mut Script<'_>, table: &Table, index: &Index) {
    let (Some(parent), Some(partition)) = (&index.parent, &table.partition_of) else { return };
    let parent =
        script.place(&QualifiedName { schema: partition.parent.schema.clone(), name: parent.clone() });
    let own = script.place(&QualifiedName { schema: table.name.schema.clone(), name: index.name.clone() });
    script.push(format!("alter index {parent} attach partition {own}"));
}

/// Made by [`first`](super::first): the primary key, and the replica identity's index.
fn is_first(table: &Table, index: &Index) -> bool {
    is_primary(table, index) || table.replica_identity == ReplicaIdentity::Index(index.name.clone())
}

/// Attached by attaching the partition.
fn is_primary(table: &Table, index: &Index) -> bool {
    let primary = table.constraints.iter().find(|c| c.kind == ConstraintKind::PrimaryKey);
    primary.is_some_and(|constraint| index.constraint.as_ref() == Some(&constraint.name))
}
