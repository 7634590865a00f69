//! What of a source database a move changes, beyond reading: whose owner the role must be, and where it must be able
//! to create.

use cleave_config::Service;
use cleave_ddl::references::Reference;
use cleave_model::catalog::{Catalog, ObjectRef};
use cleave_model::{Ident, QualifiedName};
use cleave_plan::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// Owners and schemas of the objects that a service's move alters.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Objects by owner.
    pub(super) owners: BTreeMap<Ident, BTreeSet<Object>>,
    /// Schemas that objects leave and come back to.
    pub(super) schemas: BTreeSet<Ident>,
    /// Tables whose policies hold for their owner too.
    pub(super) forced_policies: BTreeSet<QualifiedName>,
}

/// An object whose owner the role must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    /// As people name it: `table public.film`.
    pub(super) shown: String,
    /// As `alter` names it: `table "public"."film"`.
    pub(super) sql: String,
}

impl Touched {
    /// The moved tables with their sequences; tables whose keys lead into the set; tables to which a key leads that the
    /// switch drops, since a rollback puts it back; views and functions that stand on the moved tables, at any distance.
    pub(super) fn of(service: &Service, catalog: &Catalog) -> Self {
        let claimed = super::sides::claimed(service, catalog);
        let (scope, _) = Scope::new(catalog, &claimed);
        let mut touched = Self::default();
        for table in &scope.tables {
            touched.add("table", &table.name, "", &table.owner);
            if table.row_security == (true, true) {
                touched.forced_policies.insert(table.name.clone());
            }
        }
        for (table, _) in scope.inbound_keys() {
            touched.add("table", &table.name, "", &table.owner);
        }
        let dropped = scope
            .outbound_keys()
            .into_iter()
            .filter(|(table, key)| Reference { number: 1, table, key }.writes_to_copy());
        for table in dropped.filter_map(|(_, key)| catalog.table(&key.referenced)) {
            touched.add("table", &table.name, "", &table.owner);
        }
        for sequence in scope.sequences() {
            touched.add("sequence", &sequence.name, "", &sequence.owner);
        }
        touched.dependents(&scope);
        let existing = service.copy_schema();
        if catalog.schemas.iter().any(|schema| schema.name == existing) {
            touched.schemas.insert(existing);
        }
        touched
    }

    fn dependents(&mut self, scope: &Scope<'_>) {
        let catalog = scope.catalog;
        let mut seen: BTreeSet<ObjectRef> = BTreeSet::new();
        let mut next: Vec<ObjectRef> =
            scope.tables.iter().map(|table| ObjectRef::Relation(table.oid)).collect();
        while let Some(object) = next.pop() {
            for dependent in catalog.dependents_of(object) {
                let found = match dependent {
                    ObjectRef::Relation(oid) => {
                        catalog.views.iter().find(|view| view.oid == oid).map(|view| {
                            let kind = if view.materialized { "materialized view" } else { "view" };
                            self.add(kind, &view.name, "", &view.owner);
                        })
                    }
                    ObjectRef::Function(oid) => catalog.function_by_oid(oid).map(|function| {
                        let arguments = format!("({})", function.identity_arguments);
                        self.add("routine", &function.name, &arguments, &function.owner);
                    }),
                    ObjectRef::Type(_) => None,
                };
                if found.is_some() && seen.insert(dependent) {
                    next.push(dependent);
                }
            }
        }
    }

    fn add(&mut self, kind: &str, name: &QualifiedName, arguments: &str, owner: &Ident) {
        let shown = format!("{kind} {name}{arguments}");
        let sql = format!("{kind} {}{arguments}", name.quoted());
        self.owners.entry(owner.clone()).or_default().insert(Object { shown, sql });
        self.schemas.insert(name.schema.clone());
    }
}

/// The first few of a list, and how many more there are.
pub(super) fn shortened<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<&String> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().take(SHOWN).map(|name| name.as_str()).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
