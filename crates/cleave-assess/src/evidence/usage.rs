//! What applications do: tables that they write in one transaction, and tables that they read in one statement.
//!
//! Each relation of two tables is a Jaccard index: how often both were touched, of all the times that either was. So a
//! table that everything touches, such as a log, is bound to nothing by it, and no weight depends on how long was looked.

use super::tables::Tables;
use super::{Evidence, TieKind, objects};
use cleave_model::QualifiedName;
use cleave_model::catalog::Catalog;
use cleave_model::workload::{Statement, StatementTrait, Workload};
use std::collections::{BTreeMap, BTreeSet};

const WRITTEN_TOGETHER: f64 = 3.0;
const WRITTEN_BY_STATEMENT: f64 = 2.0;
const JOINED: f64 = 1.0;
const TOUCHED_TOGETHER: f64 = 0.5;
/// What touches more tables than this is a dump or a report over everything.
const TABLES_MAX: usize = 40;

/// A statement or transaction by table numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Use {
    /// Its place in the workload.
    pub(crate) at: usize,
    pub(crate) reads: BTreeSet<usize>,
    pub(crate) writes: BTreeSet<usize>,
    pub(crate) count: u64,
}

impl Use {
    pub(crate) fn touched(&self) -> BTreeSet<usize> {
        self.reads.union(&self.writes).copied().collect()
    }
}

/// The workload by table numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) statements: Vec<Use>,
    pub(crate) transactions: Vec<Use>,
}

impl Usage {
    pub(crate) fn read(catalog: &Catalog, tables: &Tables<'_>, workload: &Workload) -> Self {
        let under = objects::tables_of_views(catalog, tables);
        let views: BTreeMap<&QualifiedName, &BTreeSet<usize>> =
            catalog.views.iter().filter_map(|view| Some((&view.name, under.get(&view.oid)?))).collect();
        let numbers = |name: &QualifiedName| -> Vec<usize> {
            match (tables.number(name), views.get(name)) {
                (Some(number), _) => vec![number],
                (None, Some(under)) => under.iter().copied().collect(),
                (None, None) => Vec::new(),
            }
        };
        let mut usage = Self::default();
        for (at, statement) in workload.statements.iter().enumerate().filter(|(_, each)| works(each)) {
            let mut used = Use { at, count: statement.calls, ..Use::default() };
            for table in &statement.tables {
                let into = if table.writes { &mut used.writes } else { &mut used.reads };
                into.extend(numbers(&table.table));
            }
            used.reads = used.reads.difference(&used.writes).copied().collect();
            usage.statements.push(used);
        }
        for (at, transaction) in workload.transactions.iter().enumerate() {
            let writes: BTreeSet<usize> = transaction.written.iter().flat_map(numbers).collect();
            let reads: BTreeSet<usize> = transaction.read.iter().flat_map(numbers).collect();
            let reads = reads.difference(&writes).copied().collect();
            usage.transactions.push(Use { at, reads, writes, count: transaction.count });
        }
        usage
    }

    /// The share of tables that transactions were seen to write.
    pub(crate) fn share_written(&self, tables: usize) -> f64 {
        let written: BTreeSet<usize> =
            self.transactions.iter().flat_map(|used| used.writes.iter().copied()).collect();
        written.len() as f64 / tables.max(1) as f64
    }

    pub(super) fn weigh(&self, into: &mut Evidence) {
        let calls = |used: &Use| (1.0 + used.count as f64).ln();
        let count = |used: &Use| used.count as f64;
        let writes = |used: &Use| used.writes.clone();
        // What is written together must be: each pair counts in full. What is read together is a question, and the more
        // tables it asks, the less it says about each two of them.
        let (whole, shared) = (|_| 1.0, |tables: usize| 1.0 / tables.saturating_sub(1).max(1) as f64);
        let written = together(&self.transactions, writes, count, whole);
        let touched = together(&self.transactions, Use::touched, count, shared);
        let by_statement = together(&self.statements, writes, calls, whole);
        let joined = together(&self.statements, Use::touched, calls, shared);
        for (relation, kind, weight, says) in [
            (
                written,
                TieKind::WrittenTogether,
                WRITTEN_TOGETHER,
                "of the transactions that write either write both",
            ),
            (
                touched,
                TieKind::TouchedTogether,
                TOUCHED_TOGETHER,
                "of the transactions that touch either touch both",
            ),
            (
                by_statement,
                TieKind::WrittenByStatement,
                WRITTEN_BY_STATEMENT,
                "of the statements that write either write both",
            ),
            (
                joined,
                TieKind::Joined,
                JOINED,
                "of the statements that touch either touch both, by their calls",
            ),
        ] {
            for ((a, b), share) in relation {
                into.add(a, b, kind, weight * share, format!("{:.0} % {says}", share * 100.0));
            }
        }
    }
}

/// DDL and maintenance say nothing about the application.
fn works(statement: &Statement) -> bool {
    let aside = [StatementTrait::Ddl, StatementTrait::Maintenance, StatementTrait::CopyTo];
    !aside.iter().any(|aside| statement.traits.contains(aside))
}

/// The Jaccard index of each pair that was met.
fn together(
    uses: &[Use],
    set: impl Fn(&Use) -> BTreeSet<usize>,
    weight: impl Fn(&Use) -> f64,
    share: impl Fn(usize) -> f64,
) -> BTreeMap<(usize, usize), f64> {
    let (mut single, mut both) = (BTreeMap::<usize, f64>::new(), BTreeMap::<(usize, usize), f64>::new());
    for used in uses {
        let (tables, weight) = (set(used), weight(used));
        if tables.len() > TABLES_MAX {
            continue;
        }
        for (at, high) in tables.iter().enumerate() {
            *single.entry(*high).or_default() += weight;
            for low in tables.iter().take(at) {
                *both.entry((*low, *high)).or_default() += weight * share(tables.len());
            }
        }
    }
    let size =
        |(a, b): &(usize, usize)| (single.get(a).unwrap_or(&0.0) * single.get(b).unwrap_or(&0.0)).sqrt();
    both.iter().map(|(pair, sum)| (*pair, sum / size(pair).max(f64::MIN_POSITIVE))).collect()
}
