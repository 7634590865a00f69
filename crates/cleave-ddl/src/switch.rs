//! The statements of the transaction that switches a service's home, and of the one that switches it back. What
//! surrounds them (owner row, journal, message, the fence's function) belongs to the engine.

mod rebind;

pub use rebind::{StaysBound, stays_bound};

use crate::bridge::{self, Mode};
use crate::carry::Carried;
use crate::create::fk_leaves;
use crate::references::{self, Reference};
use cleave_model::catalog::{Catalog, Table};
use cleave_model::{Ident, QualifiedName, ServiceName};

/// Which tables a switch locks first. Applications write both kinds in one transaction, some in this order and some in
/// that: whichever the switch takes, it deadlocks with the others and has to try again, the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOrder {
    /// Moved tables, then those that refer to them: as rows are made.
    MovedFirst,
    /// Tables that refer to moved ones first: as keys are checked.
    StayingFirst,
}

impl LockOrder {
    fn arrange(self, moved: Vec<String>, staying: Vec<String>) -> Vec<String> {
        match self {
            Self::MovedFirst => [moved, staying].concat(),
            Self::StayingFirst => [staying, moved].concat(),
        }
    }
}

/// A switch of one service at its old home.
#[derive(Clone, Copy, Debug)]
pub struct Switch<'a> {
    /// The service.
    pub service: &'a ServiceName,
    /// The old home as it was read before any switch.
    pub catalog: &'a Catalog,
    /// The tables that move, with all they need.
    pub carried: &'a Carried<'a>,
    /// Schema that the old tables are renamed into.
    pub copy_schema: &'a Ident,
    /// What stands under the old names afterwards.
    pub mode: Mode,
}

