//! Takes the names out of a catalog and a workload, as those of a database that somebody obfuscated: what is found then
//! was not found by names.

use cleave_model::catalog::{Catalog, Table};
use cleave_model::workload::Workload;
use cleave_model::{Ident, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

/// New names for the tables of a catalog: `t_001` and so on, in an order of chance, columns `c_01` and so on by table.
#[derive(Clone, Debug)]
pub struct Mask {
    tables: BTreeMap<QualifiedName, QualifiedName>,
    columns: BTreeMap<QualifiedName, BTreeMap<Ident, Ident>>,
}

impl Mask {
    /// Names for all tables. The same catalog and seed give the same names.
    pub fn new(catalog: &Catalog, seed: u64) -> Self {
        let mut order: Vec<&Table> = catalog.tables.iter().collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut order);
        let (mut tables, mut columns) = (BTreeMap::new(), BTreeMap::new());
        for (number, table) in (1..).zip(order) {
            let masked = QualifiedName::new(table.name.schema.clone(), format!("t_{number:03}"));
            tables.insert(table.name.clone(), masked);
            let names = table.columns.iter().enumerate();
            let names =
                names.map(|(at, column)| (column.name.clone(), Ident::new(format!("c_{:02}", at + 1))));
            columns.insert(table.name.clone(), names.collect());
        }
        Self { tables, columns }
    }

    /// The new name of a table; other names stay.
    pub fn name(&self, name: &QualifiedName) -> QualifiedName {
        self.tables.get(name).unwrap_or(name).clone()
    }

    fn columns(&self, table: &QualifiedName, columns: &[Ident]) -> Vec<Ident> {
        let names = self.columns.get(table);
        columns
            .iter()
            .map(|column| names.and_then(|names| names.get(column)).unwrap_or(column).clone())
            .collect()
    }

    /// The catalog under the new names, without comments. Texts of definitions are left as they are.
    pub fn catalog(&self, catalog: &Catalog) -> Catalog {
        let mut masked = catalog.clone();
        for (table, real) in masked.tables.iter_mut().zip(&catalog.tables) {
            table.name = self.name(&real.name);
            table.comment = None;
            for (column, real_column) in table.columns.iter_mut().zip(&real.columns) {
                column.name = self.columns(&real.name, std::slice::from_ref(&real_column.name)).remove(0);
                column.comment = None;
            }
            if let Some(partition) = &mut table.partition_of {
                partition.parent = self.name(&partition.parent);
            }
            table.inherits = table.inherits.iter().map(|parent| self.name(parent)).collect();
            for constraint in &mut table.constraints {
                constraint.columns = self.columns(&real.name, &constraint.columns);
            }
            for index in &mut table.indexes {
                index.columns = self.columns(&real.name, &index.columns);
            }
            for key in &mut table.foreign_keys {
                key.columns = self.columns(&real.name, &key.columns);
                key.referenced_columns = self.columns(&key.referenced, &key.referenced_columns);
                key.referenced = self.name(&key.referenced);
            }
        }
        masked
    }

    /// The workload under the new names.
    pub fn workload(&self, workload: &Workload) -> Workload {
        let mut masked = workload.clone();
        for statement in &mut masked.statements {
            for table in &mut statement.tables {
                table.table = self.name(&table.table);
            }
        }
        for transaction in &mut masked.transactions {
            transaction.read = self.names(&transaction.read);
            transaction.written = self.names(&transaction.written);
        }
        masked
    }

    /// Several names.
    pub fn names(&self, names: &BTreeSet<QualifiedName>) -> BTreeSet<QualifiedName> {
        names.iter().map(|name| self.name(name)).collect()
    }
}
