//! What keys say. A key binds its two tables the more, the more a row is a part of the row that it refers to, and the
//! fewer tables share that row.

use super::owned::Owned;
use super::tables::Tables;
use super::{Evidence, Hub, TieKind};
use crate::evidence::implied::ImpliedKey;
use cleave_model::catalog::{ForeignKey, ReferentialAction, Table};
use cleave_model::{Ident, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

/// A key between two different tables, declared or implied.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Number of the table that refers.
    pub child: usize,
    /// Number of the table referred to.
    pub parent: usize,
    /// Columns that refer.
    pub columns: Vec<Ident>,
    /// Name of the constraint; none for an implied key.
    pub constraint: Option<Ident>,
    /// `ON DELETE`.
    pub on_delete: ReferentialAction,
    /// How well it binds, by itself.
    pub(crate) bond: f64,
    /// True if the child's rows are parts of the parent's: they go with it, and are told apart within it.
    pub(crate) part: bool,
    /// True if the child also refers, as a part of it, to a table whose own key it repeats.
    pub(crate) repeated: bool,
}

/// Start values; docs/design/services.md says where they come from.
const DECLARED: f64 = 1.0;
const IMPLIED_PROVEN: f64 = 0.5;
const IMPLIED_UNPROVEN: f64 = 0.35;
const CASCADE: f64 = 1.5;
const LEADS_KEY: f64 = 2.0;
const IN_KEY: f64 = 1.4;
const UNIQUE: f64 = 1.5;
const LEADS_INDEX: f64 = 1.25;
const OPTIONAL: f64 = 0.5;
const EVENT: f64 = 0.5;
const REPEATED: f64 = 0.25;

/// A table that at least so many refer to may be a hub.
const HUB_MIN: usize = 5;
/// A table to which this share of all tables refers is in everybody's keys: a tenant, an account.
const UNIVERSAL: f64 = 1.0 / 3.0;

/// Declared keys and the implied ones that were found, between different tables.
pub(super) fn read(tables: &Tables<'_>, implied: &[ImpliedKey]) -> Vec<Key> {
    let mut keys = Vec::new();
    for (child, key) in tables.foreign_keys() {
        let root = tables.roots[child];
        let Some(parent) = tables.number(&key.referenced).filter(|parent| *parent != child) else { continue };
        let bond = DECLARED * parts(root, &key.columns, key.on_delete) * eventful(tables, child, parent);
        keys.push(Key {
            child,
            parent,
            columns: key.columns.clone(),
            constraint: Some(key.name.clone()),
            on_delete: key.on_delete,
            bond,
            part: is_part(root, key),
            repeated: false,
        });
    }
    for found in implied.iter().filter(|found| found.holds()) {
        let numbers = tables.number(&found.candidate.table).zip(tables.number(&found.candidate.referenced));
        let Some((child, parent)) = numbers.filter(|(child, parent)| child != parent) else { continue };
        let columns = vec![found.candidate.column.clone()];
        if keys.iter().any(|key| key.child == child && key.columns == columns) {
            continue;
        }
        let base = if found.included.is_some() { IMPLIED_PROVEN } else { IMPLIED_UNPROVEN };
        let bond = base * parts(tables.roots[child], &columns, ReferentialAction::NoAction);
        let bond = bond * eventful(tables, child, parent);
        let on_delete = ReferentialAction::NoAction;
        keys.push(Key {
            child,
            parent,
            columns,
            constraint: None,
            on_delete,
            bond,
            part: false,
            repeated: false,
        });
    }
    mark_repeated(&mut keys, tables);
    keys
}

fn eventful(tables: &Tables<'_>, child: usize, parent: usize) -> f64 {
    if tables.nodes[child].is_event && !tables.nodes[parent].is_event { EVENT } else { 1.0 }
}

/// How much the row is a part of the row it refers to.
fn parts(table: &Table, columns: &[Ident], on_delete: ReferentialAction) -> f64 {
    let mut factor = 1.0;
    let optional = columns.iter().any(|column| table.column(column).is_none_or(|column| !column.not_null));
    if optional || on_delete == ReferentialAction::SetNull {
        factor *= OPTIONAL;
    } else if on_delete == ReferentialAction::Cascade {
        factor *= CASCADE;
    }
    let key = identity(table);
    let all_in = |whole: &[Ident]| columns.iter().all(|column| whole.contains(column));
    if let Some(key) = key.filter(|key| all_in(key)) {
        let leads = columns.iter().all(|column| key[..columns.len().min(key.len())].contains(column));
        factor *= if leads { LEADS_KEY } else { IN_KEY };
    } else if unique(table, columns) {
        factor *= UNIQUE;
    } else if leads_index(table, columns) {
        factor *= LEADS_INDEX;
    }
    factor
}

/// Mandatory, and deleted with it or told apart within it; the rows of a table that relates two others are parts of neither.
fn is_part(table: &Table, key: &ForeignKey) -> bool {
    let mandatory =
        key.columns.iter().all(|column| table.column(column).is_some_and(|column| column.not_null));
    let own = identity(table).unwrap_or_default();
    let leads = !own.is_empty() && own.len() > key.columns.len() && own.starts_with(&key.columns);
    let referring = |column: &Ident| table.foreign_keys.iter().any(|key| key.columns.contains(column));
    let relates = own.len() > 1 && own.iter().all(referring);
    let others = table.foreign_keys.iter().any(|other| other.referenced != key.referenced);
    mandatory && !relates && (leads || key.on_delete == ReferentialAction::Cascade && !others)
}

