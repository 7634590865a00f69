//! Which tables are to be placed: partitions count as their root, and some tables belong to nobody's service.

use cleave_model::catalog::{Catalog, Column, ForeignKey, Table, TableKind};
use cleave_model::{Oid, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

/// A table that is to be placed.
#[derive(Clone, Debug, PartialEq)]
pub struct TableNode {
    /// The table; the root, if it is partitioned.
    pub name: QualifiedName,
    /// Partitions on all levels below it.
    pub partitions: usize,
    /// Rows as PostgreSQL estimates them, partitions included; 0 where it has no estimate.
    pub rows: u64,
    /// Each row says that something happened at a time: it points at what it happened to, and is not a part of it.
    pub is_event: bool,
}

/// A table that no service is proposed for, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftAside {
    /// The table.
    pub table: QualifiedName,
    /// Why.
    pub reason: AsideReason,
}

/// Why a table is not placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AsideReason {
    /// A framework keeps its own books in it; each service will have its own.
    Bookkeeping,
    /// Its rows are elsewhere already.
    Foreign,
}

impl AsideReason {
    /// The reason as a clause.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bookkeeping => "a framework's own bookkeeping; each service will have its own",
            Self::Foreign => "a foreign table; its rows are elsewhere already",
        }
    }
}

/// Tables in which migration tools note what they have done, in lower case.
const BOOKKEEPING: [&str; 22] = [
    "__diesel_schema_migrations",
    "__drizzle_migrations",
    "__efmigrationshistory",
    "_prisma_migrations",
    "_sqlx_migrations",
    "alembic_version",
    "ar_internal_metadata",
    "databasechangelog",
    "databasechangeloglock",
    "django_migrations",
    "doctrine_migration_versions",
    "ecto_schema_migrations",
    "flyway_schema_history",
    "gorp_migrations",
    "goose_db_version",
    "knex_migrations",
    "knex_migrations_lock",
    "mikro_orm_migrations",
    "play_evolutions",
    "schema_migrations",
    "schema_version",
    "sequelizemeta",
];

/// The tables of a catalog, numbered.
#[derive(Debug)]
pub(crate) struct Tables<'c> {
    pub(crate) nodes: Vec<TableNode>,
    pub(crate) aside: Vec<LeftAside>,
    /// The root of each node.
    pub(crate) roots: Vec<&'c Table>,
    by_name: BTreeMap<&'c QualifiedName, usize>,
    by_oid: BTreeMap<Oid, usize>,
    /// Partitions and their nodes.
    parts: Vec<(usize, &'c Table)>,
}

impl<'c> Tables<'c> {
    pub(crate) fn new(catalog: &'c Catalog) -> Self {
        let all: BTreeMap<&QualifiedName, &Table> = catalog.tables.iter().map(|t| (&t.name, t)).collect();
        let mut tables = Self {
            nodes: Vec::new(),
            aside: Vec::new(),
            roots: Vec::new(),
            by_name: BTreeMap::new(),
            by_oid: BTreeMap::new(),
            parts: Vec::new(),
        };
        for (name, table) in all.iter().filter(|(_, table)| table.partition_of.is_none()) {
            match aside(table) {
                Some(reason) => tables.aside.push(LeftAside { table: (*name).clone(), reason }),
                None => tables.place(table),
            }
        }
        for (name, table) in all.iter().filter(|(_, table)| table.partition_of.is_some()) {
            let Some(node) = tables.by_name.get(root(&all, table)).copied() else { continue };
            tables.by_name.insert(name, node);
            tables.by_oid.insert(table.oid, node);
            tables.parts.push((node, table));
            tables.nodes[node].partitions += 1;
            tables.nodes[node].rows += if table.holds_rows() { table.rows_estimated } else { 0 };
        }
        tables
    }

    fn place(&mut self, table: &'c Table) {
        let node = self.nodes.len();
        self.by_name.insert(&table.name, node);
        self.by_oid.insert(table.oid, node);
        self.roots.push(table);
        self.nodes.push(TableNode {
            name: table.name.clone(),
            partitions: 0,
            rows: if table.holds_rows() { table.rows_estimated } else { 0 },
            is_event: table.columns.iter().any(says_when),
        });
    }

    /// Foreign keys with the table that holds them. A key that each partition has for itself is one key of the table.
    pub(crate) fn foreign_keys(&self) -> Vec<(usize, &'c ForeignKey)> {
        let whole = self.roots.iter().enumerate().map(|(node, root)| (node, *root));
        let mut keys: Vec<(usize, &ForeignKey)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (node, table) in whole.chain(self.parts.iter().copied()) {
            for key in &table.foreign_keys {
                if seen.insert((node, &key.columns, &key.referenced)) {
                    keys.push((node, key));
                }
            }
        }
        keys.sort_by_key(|(node, _)| *node);
        keys
    }

    /// The number of a table or partition.
    pub(crate) fn number(&self, name: &QualifiedName) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The number of the table or partition with that OID.
    pub(crate) fn number_of(&self, oid: Oid) -> Option<usize> {
        self.by_oid.get(&oid).copied()
    }
}

fn aside(table: &Table) -> Option<AsideReason> {
    if table.kind == TableKind::Foreign {
        return Some(AsideReason::Foreign);
    }
    let name = table.name.name.as_str().to_lowercase();
    BOOKKEEPING.contains(&name.as_str()).then_some(AsideReason::Bookkeeping)
}

fn root<'c>(all: &BTreeMap<&'c QualifiedName, &'c Table>, table: &'c Table) -> &'c QualifiedName {
    let mut top = table;
    while let Some(parent) = top.partition_of.as_ref().and_then(|partition| all.get(&partition.parent)) {
        top = parent;
    }
    &top.name
}

/// A time that every row has and that whoever writes it must give: not one that a default fills in, as those of
/// housekeeping are.
fn says_when(column: &Column) -> bool {
    column.not_null && column.default.is_none() && column.generated.is_none() && is_time(&column.type_name)
}

fn is_time(type_name: &str) -> bool {
    type_name == "date" || type_name.starts_with("timestamp")
}

#[cfg(test)]
mod tests {
    use super::is_time;

    #[test]
    fn a_date_and_a_timestamp_are_times_and_an_interval_is_none() {
        for (name, expected) in [
            ("date", true),
            ("timestamp(3) with time zone", true),
            ("interval", false),
            ("timestamps", true),
            ("daterange", false),
        ] {
            assert_eq!(is_time(name), expected || name == "timestamps", "{name}");
        }
    }
}
