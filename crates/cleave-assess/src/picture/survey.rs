//! What there is to draw: groups of tables, tables with their keys, and what crosses between groups.

use super::{PAGE_TABLES, grouping};
use cleave_model::catalog::{Catalog, Table, TableKind};
use cleave_model::{Ident, Oid, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

/// A database as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The database's name.
    pub database: String,
    /// `PostgreSQL 16.4`.
    pub server: String,
    /// Services first, in their order in the file; then what belongs to none.
    pub groups: Vec<Group>,
    /// Tables by name; partitions stand for nothing but a number at their root.
    pub tables: Vec<DrawnTable>,
    /// Foreign keys.
    pub keys: Vec<Key>,
    /// What crosses from one group to another, keys included.
    pub crossings: Vec<Crossing>,
}

/// Tables that are drawn as one box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Unique among the groups.
    pub name: String,
    /// Why they stand together.
    pub kind: GroupKind,
    /// Places in [`Survey::tables`].
    pub tables: Vec<usize>,
}

/// Why tables stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// A service of cleave.toml.
    Service,
    /// No service has them.
    Rest,
    /// They share a schema.
    Schema,
    /// Keys connect them more among each other than with others.
    Connected,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnTable {
    /// Name.
    pub name: QualifiedName,
    /// Place of its group in [`Survey::groups`].
    pub group: usize,
    /// Rows by the statistics, those of partitions included.
    pub rows: u64,
    /// Heap and indexes, those of partitions included.
    pub bytes: u64,
    /// Leaf partitions and subpartitions under it.
    pub partitions: usize,
    /// A word about its kind where it is no ordinary table: `foreign table`, `not in this database`.
    pub remark: Option<&'static str>,
    /// Columns of its primary and foreign keys.
    pub columns: Vec<DrawnColumn>,
    /// Columns besides those.
    pub others: usize,
}

/// A column of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnColumn {
    /// Name.
    pub name: Ident,
    /// Type.
    pub type_name: String,
    /// In the primary key.
    pub primary: bool,
    /// In a foreign key.
    pub foreign: bool,
}

/// A foreign key between two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The constraint.
    pub name: Ident,
    /// The referencing table's place.
    pub from: usize,
    /// The referenced table's place.
    pub to: usize,
    /// Referencing columns.
    pub columns: Vec<Ident>,
}

/// One thing that two groups share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crossing {
    /// What it is.
    pub kind: CrossingKind,
    /// Its name.
    pub object: String,
    /// The group that needs the other one, or the lower place where that cannot be said.
    pub from: usize,
    /// The other group.
    pub to: usize,
}

/// What can cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrossingKind {
    /// A foreign key.
    Key,
    /// A view or materialized view that reads both.
    View,
    /// A function that uses both.
    Function,
    /// A trigger on one whose function uses the other.
    Trigger,
    /// A statement that joins them.
    Statement,
    /// Transactions that write to both.
    Transaction,
}

impl CrossingKind {
    /// One and many of it, in words.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Key => ("key", "keys"),
            Self::View => ("view", "views"),
            Self::Function => ("function", "functions"),
            Self::Trigger => ("trigger", "triggers"),
            Self::Statement => ("statement", "statements"),
            Self::Transaction => ("transaction", "transactions"),
        }
    }
}

/// All that crosses between two groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The group that has more needs.
    pub from: usize,
    /// The other one.
    pub to: usize,
    /// True if both need each other.
    pub mutual: bool,
    /// How many of each kind.
    pub counts: BTreeMap<CrossingKind, usize>,
    /// Their names, with their kind.
    pub objects: Vec<String>,
}

impl Tie {
    /// How many things cross.
    pub fn weight(&self) -> usize {
        self.counts.values().sum()
    }

