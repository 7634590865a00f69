//! Which tables a move takes: the claimed ones with their partitions, and what lies inside and outside.

use crate::Finding;
use cleave_model::catalog::{Catalog, ForeignKey, Persistence, Sequence, Table, TableKind};
use cleave_model::{Oid, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

/// The tables of a service in the source's catalog, parents before their partitions.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    /// The source's catalog.
    pub catalog: &'a Catalog,
    /// Moved tables: claimed ones and all partitions under them.
    pub tables: Vec<&'a Table>,
    names: BTreeSet<&'a QualifiedName>,
    oids: BTreeSet<Oid>,
}

impl<'a> Scope<'a> {
    /// Takes the claimed tables and everything partitioned under them. A claimed name that is not in the catalog is
    /// a refusal (patterns have been resolved before).
    pub fn new(catalog: &'a Catalog, claimed: &[QualifiedName]) -> (Self, Vec<Finding>) {
        let mut scope = Self { catalog, tables: Vec::new(), names: BTreeSet::new(), oids: BTreeSet::new() };
        let mut findings = Vec::new();
        for name in claimed {
            match catalog.table(name) {
                // It comes with its ancestor, after it.
                Some(table) if claimed.iter().any(|other| is_under(catalog, table, other)) => {}
                Some(table) => scope.add_tree(table),
                None => {
                    let message = match catalog.view(name) {
                        Some(_) => "it is a view; tables move",
                        None => "there is no such table",
                    };
                    findings.push(Finding::refusal("C0200", name, message));
                }
            }
        }
        (scope, findings)
    }

    /// Every table whose rows are in this database's WAL.
    pub(crate) fn whole(catalog: &'a Catalog) -> Self {
        let mut partitions: BTreeMap<&QualifiedName, Vec<&Table>> = BTreeMap::new();
        for table in &catalog.tables {
            if let Some(partition) = &table.partition_of {
                partitions.entry(&partition.parent).or_default().push(table);
            }
        }
        let mut scope = Self { catalog, tables: Vec::new(), names: BTreeSet::new(), oids: BTreeSet::new() };
        let mut waiting: Vec<&Table> =
            catalog.tables.iter().rev().filter(|t| t.partition_of.is_none()).collect();
        while let Some(table) = waiting.pop() {
            waiting.extend(partitions.get(&table.name).into_iter().flatten().rev());
            if table.kind != TableKind::Foreign && table.persistence != Persistence::Unlogged {
                scope.oids.insert(table.oid);
                scope.names.insert(&table.name);
                scope.tables.push(table);
            }
        }
        scope
    }

    fn add_tree(&mut self, table: &'a Table) {
        if !self.oids.insert(table.oid) {
            return;
        }
        self.names.insert(&table.name);
        self.tables.push(table);
        for partition in self.catalog.partitions_of(&table.name) {
            self.add_tree(partition);
        }
    }

    /// True for a moved table's name.
    pub fn has(&self, name: &QualifiedName) -> bool {
        self.names.contains(name)
    }

    /// True for a moved table's OID.
    pub fn has_oid(&self, oid: Oid) -> bool {
        self.oids.contains(&oid)
    }

    /// Tables that stay.
    pub fn staying(&self) -> impl Iterator<Item = &'a Table> + '_ {
        self.catalog.tables.iter().filter(|table| !self.has_oid(table.oid))
    }

    /// Keys of staying tables into moved ones. A partition's inherited keys are its parent's.
    pub fn inbound_keys(&self) -> Vec<(&'a Table, &'a ForeignKey)> {
        self.staying()
            .flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)))
            .filter(|(_, key)| self.has(&key.referenced))
            .collect()
    }

    /// Keys of moved tables into staying ones.
    pub fn outbound_keys(&self) -> Vec<(&'a Table, &'a ForeignKey)> {
        self.tables
            .iter()
            .flat_map(|table| table.foreign_keys.iter().map(move |key| (*table, key)))
            .filter(|(_, key)| !self.has(&key.referenced))
            .collect()
    }

    /// Sequences that the moved tables' columns read, owned or not.
    pub fn sequences(&self) -> Vec<&'a Sequence> {
        let owned = |sequence: &&Sequence| {
            sequence.owner_column.as_ref().is_some_and(|owner| self.has_oid(owner.table))
        };
        let read: BTreeSet<Oid> =
            self.tables.iter().flat_map(|t| t.columns.iter().filter_map(|c| c.default_sequence)).collect();
        self.catalog.sequences.iter().filter(|s| owned(s) || read.contains(&s.oid)).collect()
    }

    /// Rows (estimated) and bytes of everything moved.
    pub fn size(&self) -> (u64, u64) {
        let held = self.tables.iter().filter(|table| table.holds_rows());
        held.fold((0, 0), |(rows, bytes), t| (rows + t.rows_estimated, bytes + t.heap_bytes + t.index_bytes))
    }
}

/// True if `ancestor` is a partitioned table above `table`, at any level.
fn is_under(catalog: &Catalog, table: &Table, ancestor: &QualifiedName) -> bool {
    let Some(parent) = table.partition_of.as_ref().map(|partition| &partition.parent) else { return false };
    parent == ancestor || catalog.table(parent).is_some_and(|above| is_under(catalog, above, ancestor))
}
