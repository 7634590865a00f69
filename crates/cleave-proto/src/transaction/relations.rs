//! The relations a connection has described.

use crate::pgoutput::Relation;
use cleave_model::Oid;
use std::{collections::HashMap, sync::Arc};

/// Whether a Relation message says something new. The server repeats itself after every invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelationStatus {
    /// First description on this connection.
    New,
    /// Said again, word for word; the same `Arc` as before.
    Same,
    /// The table is not what it was: renamed, altered, another identity or other published columns.
    Changed {
        /// What it was.
        previous: Arc<Relation>,
    },
}

/// The latest description of each relation, and when it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Relations {
    by_oid: HashMap<Oid, Described>,
}

#[derive(Clone, Debug)]
struct Described {
    relation: Arc<Relation>,
    /// Counts descriptions on the connection.
    serial: u64,
}

impl Relations {
    pub(super) fn get(&self, oid: Oid) -> Option<&Arc<Relation>> {
        self.by_oid.get(&oid).map(|described| &described.relation)
    }

    /// Keeps the description that came as number `serial`.
    pub(super) fn describe(&mut self, relation: Arc<Relation>, serial: u64) {
        self.by_oid.insert(relation.oid, Described { relation, serial });
    }

    /// Takes over what a transaction in progress was told, at its commit; the server then counts it as told to all.
    /// Where both know a relation, the later description is the one the server believes we have.
    pub(super) fn merge(&mut self, streamed: Self) {
        for (oid, described) in streamed.by_oid {
            let known = self.by_oid.get(&oid).map(|known| known.serial);
            if known.is_none_or(|serial| serial < described.serial) {
                self.by_oid.insert(oid, described);
            }
        }
    }
}

/// Compares a new description with the one that was valid so far.
pub(super) fn compare(known: Option<&Arc<Relation>>, relation: Relation) -> (Arc<Relation>, RelationStatus) {
    match known {
        None => (Arc::new(relation), RelationStatus::New),
        Some(known) if **known == relation => (Arc::clone(known), RelationStatus::Same),
        Some(known) => (Arc::new(relation), RelationStatus::Changed { previous: Arc::clone(known) }),
    }
}
