//! What a name means in one database for one `search_path`.

use cleave_model::catalog::Catalog;
use cleave_model::{Ident, QualifiedName};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What a name of a relation stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// A table, by its name and the name of the root of its partitions (its own, if it is none).
    Table {
        /// As named.
        name: QualifiedName,
        /// The root of the partition tree.
        root: QualifiedName,
    },
    /// A view or materialized view.
    View(QualifiedName),
    /// A sequence.
    Sequence(QualifiedName),
}

impl Relation {
    /// Its own name.
    pub fn name(&self) -> &QualifiedName {
        match self {
            Self::Table { name, .. } | Self::View(name) | Self::Sequence(name) => name,
        }
    }
}

#[derive(Debug, Default)]
struct Index {
    relations: HashMap<QualifiedName, Relation>,
    types: HashSet<QualifiedName>,
    functions: HashSet<QualifiedName>,
}

/// Resolves names as the server would for a `search_path`. Cheap to clone and to give another path.
#[derive(Clone, Debug)]
pub struct Resolver {
    index: Arc<Index>,
    path: Vec<Ident>,
    temporary: HashSet<Ident>,
}

impl Resolver {
    /// A resolver over everything in a catalog.
    pub fn new(catalog: &Catalog, path: &[Ident]) -> Self {
        let mut index = Index::default();
        let parents: HashMap<&QualifiedName, &QualifiedName> = catalog
            .tables
            .iter()
            .filter_map(|table| Some((&table.name, &table.partition_of.as_ref()?.parent)))
            .collect();
        for table in &catalog.tables {
            let mut root = &table.name;
            while let Some(parent) = parents.get(root) {
                root = parent;
            }
            let relation = Relation::Table { name: table.name.clone(), root: root.clone() };
            index.relations.insert(table.name.clone(), relation);
        }
        for view in &catalog.views {
            index.relations.insert(view.name.clone(), Relation::View(view.name.clone()));
        }
        for sequence in &catalog.sequences {
            index.relations.insert(sequence.name.clone(), Relation::Sequence(sequence.name.clone()));
        }
        index.types.extend(catalog.types.iter().map(|user_type| user_type.name.clone()));
        index.functions.extend(catalog.functions.iter().map(|function| function.name.clone()));
        Self { index: Arc::new(index), path: path.to_vec(), temporary: HashSet::new() }
    }

    /// A resolver that knows these relations and no types and functions.
    pub fn of_relations(relations: impl IntoIterator<Item = Relation>, path: &[Ident]) -> Self {
        let relations = relations.into_iter().map(|relation| (relation.name().clone(), relation)).collect();
        let index = Index { relations, ..Index::default() };
        Self { index: Arc::new(index), path: path.to_vec(), temporary: HashSet::new() }
    }

    /// The same database for another `search_path`.
    pub fn with_path(&self, path: &[Ident]) -> Self {
        Self { index: Arc::clone(&self.index), path: path.to_vec(), temporary: self.temporary.clone() }
    }

    /// The same, where these unqualified names are temporary tables (or transition tables of a trigger).
    pub fn with_temporary(&self, names: impl IntoIterator<Item = Ident>) -> Self {
        let mut changed = self.clone();
        changed.temporary.extend(names);
        changed
    }

    /// The `search_path` that names are resolved with.
    pub fn path(&self) -> &[Ident] {
        &self.path
    }

    /// True for a name that a temporary table hides.
    pub(crate) fn is_temporary(&self, schema: Option<&Ident>, name: &Ident) -> bool {
        match schema {
            None => self.temporary.contains(name),
            Some(schema) => schema.as_str().starts_with("pg_temp"),
        }
    }

    /// The relation of that name; partitions say their root.
    pub fn relation(&self, schema: Option<&Ident>, name: &Ident) -> Option<&Relation> {
        if self.is_temporary(schema, name) {
            return None;
        }
        self.look_up(schema, name, |index, name| index.relations.get(name))
    }

    /// The type of that name, row types of tables left out.
    pub fn user_type(&self, schema: Option<&Ident>, name: &Ident) -> Option<&QualifiedName> {
        self.look_up(schema, name, |index, name| index.types.get(name))
    }

    /// The function or procedure of that name.
    pub fn function(&self, schema: Option<&Ident>, name: &Ident) -> Option<&QualifiedName> {
        self.look_up(schema, name, |index, name| index.functions.get(name))
    }

    fn look_up<'r, T>(
        &'r self,
        schema: Option<&Ident>,
        name: &Ident,
        get: impl Fn(&'r Index, &QualifiedName) -> Option<T>,
    ) -> Option<T> {
        let in_schema = |schema: &Ident| get(&self.index, &QualifiedName::new(schema.clone(), name.clone()));
        match schema {
            Some(schema) => in_schema(schema),
            None => self.path.iter().find_map(in_schema),
        }
    }
}
