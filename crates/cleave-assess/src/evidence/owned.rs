//! Tables whose rows belong each to one row of some other table, and which several tables have for their own: addresses
//! of customers, of staff and of stores. They tie nobody together: each owner could have a table of its own.

use super::keys::Key;
use super::tables::Tables;
use cleave_model::catalog::ReferentialAction;
use std::collections::{BTreeMap, BTreeSet};

/// A row that more rows than this refer to is shared, not owned.
const OWNERS_PER_ROW_PERCENT_MAX: u64 = 200;

/// A table that several others have for their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) table: usize,
    /// Places of the owners' keys among all keys.
    pub(crate) keys: Vec<usize>,
    /// How many rows of owners come to one row, in hundredths; none if PostgreSQL has no estimates.
    pub(crate) owners_per_row_percent: Option<u64>,
}

/// Referred to by rows that hold theirs: not by events, not as the greater whole, not by what the table itself refers to.
pub(super) fn owned(tables: &Tables<'_>, keys: &[Key]) -> Vec<Owned> {
    let mut referring: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut refers: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (at, key) in keys.iter().enumerate() {
        referring.entry(key.parent).or_default().push(at);
        refers.insert((key.child, key.parent));
    }
    let mut found = Vec::new();
    for (table, at) in referring {
        let owners: BTreeSet<usize> = at.iter().map(|at| keys[*at].child).collect();
        let held = at.iter().all(|at| holds(tables, &keys[*at], &refers));
        if owners.len() < 2 || tables.nodes[table].is_event || !held {
            continue;
        }
        let per_row = owners_per_row(tables, table, &owners);
        let owned = match per_row {
            Some(percent) => percent <= OWNERS_PER_ROW_PERCENT_MAX,
            // A list that many look things up in refers to nothing itself.
            None => keys.iter().any(|key| key.child == table),
        };
        if owned {
            found.push(Owned { table, keys: at, owners_per_row_percent: per_row });
        }
    }
    found
}

/// True if the row that refers has the row that it refers to for its own, as a person has an address.
fn holds(tables: &Tables<'_>, key: &Key, refers: &BTreeSet<(usize, usize)>) -> bool {
    let own = tables.roots[key.child].primary_key().unwrap_or_default();
    !tables.nodes[key.child].is_event
        && key.on_delete != ReferentialAction::Cascade
        && !key.columns.iter().any(|column| own.contains(column))
        && !refers.contains(&(key.parent, key.child))
}

fn owners_per_row(tables: &Tables<'_>, table: usize, owners: &BTreeSet<usize>) -> Option<u64> {
    let rows = |number: usize| Some(tables.nodes[number].rows).filter(|rows| *rows > 0);
    let own = rows(table)?;
    let owners: u64 = owners.iter().map(|owner| rows(*owner)).sum::<Option<u64>>()?;
    Some(owners.saturating_mul(100) / own)
}