/// The primary key, or the index that tells rows apart.
fn identity(table: &Table) -> Option<&[Ident]> {
    let by_index = || table.indexes.iter().find(|index| index.identifies_rows && !index.columns.is_empty());
    table.primary_key().or_else(|| by_index().map(|index| index.columns.as_slice()))
}

fn unique(table: &Table, columns: &[Ident]) -> bool {
    table.indexes.iter().any(|index| {
        index.unique
            && index.columns.len() == columns.len()
            && columns.iter().all(|column| index.columns.contains(column))
    })
}

/// Rows are looked up within the row that they refer to.
fn leads_index(table: &Table, columns: &[Ident]) -> bool {
    table.indexes.iter().any(|index| {
        index.columns.len() > columns.len()
            && columns.iter().all(|column| index.columns[..columns.len()].contains(column))
    })
}

/// A payment that refers to an order, and to the order's customer once more, says nothing about customers that the order
/// does not. The key to the customer is a repetition if its columns have the same names, and the payment is an event of
/// the order, or a part of it.
fn mark_repeated(keys: &mut [Key], tables: &Tables<'_>) {
    let mut of_child: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, key) in keys.iter().enumerate() {
        of_child.entry(key.child).or_default().push(at);
    }
    let mut repeated = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        let siblings = of_child.get(&key.child).map(Vec::as_slice).unwrap_or_default();
        let through = siblings.iter().filter(|other| **other != at).any(|other| {
            let step = &keys[*other];
            let part = tables.nodes[step.child].is_event && tables.nodes[step.parent].is_event
                || step.on_delete == ReferentialAction::Cascade;
            let up = of_child.get(&step.parent).map(Vec::as_slice).unwrap_or_default();
            part && step.parent != key.parent
                && up.iter().any(|up| keys[*up].parent == key.parent && keys[*up].columns == key.columns)
        });
        if through {
            repeated.push(at);
        }
    }
    for at in repeated {
        keys[at].repeated = true;
    }
}

/// Tables that so many others refer to that their keys say who is meant, not what belongs together.
pub(super) fn hubs(keys: &[Key], tables: &Tables<'_>) -> Vec<Hub> {
    let mut children: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for key in keys {
        children.entry(key.parent).or_default().insert(key.child);
    }
    let nodes = tables.nodes.len();
    let least = (nodes as f64).sqrt().ceil().max(HUB_MIN as f64);
    children
        .into_iter()
        .filter(|(_, children)| children.len() as f64 >= least)
        .map(|(table, children)| Hub {
            table,
            referring: children.len(),
            universal: children.len() as f64 >= (nodes as f64 * UNIVERSAL).max(HUB_MIN as f64 + 1.0),
        })
        .collect()
}

/// Ties from keys. What several tables share binds each of them less, and what refers to several is bound to each less.
pub(super) fn weigh(keys: &[Key], hubs: &[Hub], owned: &[Owned], tables: &Tables<'_>, into: &mut Evidence) {
    let is_owned: BTreeSet<usize> = owned.iter().map(|owned| owned.table).collect();
    let hub_of: BTreeMap<usize, &Hub> = hubs.iter().map(|hub| (hub.table, hub)).collect();
    let (mut children, mut parents) = (vec![BTreeSet::new(); tables.nodes.len()], BTreeMap::new());
    for key in keys.iter().filter(|key| !key.repeated) {
        children[key.parent].insert(key.child);
        if !hub_of.contains_key(&key.parent) {
            parents.entry(key.child).or_insert_with(BTreeSet::new).insert(key.parent);
        }
    }
    // Several keys from one table to another are one relation, said more than once.
    let mut strongest: BTreeMap<(usize, usize), (f64, &Key)> = BTreeMap::new();
    for key in keys {
        let referring = children[key.parent].len().max(1) as f64;
        let shared = match (hub_of.get(&key.parent), key.part) {
            (Some(hub), _) if hub.universal => referring.powf(-1.5),
            (Some(_), true) => referring.powf(-0.5),
            (Some(_), false) => referring.powf(-1.5),
            (None, _) if is_owned.contains(&key.parent) => referring.powf(-1.5),
            (None, true) => 1.0,
            (None, false) => referring.powf(-0.5),
        };
        let targets = parents.get(&key.child).map_or(1, |parents| parents.len().max(1)) as f64;
        let repeated = if key.repeated { REPEATED } else { 1.0 };
        // What refers to a hub says whom it means, however it is told apart and whatever goes with it.
        let plain = hub_of.contains_key(&key.parent) && !key.part;
        let bond = if plain { key.bond.min(DECLARED) } else { key.bond };
        let weight = bond * shared * targets.powf(-0.5) * repeated;
        let best = strongest.entry((key.child, key.parent)).or_insert((weight, key));
        if weight > best.0 {
            *best = (weight, key);
        }
    }
    for ((child, parent), (weight, key)) in strongest {
        let kind = if key.constraint.is_some() { TieKind::Key } else { TieKind::ImpliedKey };
        into.add(child, parent, kind, weight, describe(key, &tables.nodes[child].name));
    }
}

fn describe(key: &Key, child: &QualifiedName) -> String {
    let columns: Vec<&str> = key.columns.iter().map(Ident::as_str).collect();
    format!("{}.{}", child.name.as_str(), columns.join(", "))
}