impl Switch<'_> {
    /// A carried table's (or sequence's) name after the switch.
    pub fn copy(&self, name: &QualifiedName) -> QualifiedName {
        name.in_schema(self.copy_schema)
    }

    /// Every carried table under its old name: tables and partitions.
    pub fn tables(&self) -> Vec<QualifiedName> {
        self.carried.tables.iter().map(|table| table.name.clone()).collect()
    }

    /// Every carried table under the copy's name.
    pub fn copies(&self) -> Vec<QualifiedName> {
        self.carried.tables.iter().map(|table| self.copy(&table.name)).collect()
    }

    /// Everything that [`forward`](Self::forward) changes, locked in one fixed order: dependent views outermost
    /// first, then moved tables with their partitions and tables with keys between the two sides. The sequences that
    /// no column owns come last and are moved at once, which is their lock.
    pub fn lock(&self, order: LockOrder) -> Vec<String> {
        [self.lock_relations(order), self.lock_sequences()].concat()
    }

    /// The part of [`lock`](Self::lock) that locks views and tables.
    pub fn lock_relations(&self, order: LockOrder) -> Vec<String> {
        let mut locks = rebind::lock_views(self);
        let moved = parents_first(&self.carried.tables);
        let moved = moved.iter().map(|table| access_exclusive(&table.name)).collect();
        locks.extend(order.arrange(moved, self.staying().iter().map(access_exclusive).collect()));
        locks
    }

    /// The part of [`lock`](Self::lock) that moves the sequences that no column owns.
    pub fn lock_sequences(&self) -> Vec<String> {
        let copy_schema = self.copy_schema.quoted();
        let free = self.carried.free_sequences();
        free.map(|sequence| format!("alter sequence {} set schema {copy_schema}", sequence.name.quoted()))
            .collect()
    }

    /// For the way back, step one: the bridge and the tables that refer to it, nothing that the applier needs. Its
    /// guards read the staying tables during the drain, so these are locked against writers only.
    pub fn lock_bridge(&self, order: LockOrder) -> Vec<String> {
        let mut locks = rebind::lock_views(self);
        let against_writers =
            |table: &QualifiedName| format!("lock table only {} in share row exclusive mode", table.quoted());
        let staying = self.staying().iter().map(against_writers).collect();
        locks.extend(order.arrange(bridge::lock(self.mode, &parents_first(&self.carried.tables)), staying));
        locks
    }

    /// For the way back, once drained: the copies.
    pub fn lock_copies(&self) -> Vec<String> {
        self.copies().iter().map(access_exclusive).collect()
    }

    /// Tables that stay and share a key with one that moves, in the catalog's order.
    fn staying(&self) -> Vec<QualifiedName> {
        let incoming = self.incoming().into_iter().map(|reference| reference.table.name.clone());
        let outgoing = self.dropped_outgoing().into_iter().map(|reference| reference.key.referenced.clone());
        let mut names: Vec<QualifiedName> = incoming.chain(outgoing).collect();
        names.sort();
        names.dedup();
        names
    }

    fn incoming(&self) -> Vec<Reference<'_>> {
        references::incoming(self.catalog, self.carried)
    }

    fn dropped_outgoing(&self) -> Vec<Reference<'_>> {
        references::outgoing(self.carried).into_iter().filter(Reference::writes_to_copy).collect()
    }

    /// The functions that watch references; made before the pause, as they lock nothing.
    pub fn reference_functions(&self) -> Vec<String> {
        let check = |reference: &Reference<'_>| {
            let home = bridge::home_relation(self.service, self.mode, &reference.key.referenced);
            references::check_function(self.service, reference, &self.copy(&reference.key.referenced), &home)
        };
        self.incoming().iter().map(check).collect()
    }

    /// The names change hands. Expects the locks of [`lock`](Self::lock), a prepared bridge, the copy's schema and
    /// [`reference_functions`](Self::reference_functions). The fence is the caller's, on [`copies`](Self::copies)
    /// afterwards or on [`tables`](Self::tables) before.
    pub fn forward(&self) -> Vec<String> {
        let mut sql: Vec<String> = Vec::new();
        let (incoming, outgoing) = (self.incoming(), self.dropped_outgoing());
        sql.extend(
            incoming.iter().chain(&outgoing).map(|reference| reference.drop_key(&reference.table.name)),
        );
        let copy_schema = self.copy_schema.quoted();
        sql.extend(
            self.tables().iter().map(|t| format!("alter table {} set schema {copy_schema}", t.quoted())),
        );
        sql.extend(bridge::enter(self.service, self.mode, self.carried));
        if self.mode == Mode::Forward {
            sql.extend(rebind::rebind(self));
        }
        for reference in &incoming {
            sql.extend(references::check_trigger(self.service, reference));
            sql.extend(references::guard(
                self.service,
                reference,
                &self.copies_holding(&reference.key.referenced),
            ));
        }
        sql
    }

    /// The names change back. Expects the locks of [`lock_bridge`](Self::lock_bridge) and
    /// [`lock_copies`](Self::lock_copies). The bridge stays prepared; keys come back not valid.
    pub fn back(&self) -> Vec<String> {
        let mut sql: Vec<String> = Vec::new();
        let (incoming, outgoing) = (self.incoming(), self.dropped_outgoing());
        for reference in &incoming {
            sql.push(references::disable_check(reference));
            sql.extend(references::drop_guard(reference, &self.copies_holding(&reference.key.referenced)));
        }
        sql.extend(bridge::leave(self.service, self.mode, self.carried));
        let old = |name: &QualifiedName, kind: &str| {
            format!("alter {kind} {} set schema {}", self.copy(name).quoted(), name.schema.quoted())
        };
        sql.extend(self.carried.tables.iter().map(|table| old(&table.name, "table")));
        sql.extend(self.carried.free_sequences().map(|sequence| old(&sequence.name, "sequence")));
        if self.mode == Mode::Forward {
            sql.extend(rebind::rebind(self));
        }
        sql.extend(
            incoming.iter().chain(&outgoing).flat_map(|reference| reference.restore_key(self.catalog).add),
        );
        sql
    }

    /// Proves the keys that came back, one transaction each, after the way back and once no work row is left.
    pub fn validate(&self) -> Vec<String> {
        let (incoming, outgoing) = (self.incoming(), self.dropped_outgoing());
        incoming
            .iter()
            .chain(&outgoing)
            .map(|reference| reference.restore_key(self.catalog))
            .flat_map(|key| key.validate.into_iter().chain(key.adopt))
            .collect()
    }

    /// The tables of the copy that hold the rows of this (old) name.
    fn copies_holding(&self, name: &QualifiedName) -> Vec<QualifiedName> {
        let Some(table) = self.carried.tables.iter().find(|table| table.name == *name) else {
            return Vec::new();
        };
        let leaves = fk_leaves(table, &self.carried.tables);
        if leaves.is_empty() && table.holds_rows() {
            return vec![self.copy(name)];
        }
        leaves.iter().map(|leaf| self.copy(&leaf.name)).collect()
    }
}

/// Referenced tables before those that refer to them: as rows are made, so that a transaction that makes some is met in
/// its own order. In a circle of keys the first one of the catalog comes first.
fn parents_first<'a>(tables: &[&'a Table]) -> Vec<&'a Table> {
    let mut left = tables.to_vec();
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |table: &Table| {
            let mut keys = table.foreign_keys.iter().filter(|key| key.referenced != table.name);
            keys.any(|key| left.iter().any(|other| other.name == key.referenced))
        };
        let next = left.iter().position(|table| !waits(table)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

fn access_exclusive(table: &QualifiedName) -> String {
    format!("lock table only {} in access exclusive mode", table.quoted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_take_the_same_locks() {
        let (moved, staying) = (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]);
        assert_eq!(LockOrder::MovedFirst.arrange(moved.clone(), staying.clone()), ["a", "b", "c"]);
        assert_eq!(LockOrder::StayingFirst.arrange(moved, staying), ["c", "a", "b"]);
    }
}