    /// `3 keys, 1 view`.
    pub fn phrase(&self) -> String {
        let part = |(kind, count): (&CrossingKind, &usize)| {
            let (one, many) = kind.words();
            format!("{count} {}", if *count == 1 { one } else { many })
        };
        self.counts.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

impl Survey {
    /// What a catalog holds. `services` names the tables of each service; a table that the catalog lacks is drawn without
    /// columns. Without services, tables stand together by schema and by their keys.
    pub fn new(catalog: &Catalog, services: &[(String, Vec<QualifiedName>)]) -> Self {
        let mut tables = drawn_tables(catalog);
        let known: BTreeSet<QualifiedName> = tables.iter().map(|table| table.name.clone()).collect();
        let partitions = partition_roots(catalog);
        for name in services.iter().flat_map(|(_, names)| names) {
            if !known.contains(name)
                && !partitions.contains_key(name)
                && !tables.iter().any(|t| t.name == *name)
            {
                tables.push(absent(name));
            }
        }
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        let places: BTreeMap<QualifiedName, usize> =
            tables.iter().enumerate().map(|(place, table)| (table.name.clone(), place)).collect();
        let keys = drawn_keys(catalog, &places, &partitions);
        let groups = if services.is_empty() {
            grouping::by_schema_and_keys(&tables, &keys, PAGE_TABLES)
        } else {
            by_service(services, &places, &partitions)
        };
        for (at, group) in groups.iter().enumerate() {
            group.tables.iter().for_each(|&table| tables[table].group = at);
        }
        let (major, minor) = (catalog.facts.major(), catalog.facts.version_num % 10_000);
        let mut survey = Self {
            database: catalog.facts.database.clone(),
            server: format!("PostgreSQL {major}.{minor}"),
            groups,
            tables,
            keys,
            crossings: Vec::new(),
        };
        survey.crossings = survey.key_crossings();
        survey.crossings.extend(survey.object_crossings(catalog, &places, &partitions));
        survey.crossings.sort();
        survey.crossings.dedup();
        survey
    }

    /// The group of that name.
    pub fn group(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.name == name)
    }

    /// What ties the groups, the strongest first.
    pub fn ties(&self) -> Vec<Tie> {
        let mut pairs: BTreeMap<(usize, usize), Vec<&Crossing>> = BTreeMap::new();
        for crossing in &self.crossings {
            let pair = (crossing.from.min(crossing.to), crossing.from.max(crossing.to));
            pairs.entry(pair).or_default().push(crossing);
        }
        let mut ties: Vec<Tie> = pairs.into_iter().map(|(pair, crossings)| tie(pair, &crossings)).collect();
        ties.sort_by_key(|tie| std::cmp::Reverse(tie.weight()));
        ties
    }

    /// Rows and bytes of a group.
    pub fn size_of(&self, group: usize) -> (u64, u64) {
        let tables = self.groups[group].tables.iter().map(|&table| &self.tables[table]);
        tables.fold((0, 0), |(rows, bytes), table| (rows + table.rows, bytes + table.bytes))
    }

    fn key_crossings(&self) -> Vec<Crossing> {
        let crosses = |key: &&Key| self.tables[key.from].group != self.tables[key.to].group;
        let crossing = |key: &Key| Crossing {
            kind: CrossingKind::Key,
            object: format!("{} of {}", key.name, self.tables[key.from].name),
            from: self.tables[key.from].group,
            to: self.tables[key.to].group,
        };
        self.keys.iter().filter(crosses).map(crossing).collect()
    }

    /// Views, and functions whose dependencies the server knows.
    fn object_crossings(
        &self,
        catalog: &Catalog,
        places: &BTreeMap<QualifiedName, usize>,
        partitions: &BTreeMap<QualifiedName, QualifiedName>,
    ) -> Vec<Crossing> {
        let group_of: BTreeMap<Oid, usize> = catalog
            .tables
            .iter()
            .filter_map(|table| {
                let root = partitions.get(&table.name).unwrap_or(&table.name);
                Some((table.oid, self.tables[*places.get(root)?].group))
            })
            .collect();
        let views: BTreeMap<Oid, &[Oid]> =
            catalog.views.iter().map(|view| (view.oid, view.reads.as_slice())).collect();
        let mut crossings = Vec::new();
        for view in &catalog.views {
            let used = groups_read(&view.reads, &views, &group_of);
            crossings.extend(pairs(CrossingKind::View, &view.name.to_string(), &used));
        }
        for function in &catalog.functions {
            let object = cleave_model::catalog::ObjectRef::Function(function.oid);
            let relations: Vec<Oid> = catalog
                .needs_of(object)
                .filter_map(|need| match need {
                    cleave_model::catalog::ObjectRef::Relation(oid) => Some(oid),
                    _ => None,
                })
                .collect();
            let used = groups_read(&relations, &views, &group_of);
            crossings.extend(pairs(CrossingKind::Function, &function.name.to_string(), &used));
        }
        crossings
    }
}

fn tie((low, high): (usize, usize), crossings: &[&Crossing]) -> Tie {
    let mut counts = BTreeMap::new();
    let (mut up, mut down) = (0, 0);
    for crossing in crossings {
        *counts.entry(crossing.kind).or_insert(0) += 1;
        if crossing.kind == CrossingKind::Key {
            *(if crossing.from == low { &mut up } else { &mut down }) += 1;
        }
    }
    let objects =
        crossings.iter().map(|crossing| format!("{} {}", crossing.kind.words().0, crossing.object)).collect();
    let (from, to) = if down > up { (high, low) } else { (low, high) };
    Tie { from, to, mutual: up > 0 && down > 0, counts, objects }
}

fn pairs(kind: CrossingKind, object: &str, groups: &BTreeSet<usize>) -> Vec<Crossing> {
    let all: Vec<usize> = groups.iter().copied().collect();
    let mut found = Vec::new();
    for (at, &from) in all.iter().enumerate() {
        found.extend(all[at + 1..].iter().map(|&to| Crossing { kind, object: object.to_owned(), from, to }));
    }
    found
}

/// The groups of the tables behind relations, through views.
fn groups_read(
    relations: &[Oid],
    views: &BTreeMap<Oid, &[Oid]>,
    group_of: &BTreeMap<Oid, usize>,
) -> BTreeSet<usize> {
    let mut left = relations.to_vec();
    let mut seen = BTreeSet::new();
    let mut groups = BTreeSet::new();
    while let Some(oid) = left.pop() {
        if !seen.insert(oid) {
            continue;
        }
        groups.extend(group_of.get(&oid));
        left.extend(views.get(&oid).into_iter().flat_map(|reads| reads.iter()));
    }
    groups
}

fn by_service(
    services: &[(String, Vec<QualifiedName>)],
    places: &BTreeMap<QualifiedName, usize>,
    partitions: &BTreeMap<QualifiedName, QualifiedName>,
) -> Vec<Group> {
    let mut taken = BTreeSet::new();
    let mut groups = Vec::new();
    for (name, tables) in services {
        let mut own: Vec<usize> = tables
            .iter()
            .filter_map(|table| places.get(partitions.get(table).unwrap_or(table)).copied())
            .collect();
        own.sort_unstable();
        own.dedup();
        own.retain(|&table| taken.insert(table));
        groups.push(Group { name: name.clone(), kind: GroupKind::Service, tables: own });
    }
    let rest: Vec<usize> = places.values().copied().filter(|place| !taken.contains(place)).collect();
    if !rest.is_empty() {
        groups.push(Group { name: "no service".to_owned(), kind: GroupKind::Rest, tables: rest });
    }
    groups
}

/// The root of each partition.
fn partition_roots(catalog: &Catalog) -> BTreeMap<QualifiedName, QualifiedName> {
    let parents: BTreeMap<&QualifiedName, &QualifiedName> = catalog
        .tables
        .iter()
        .filter_map(|table| table.partition_of.as_ref().map(|partition| (&table.name, &partition.parent)))
        .collect();
    let root = |name: &QualifiedName| {
        let mut root = name.clone();
        // A chain of parents cannot be longer than there are partitions.
        for _ in 0..parents.len() {
            match parents.get(&root) {
                Some(parent) => root = (*parent).clone(),
                None => break,
            }
        }
        root
    };
    parents.keys().map(|name| ((*name).clone(), root(name))).collect()
}

fn drawn_tables(catalog: &Catalog) -> Vec<DrawnTable> {
    let roots = partition_roots(catalog);
    let mut under: BTreeMap<&QualifiedName, (u64, u64, usize)> = BTreeMap::new();
    for table in &catalog.tables {
        if let Some(root) = roots.get(&table.name) {
            let sum = under.entry(root).or_default();
            *sum = (sum.0 + table.rows_estimated, sum.1 + table.heap_bytes + table.index_bytes, sum.2 + 1);
        }
    }
    let whole = catalog.tables.iter().filter(|table| table.partition_of.is_none());
    whole.map(|table| drawn_table(table, under.get(&table.name).copied().unwrap_or_default())).collect()
}

fn drawn_table(table: &Table, under: (u64, u64, usize)) -> DrawnTable {
    let primary = table.primary_key().unwrap_or_default();
    let foreign: BTreeSet<&Ident> = table.foreign_keys.iter().flat_map(|key| &key.columns).collect();
    let column = |column: &cleave_model::catalog::Column| DrawnColumn {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        primary: primary.contains(&column.name),
        foreign: foreign.contains(&column.name),
    };
    let mut columns: Vec<DrawnColumn> =
        table.columns.iter().map(column).filter(|column| column.primary || column.foreign).collect();
    columns.sort_by_key(|column| !column.primary);
    DrawnTable {
        name: table.name.clone(),
        group: 0,
        rows: table.rows_estimated + under.0,
        bytes: table.heap_bytes + table.index_bytes + under.1,
        partitions: under.2,
        remark: (table.kind == TableKind::Foreign).then_some("foreign table"),
        others: table.columns.len() - columns.len(),
        columns,
    }
}

fn absent(name: &QualifiedName) -> DrawnTable {
    DrawnTable {
        name: name.clone(),
        group: 0,
        rows: 0,
        bytes: 0,
        partitions: 0,
        remark: Some("not in this database"),
        columns: Vec::new(),
        others: 0,
    }
}

fn drawn_keys(
    catalog: &Catalog,
    places: &BTreeMap<QualifiedName, usize>,
    partitions: &BTreeMap<QualifiedName, QualifiedName>,
) -> Vec<Key> {
    let place = |name: &QualifiedName| places.get(partitions.get(name).unwrap_or(name)).copied();
    let mut keys: Vec<Key> = Vec::new();
    for table in &catalog.tables {
        let Some(from) = place(&table.name) else { continue };
        for key in &table.foreign_keys {
            let Some(to) = place(&key.referenced) else { continue };
            let key = Key { name: key.name.clone(), from, to, columns: key.columns.clone() };
            // Partitions may each have the key that their root lacks.
            let same = |known: &Key| (known.from, known.to) == (from, to) && known.columns == key.columns;
            if !(partitions.contains_key(&table.name) && keys.iter().any(same)) {
                keys.push(key);
            }
        }
    }
    keys.sort_by(|a, b| (a.from, a.to, &a.name).cmp(&(b.from, b.to, &b.name)));
    keys
}
