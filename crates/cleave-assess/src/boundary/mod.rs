//! The boundary: what connects a service with another one, or with what stays.
//!
//! [`report`] lists it for any number of services; the plan of one service prints the [`Outcome`]s of that service, so
//! that both say the same. [`keys`]: foreign keys. [`code`]: views, functions, triggers, sequences. [`usage`]: statements and
//! transactions of the workload.

mod code;
mod keys;
mod usage;

use cleave_config::Bridge;
use cleave_model::catalog::{Catalog, Table, View};
use cleave_model::workload::Workload;
use cleave_model::{Oid, QualifiedName};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A service as the boundary sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What its old names will lead to in another database. `None` for a service that only gets a schema of its own in
    /// the same one: nothing is cut then, and its plan says what becomes of things.
    pub bridge: Option<Bridge>,
    /// Its tables, partitions included.
    pub tables: BTreeSet<Oid>,
}

/// Kinds of crossings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A foreign key.
    Key,
    /// A view or materialized view.
    View,
    /// A function or procedure.
    Function,
    /// A trigger.
    Trigger,
    /// A sequence.
    Sequence,
    /// A statement of the workload.
    Statement,
    /// Transactions of the workload.
    Transaction,
}

impl Kind {
    /// In words, one and many.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Key => ("foreign key", "foreign keys"),
            Self::View => ("view", "views"),
            Self::Function => ("function", "functions"),
            Self::Trigger => ("trigger", "triggers"),
            Self::Sequence => ("sequence", "sequences"),
            Self::Statement => ("statement", "statements"),
            Self::Transaction => ("transaction", "transactions"),
        }
    }
}

/// Who has a part in a crossing: services by name, then what stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A service.
    Service(String),
    /// Tables and code that belong to no service, and stay where they are.
    Rest,
}

impl Party {
    /// The service's name, or `what stays`.
    pub fn name(&self) -> &str {
        match self {
            Self::Service(name) => name,
            Self::Rest => "what stays",
        }
    }
}

/// What becomes of a crossing when one of its services moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The service that moves.
    pub service: String,
    /// What it is, seen from that service: `foreign key in`, `materialized view`, ...
    pub label: &'static str,
    /// What becomes of it, without a capital and a full stop.
    pub text: String,
}

/// Something that crosses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// What it is.
    pub kind: Kind,
    /// Its name, or its text.
    pub object: String,
    /// Who has a part in it, with the tables by which.
    pub parties: BTreeMap<Party, BTreeSet<String>>,
    /// How it is known.
    pub evidence: String,
    /// What can be done about it.
    pub remedy: String,
    /// What becomes of it, by service that moves.
    pub outcomes: Vec<Outcome>,
    /// How often the workload has met it; 0 for what the catalog says.
    pub count: u64,
}

/// All that crosses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boundary {
    /// By kind, in the order of the catalog; statements and transactions by how often they were seen.
    pub crossings: Vec<Crossing>,
    /// Statements that were looked at, and those that could not be read.
    pub statements: (u64, u64),
    /// Transactions that were looked at.
    pub transactions: u64,
}

/// Lists what crosses between the services and to what stays. A service's table that the catalog does not have any more is
/// passed over.
pub fn report(catalog: &Catalog, services: &[Member], workload: &Workload) -> Boundary {
    let line = Line::new(catalog, services);
    let mut crossings = keys::crossings(&line);
    crossings.extend(code::crossings(&line));
    let (statements, transactions) = usage::crossings(&line, workload);
    crossings.extend(statements);
    crossings.extend(transactions);
    Boundary {
        crossings,
        statements: (workload.statements.len() as u64, workload.unread.len() as u64),
        transactions: workload.transactions.iter().map(|transaction| transaction.count).sum(),
    }
}

/// Which side of the line everything is on.
struct Line<'a> {
    catalog: &'a Catalog,
    services: &'a [Member],
    owners: HashMap<Oid, usize>,
    by_name: HashMap<&'a QualifiedName, &'a Table>,
    by_oid: HashMap<Oid, &'a Table>,
    views: HashMap<Oid, &'a View>,
}

impl<'a> Line<'a> {
    fn new(catalog: &'a Catalog, services: &'a [Member]) -> Self {
        let owned = |(at, service): (usize, &'a Member)| service.tables.iter().map(move |oid| (*oid, at));
        Self {
            catalog,
            services,
            owners: services.iter().enumerate().flat_map(owned).collect(),
            by_name: catalog.tables.iter().map(|table| (&table.name, table)).collect(),
            by_oid: catalog.tables.iter().map(|table| (table.oid, table)).collect(),
            views: catalog.views.iter().map(|view| (view.oid, view)).collect(),
        }
    }

    /// The service that has the table.
    fn owner(&self, table: Oid) -> Option<&'a Member> {
        self.owners.get(&table).map(|at| &self.services[*at])
    }

    fn party(&self, table: Oid) -> Party {
        self.owner(table).map_or(Party::Rest, |service| Party::Service(service.name.clone()))
    }

    fn table(&self, name: &QualifiedName) -> Option<&'a Table> {
        self.by_name.get(name).copied()
    }

    /// Tables by party; partitions as the table that they are a part of.
    fn parties<'t>(&self, tables: impl IntoIterator<Item = &'t Table>) -> BTreeMap<Party, BTreeSet<String>> {
        let mut parties = BTreeMap::<Party, BTreeSet<String>>::new();
        for table in tables {
            let mut root = table;
            while let Some(above) = root.partition_of.as_ref().and_then(|p| self.by_name.get(&p.parent)) {
                root = above;
            }
            parties.entry(self.party(table.oid)).or_default().insert(root.name.to_string());
        }
        parties
    }
}

/// The services among parties.
fn services(parties: &BTreeMap<Party, BTreeSet<String>>) -> Vec<&str> {
    let named = |party: &'_ Party| matches!(party, Party::Service(_));
    parties.keys().filter(|party| named(party)).map(Party::name).collect()
}

/// `films, stores and 3 more`.
fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    const LISTED: usize = 4;
    let names: Vec<_> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().take(LISTED).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
