//! Where carried objects land, and statements in the right `search_path`.

use crate::carry::{Carried, Prelude, Unsupported, body_names_schema, function_name};
use crate::text::list;
use cleave_model::{Ident, QualifiedName};
use std::collections::BTreeSet;

/// The place of a move's objects at the new home. What stands in `source_schema` lands in `schema`; a type, function
/// or sequence of another schema keeps its schema's name, as texts name it with it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Schema of the tables at the source.
    pub source_schema: &'a Ident,
    /// Their schema at the new home.
    pub schema: &'a Ident,
    /// Schemas that extensions' names are looked up in after `schema`: those in which the target has the extensions
    /// that share `source_schema` with the tables at the source, and so have unqualified names in definitions.
    pub extra_path: &'a [Ident],
}

impl Target<'_> {
    /// The object's name at the new home.
    pub fn place(&self, name: &QualifiedName) -> QualifiedName {
        name.in_schema(self.place_schema(&name.schema))
    }

    fn place_schema<'s>(&'s self, schema: &'s Ident) -> &'s Ident {
        if schema == self.source_schema { self.schema } else { schema }
    }

    /// `search_path` in which definitions of the objects of `schema` (at the source) are replayed.
    pub(crate) fn path(&self, schema: &Ident) -> String {
        let first = self.place_schema(schema);
        list(std::iter::once(first).chain(self.extra_path.iter().filter(|extra| *extra != first)))
    }

    /// The path for functions, with `pg_temp` last: a temporary table must not take a name's place.
    pub(crate) fn function_path(&self, schema: &Ident) -> String {
        format!("{}, pg_temp", self.path(schema))
    }

    /// Schemas other than the tables' own that must exist.
    pub(crate) fn kept_schemas(&self, carried: &Carried<'_>) -> BTreeSet<Ident> {
        schemas(carried).filter(|schema| *schema != self.source_schema).cloned().collect()
    }

    /// What cannot land here, in addition to [`Carried::unsupported`].
    pub fn refuse(&self, carried: &Carried<'_>) -> Vec<Unsupported> {
        let mut found = BTreeSet::new();
        for table in carried.tables.iter().filter(|table| table.name.schema != *self.source_schema) {
            found.insert(Unsupported {
                object: format!("table {}", table.name),
                reason: format!(
                    "stands in another schema than the service's other tables ({})",
                    self.source_schema
                ),
            });
        }
        for function in carried.functions() {
            if self.schema != self.source_schema && body_names_schema(function, self.source_schema) {
                found.insert(Unsupported {
                    object: function_name(function),
                    reason: format!(
                        "names schema {} in its body; without the prefix it would find the tables in {} too",
                        self.source_schema, self.schema
                    ),
                });
            }
            if function.name.schema != *self.source_schema && carried.late_functions.contains(&function) {
                found.insert(Unsupported {
                    object: function_name(function),
                    reason: format!("stands in another schema and needs a table of {}", self.source_schema),
                });
            }
        }
        found.into_iter().collect()
    }
}

fn schemas<'a>(carried: &'a Carried<'_>) -> impl Iterator<Item = &'a Ident> + 'a {
    let prelude = carried.prelude.iter().map(|prelude| match prelude {
        Prelude::Type(user_type) => &user_type.name.schema,
        Prelude::Function(function) => &function.name.schema,
    });
    prelude
        .chain(carried.late_functions.iter().map(|function| &function.name.schema))
        .chain(carried.sequences.iter().map(|sequence| &sequence.name.schema))
}

/// Statements, with `search_path` set between them where it changes.
pub(crate) struct Script<'a> {
    pub(crate) target: &'a Target<'a>,
    path: String,
    statements: Vec<String>,
}

impl<'a> Script<'a> {
    pub(crate) fn new(target: &'a Target<'a>) -> Self {
        let mut script = Self { target, path: String::new(), statements: Vec::new() };
        script.enter(target.source_schema);
        script
    }

    /// Makes the next statements see what the definitions of `schema` (at the source) call unqualified.
    pub(crate) fn enter(&mut self, schema: &Ident) {
        let path = self.target.path(schema);
        if path != self.path {
            self.statements.push(format!("set search_path = {path}"));
            self.path = path;
        }
    }

    pub(crate) fn push(&mut self, statement: String) {
        self.statements.push(statement);
    }

    pub(crate) fn place(&self, name: &QualifiedName) -> String {
        self.target.place(name).quoted()
    }

    /// Nothing, if only `search_path` was set.
    pub(crate) fn finish(self) -> Vec<String> {
        if self.statements.iter().all(|s| s.starts_with("set search_path")) {
            Vec::new()
        } else {
            self.statements
        }
    }
}
