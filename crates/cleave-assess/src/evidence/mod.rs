//! Why tables belong together: everything that a catalog and a workload say about pairs of tables, with its weight.

mod functions;
mod groups;
mod implied;
mod keys;
mod names;
mod objects;
mod owned;
mod tables;
mod usage;

pub use functions::{FunctionsRead, read_functions};
pub use implied::{ImpliedKey, KeyCandidate, Polymorphic, candidates, polymorphic};
pub use keys::Key;
pub(crate) use names::{singular, tokens};
pub(crate) use objects::Objects;
pub(crate) use tables::Tables;
pub use tables::{AsideReason, LeftAside, TableNode};
pub(crate) use usage::{Usage, Use};

use cleave_model::catalog::Catalog;
use cleave_model::workload::Workload;
use cleave_model::{Oid, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a database.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its catalog.
    pub catalog: &'a Catalog,
    /// What applications do with it; empty if nobody looked.
    pub workload: &'a Workload,
    /// What functions touch, as far as their bodies could be read. What `BEGIN ATOMIC` functions touch stands in the
    /// catalog.
    pub functions: &'a [FunctionTables],
    /// Keys that nobody declared.
    pub implied: &'a [ImpliedKey],
}

/// The tables and views that a function's body names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionTables {
    /// The function.
    pub function: Oid,
    /// Read.
    pub reads: BTreeSet<QualifiedName>,
    /// Inserted into, updated or deleted from.
    pub writes: BTreeSet<QualifiedName>,
}

/// The tables that services are proposed for: no partitions, no foreign tables, no bookkeeping of frameworks.
pub fn placeable(catalog: &Catalog) -> BTreeSet<QualifiedName> {
    Tables::new(catalog).nodes.into_iter().map(|node| node.name).collect()
}

/// How many keys are declared between two different tables; one that each partition has for itself counts once.
pub fn declared_keys(catalog: &Catalog) -> usize {
    let tables = Tables::new(catalog);
    tables.foreign_keys().iter().filter(|(table, key)| tables.number(&key.referenced) != Some(*table)).count()
}

/// What ties two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TieKind {
    /// A foreign key.
    Key,
    /// A key that nobody declared.
    ImpliedKey,
    /// One inherits from the other.
    Inheritance,
    /// Written in one transaction.
    WrittenTogether,
    /// Written by one statement.
    WrittenByStatement,
    /// Touched by one statement.
    Joined,
    /// Touched in one transaction.
    TouchedTogether,
    /// A view reads both.
    View,
    /// A function touches both.
    Function,
    /// A trigger on one touches the other.
    Trigger,
    /// Their names share words.
    Name,
    /// They stand in one schema, of several.
    Schema,
    /// They have one owner, of several.
    Owner,
    /// Their comments begin alike.
    Comment,
}

impl TieKind {
    /// A word or two for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::ImpliedKey => "implied key",
            Self::Inheritance => "inheritance",
            Self::WrittenTogether => "written together",
            Self::WrittenByStatement => "written by one statement",
            Self::Joined => "joined",
            Self::TouchedTogether => "used together",
            Self::View => "view",
            Self::Function => "function",
            Self::Trigger => "trigger",
            Self::Name => "name",
            Self::Schema => "schema",
            Self::Owner => "owner",
            Self::Comment => "comment",
        }
    }

    /// The most that ties of this kind between two tables can weigh together: many weak signs of one kind are no strong
    /// one.
    fn most(self) -> f64 {
        match self {
            Self::View => 0.4,
            Self::Function | Self::Trigger => 2.0,
            _ => f64::INFINITY,
        }
    }
}

/// One reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Tie {
    /// Its kind.
    pub kind: TieKind,
    /// Its weight.
    pub weight: f64,
    /// What was seen: a column, a view's name, a share.
    pub seen: String,
}

/// A table that so many others refer to that their keys say who or what is meant, not what belongs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hub {
    /// Number of the table.
    pub table: usize,
    /// Tables that refer to it.
    pub referring: usize,
    /// Most tables refer to it: a tenant, an account.
    pub universal: bool,
}

/// All reasons, by pairs of tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    ties: BTreeMap<(usize, usize), Vec<Tie>>,
}

/// Reasons that are remembered for a pair and a kind.
const SEEN_MAX: usize = 4;

impl Evidence {
    pub(crate) fn add(&mut self, a: usize, b: usize, kind: TieKind, weight: f64, seen: String) {
        if a == b || weight <= 0.0 {
            return;
        }
        let ties = self.ties.entry((a.min(b), a.max(b))).or_default();
        let alike: Vec<usize> = (0..ties.len()).filter(|at| ties[*at].kind == kind).collect();
        let sum: f64 = alike.iter().map(|at| ties[*at].weight).sum();
        let weight = weight.min(kind.most() - sum).max(0.0);
        match alike.last() {
            Some(last) if alike.len() >= SEEN_MAX => ties[*last].weight += weight,
            _ => ties.push(Tie { kind, weight, seen }),
        }
    }

    /// All pairs with their reasons.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = ((usize, usize), &[Tie])> {
        self.ties.iter().map(|(pair, ties)| (*pair, ties.as_slice()))
    }
}

/// The weight of reasons together.
pub(crate) fn weight(ties: &[Tie]) -> f64 {
    ties.iter().map(|tie| tie.weight).sum()
}

/// How surely reasons tie two tables, from 0 to 1. Two tables can be no more than together: without this, a pair that many
/// strong reasons tie would outweigh all that ties either to others.
pub(crate) fn bond(ties: &[Tie]) -> f64 {
    1.0 - (-weight(ties)).exp()
}

/// Everything that is known, by the numbers of the tables.
#[derive(Debug)]
pub(crate) struct Gathered<'c> {
    pub(crate) tables: Tables<'c>,
    pub(crate) keys: Vec<Key>,
    pub(crate) hubs: Vec<Hub>,
    pub(crate) owned: Vec<owned::Owned>,
    pub(crate) objects: Objects,
    pub(crate) usage: Usage,
    pub(crate) evidence: Evidence,
}

const INHERITANCE: f64 = 3.0;

impl<'c> Gathered<'c> {
    pub(crate) fn new(known: &Known<'c>) -> Self {
        let tables = Tables::new(known.catalog);
        let keys = keys::read(&tables, known.implied);
        let hubs = keys::hubs(&keys, &tables);
        let owned = owned::owned(&tables, &keys);
        let objects = Objects::read(known.catalog, &tables, known.functions);
        let usage = Usage::read(known.catalog, &tables, known.workload);
        let mut evidence = Evidence::default();
        keys::weigh(&keys, &hubs, &owned, &tables, &mut evidence);
        for (child, root) in tables.roots.iter().enumerate() {
            for parent in root.inherits.iter().filter_map(|name| tables.number(name)) {
                let seen = format!("{} inherits", root.name.name);
                evidence.add(child, parent, TieKind::Inheritance, INHERITANCE, seen);
            }
        }
        objects.weigh(&hubs, &mut evidence);
        usage.weigh(&mut evidence);
        names::weigh(&tables, &mut evidence);
        groups::weigh(&tables, &mut evidence);
        Self { tables, keys, hubs, owned, objects, usage, evidence }
    }

    pub(crate) fn hub(&self, table: usize) -> Option<&Hub> {
        self.hubs.iter().find(|hub| hub.table == table)
    }
}
