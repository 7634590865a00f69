//! Tables that several services share row by row: each row belongs to one of them, and the table could be split.

use crate::evidence::Gathered;
use cleave_model::{Ident, QualifiedName};
use std::collections::BTreeSet;

/// A table that could be split by owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitCandidate {
    /// The table.
    pub table: QualifiedName,
    /// The tables whose rows own its rows.
    pub owners: Vec<SplitOwner>,
    /// How many rows of owners come to one row of the table, in hundredths; none if PostgreSQL has no estimates.
    pub owners_per_row_percent: Option<u64>,
}

/// One of the owners.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SplitOwner {
    /// The table that refers.
    pub table: QualifiedName,
    /// Its columns.
    pub columns: Vec<Ident>,
    /// Its service, as a number into the alternative's list.
    pub service: Option<usize>,
}

/// Tables whose owners are in several services.
pub(super) fn candidates(gathered: &Gathered<'_>, service_of: &[Option<usize>]) -> Vec<SplitCandidate> {
    let mut found = Vec::new();
    for owned in &gathered.owned {
        let keys = owned.keys.iter().map(|at| &gathered.keys[*at]);
        let services: BTreeSet<Option<usize>> = keys.clone().map(|key| service_of[key.child]).collect();
        if services.len() < 2 {
            continue;
        }
        let mut owners: Vec<SplitOwner> = keys
            .map(|key| SplitOwner {
                table: gathered.tables.nodes[key.child].name.clone(),
                columns: key.columns.clone(),
                service: service_of[key.child],
            })
            .collect();
        owners.sort();
        let name = gathered.tables.nodes[owned.table].name.clone();
        found.push(SplitCandidate {
            table: name,
            owners,
            owners_per_row_percent: owned.owners_per_row_percent,
        });
    }
    found
}
