//! Indexes, and the constraints that are indexes.

use super::target::{Script, Target};
use crate::carry::Carried;
use cleave_model::catalog::{
    Constraint, ConstraintKind, Function, FunctionKind, Index, ReplicaIdentity, Table,
};
use cleave_model::{Ident, Oid, QualifiedName};

/// The indexes of one table that holds rows, each to be built when they are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableIndexes {
    /// OID at the source.
    pub table: Oid,
    /// `search_path` that the statements need.
    pub search_path: String,
    /// The biggest first; they can be built at the same time.
    pub indexes: Vec<IndexSql>,
}

/// How one index is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSql {
    /// Its name, and its constraint's.
    pub name: Ident,
    /// `create index`, under a lock that lets others be built beside it; or `alter table ... add constraint`.
    pub create: String,
    /// What makes the built index a constraint: a change of the catalog only.
    pub constraint: Option<String>,
}

/// What is built on each table after its rows are copied: its primary key, unique and exclusion constraints and all
/// other indexes but those that [`first`](super::first) has made. Indexes that are not valid at the source are left
/// out. Partitions' parts are made one by one, under their own names; [`indexes`] attaches them.
pub fn table_indexes(carried: &Carried<'_>, target: &Target<'_>) -> Vec<TableIndexes> {
    let tables = carried.tables.iter().filter(|table| table.holds_rows());
    let indexes = tables.map(|table| {
        let left = table.indexes.iter().filter(|index| index.valid && !is_first(carried, table, index));
        let mut left: Vec<&Index> = left.collect();
        left.sort_by_key(|index| std::cmp::Reverse(index.bytes));
        let script = Script::new(target);
        TableIndexes {
            table: table.oid,
            search_path: target.path(&table.name.schema),
            indexes: left.into_iter().map(|index| build(&script, table, index)).collect(),
        }
    });
    indexes.filter(|table| !table.indexes.is_empty()).collect()
}

fn build(script: &Script<'_>, table: &Table, index: &Index) -> IndexSql {
    let place = script.place(&table.name);
    let name = index.name.clone();
    match constraint(table, index) {
        Some(constraint) if takes_built_index(constraint, index) => {
            let kind = if constraint.kind == ConstraintKind::PrimaryKey { "primary key" } else { "unique" };
            let (own, built) = (constraint.name.quoted(), name.quoted());
            let constraint =
                format!("alter table only {place} add constraint {own} {kind} using index {built}");
            IndexSql { name, create: index.definition.clone(), constraint: Some(constraint) }
        }
        Some(constraint) => IndexSql { name, create: add(&place, constraint), constraint: None },
        None => IndexSql { name, create: index.definition.clone(), constraint: None },
    }
}

/// `using index` takes plain unique B-trees only. Deferrable keys and those of later versions (`nulls not distinct`,
/// `without overlaps`) are made in one piece.
fn takes_built_index(constraint: &Constraint, index: &Index) -> bool {
    let definition = constraint.definition.as_str();
    let plain = definition.starts_with("PRIMARY KEY (") || definition.starts_with("UNIQUE (");
    plain
        && !constraint.deferrable
        && !definition.contains("WITHOUT OVERLAPS")
        && index.definition.starts_with("CREATE UNIQUE INDEX ")
        && index.definition.contains(" USING btree ")
}

/// What the partitioned tables get when every partition has its indexes: an index of a partitioned table is printed with
/// `ON ONLY` by the server; the partitions' parts are attached to it. Then the marks of clustered tables.
pub fn indexes(carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let mut script = Script::new(target);
    for table in carried.tables.iter().filter(|table| !table.holds_rows()) {
        script.enter(&table.name.schema);
        // A partitioned index is invalid as long as a partition lacks its part; its parts say so themselves.
        for index in table.indexes.iter().filter(|index| !is_first(carried, table, index)) {
            create(&mut script, table, index);
        }
    }
    for table in &carried.tables {
        // A key that was there when its partition was attached has been attached with it.
        let late = table.indexes.iter().filter(|index| !(keys_first(carried) && is_primary(table, index)));
        for index in late {
            attach(&mut script, table, index);
        }
        for index in table.indexes.iter().filter(|index| index.clustered) {
            let place = script.place(&table.name);
            script.push(format!("alter table {place} cluster on {}", index.name.quoted()));
        }
    }
    script.finish()
}

fn constraint<'t>(table: &'t Table, index: &Index) -> Option<&'t Constraint> {
    index.constraint.as_ref().and_then(|name| table.constraints.iter().find(|c| c.name == *name))
}

fn add(place: &str, constraint: &Constraint) -> String {
    format!("alter table only {place} add constraint {} {}", constraint.name.quoted(), constraint.definition)
}

/// An index in one piece, where it is to be there before anything else.
pub(super) fn create(script: &mut Script<'_>, table: &Table, index: &Index) {
    match constraint(table, index) {
        Some(constraint) => script.push(add(&script.place(&table.name), constraint)),
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

/// Made by [`first`](super::first): the replica identity's index, and primary keys where something needs them early.
fn is_first(carried: &Carried<'_>, table: &Table, index: &Index) -> bool {
    let identity = table.replica_identity == ReplicaIdentity::Index(index.name.clone());
    identity || (keys_first(carried) && is_primary(table, index))
}

/// True if primary keys must be there before the copy: a function with an SQL body is checked when it is made, and one
/// that groups by a key is not valid without it. Elsewhere keys come after the rows, when they cost a fraction.
pub(super) fn keys_first(carried: &Carried<'_>) -> bool {
    let with_body = |function: &Function| function.body.is_none() && function.kind != FunctionKind::Aggregate;
    carried.late_functions.iter().any(|function| with_body(function))
}

fn is_primary(table: &Table, index: &Index) -> bool {
    let primary = table.constraints.iter().find(|c| c.kind == ConstraintKind::PrimaryKey);
    primary.is_some_and(|constraint| index.constraint.as_ref() == Some(&constraint.name))
}
