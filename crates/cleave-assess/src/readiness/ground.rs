//! What checks look at: a database as observed, and which of its objects matter.

use crate::text::Body;
use cleave_model::catalog::{Catalog, Function, ObjectRef, Sequence, Table, View};
use cleave_model::instance::Instance;
use cleave_model::labels::{FENCE_TRIGGER, TRIGGER_PREFIX};
use cleave_model::{Ident, Oid, QualifiedName};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A database and its server, as they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The objects.
    pub catalog: Catalog,
    /// The server.
    pub instance: Instance,
}

/// An observed database, with what is asked for again and again looked up once.
pub struct Ground<'a> {
    /// All of it.
    pub observed: &'a Observed,
    tables: Vec<&'a Table>,
    names: HashSet<&'a QualifiedName>,
    by_oid: HashMap<Oid, &'a Table>,
    by_name: BTreeMap<&'a QualifiedName, &'a Table>,
    functions: Vec<(&'a Function, Body)>,
    views: Vec<&'a View>,
}

impl<'a> Ground<'a> {
    /// The whole database.
    pub fn whole(observed: &'a Observed) -> Self {
        Self::new(observed, None)
    }

    /// Only what concerns these tables: they, functions that name them or that their triggers call, views that read
    /// them.
    pub fn of_tables(observed: &'a Observed, tables: &BTreeSet<Oid>) -> Self {
        Self::new(observed, Some(tables))
    }

    fn new(observed: &'a Observed, chosen: Option<&BTreeSet<Oid>>) -> Self {
        let catalog = &observed.catalog;
        let is_chosen = |oid: &Oid| chosen.is_none_or(|chosen| chosen.contains(oid));
        let tables: Vec<&Table> = catalog.tables.iter().filter(|table| is_chosen(&table.oid)).collect();
        let called: BTreeSet<Oid> =
            tables.iter().flat_map(|table| &table.triggers).map(|trigger| trigger.function).collect();
        let functions = catalog
            .functions
            .iter()
            .map(|function| (function, Body::new(function.body.as_deref().unwrap_or(&function.definition))));
        let concerns = |(function, body): &(&Function, Body)| {
            chosen.is_none()
                || called.contains(&function.oid)
                || tables.iter().any(|table| body.mentions(&table.name))
        };
        Self {
            observed,
            by_oid: catalog.tables.iter().map(|table| (table.oid, table)).collect(),
            by_name: catalog.tables.iter().map(|table| (&table.name, table)).collect(),
            functions: functions.filter(concerns).collect(),
            views: catalog.views.iter().filter(|view| view.reads.iter().any(is_chosen)).collect(),
            names: tables.iter().map(|table| &table.name).collect(),
            tables,
        }
    }

    /// The catalog.
    pub fn catalog(&self) -> &'a Catalog {
        &self.observed.catalog
    }

    /// The server.
    pub fn instance(&self) -> &'a Instance {
        &self.observed.instance
    }

    /// Major version.
    pub fn major(&self) -> u32 {
        self.catalog().facts.major()
    }

    /// Tables that matter, by name.
    pub fn tables(&self) -> impl Iterator<Item = &'a Table> + '_ {
        self.tables.iter().copied()
    }

    /// Those that hold rows.
    pub fn holding(&self) -> impl Iterator<Item = &'a Table> + '_ {
        self.tables().filter(|table| table.holds_rows())
    }

    /// Any table of the database.
    pub fn table(&self, name: &QualifiedName) -> Option<&'a Table> {
        self.by_name.get(name).copied()
    }

    /// Any table of the database.
    pub fn table_by_oid(&self, oid: Oid) -> Option<&'a Table> {
        self.by_oid.get(&oid).copied()
    }

    /// True for a table that matters.
    pub fn has(&self, name: &QualifiedName) -> bool {
        self.names.contains(name)
    }

    /// Functions that matter, with their text.
    pub fn functions(&self) -> impl Iterator<Item = (&'a Function, &Body)> + '_ {
        self.functions.iter().map(|(function, body)| (*function, body))
    }

    /// Views that read a table that matters, directly.
    pub fn views(&self) -> impl Iterator<Item = &'a View> + '_ {
        self.views.iter().copied()
    }

    /// Tables whose defaults read a sequence, by the sequence.
    pub fn readers_of_sequences(&self) -> BTreeMap<Oid, BTreeSet<&'a QualifiedName>> {
        let mut readers = BTreeMap::<Oid, BTreeSet<&QualifiedName>>::new();
        for table in &self.catalog().tables {
            for oid in table.columns.iter().filter_map(|column| column.default_sequence) {
                readers.entry(oid).or_default().insert(self.root(table));
            }
        }
        readers
    }

    /// The sequences, each with the tables that read it.
    pub fn sequences(&self) -> Vec<(&'a Sequence, BTreeSet<&'a QualifiedName>)> {
        let mut readers = self.readers_of_sequences();
        let sequences = self.catalog().sequences.iter();
        sequences.map(|sequence| (sequence, readers.remove(&sequence.oid).unwrap_or_default())).collect()
    }

    /// The partitioned table at the top, or the table itself.
    pub fn root(&self, table: &'a Table) -> &'a QualifiedName {
        let mut at = table;
        while let Some(above) = at.partition_of.as_ref().and_then(|partition| self.table(&partition.parent)) {
            at = above;
        }
        &at.name
    }

    /// Objects that something of the model depends on, by what depends.
    pub fn functions_used_by(&self, object: ObjectRef) -> impl Iterator<Item = &'a Function> + '_ {
        self.catalog().needs_of(object).filter_map(|need| match need {
            ObjectRef::Function(oid) => self.catalog().function_by_oid(oid),
            _ => None,
        })
    }
}

/// Cleave's own triggers stand on tables between moves.
pub(super) fn is_ours(trigger: &Ident) -> bool {
    trigger.as_str() == FENCE_TRIGGER || trigger.as_str().starts_with(TRIGGER_PREFIX)
}

/// `public.total(integer)`.
pub(super) fn function_name(function: &Function) -> String {
    format!("{}({})", function.name, function.identity_arguments)
}

/// The routine in `alter routine`.
pub(super) fn routine(function: &Function) -> String {
    format!("{}({})", function.name.quoted(), function.identity_arguments)
}
