//! What a set of tables needs to stand somewhere else, and what of it Cleave cannot write.

mod refuse;

use crate::text;
use cleave_model::catalog::{Catalog, Function, ObjectRef, Outside, Sequence, Table, UserType};
use cleave_model::{Ident, QualifiedName};
use std::collections::BTreeSet;
use std::fmt;

/// An object that stops a move, by name, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub struct Unsupported {
    /// What it is and its name: `rule film_log on public.film`.
    pub object: String,
    /// Why it cannot be carried, as a sentence's end: `is a foreign table`.
    pub reason: String,
}

impl Unsupported {
    /// The stable code of every refusal of this crate.
    pub const CODE: &'static str = "C0301";
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object, self.reason)
    }
}

/// A type or function that has to stand before the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prelude<'a> {
    /// A type.
    Type(&'a UserType),
    /// A function that tables or types need, or that their triggers call.
    Function(&'a Function),
}

/// The closure of a set of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried<'a> {
    /// Types and functions, what is needed first.
    pub prelude: Vec<Prelude<'a>>,
    /// Sequences owned by the tables' columns or read by their defaults, those of identity columns included.
    pub sequences: Vec<&'a Sequence>,
    /// The tables and all their partitions, parents first.
    pub tables: Vec<&'a Table>,
    /// Functions that need the tables themselves (a table's row type in their signature, a `BEGIN ATOMIC` body).
    pub late_functions: Vec<&'a Function>,
    /// Extensions that must be installed at the target, under the same schema name unless they share the tables' one.
    pub extensions: BTreeSet<Ident>,
    /// What cannot be carried; a move with any is refused.
    pub unsupported: Vec<Unsupported>,
}

impl<'a> Carried<'a> {
    /// The types, in creation order.
    pub fn types(&self) -> impl Iterator<Item = &'a UserType> + '_ {
        self.prelude.iter().filter_map(|p| if let Prelude::Type(t) = p { Some(*t) } else { None })
    }

    /// The functions, in creation order, late ones last.
    pub fn functions(&self) -> impl Iterator<Item = &'a Function> + '_ {
        let early =
            self.prelude.iter().filter_map(|p| if let Prelude::Function(f) = p { Some(*f) } else { None });
        early.chain(self.late_functions.iter().copied())
    }

    /// Sequences made on their own; those of identity columns come with the column.
    pub fn plain_sequences(&self) -> impl Iterator<Item = &'a Sequence> + '_ {
        self.sequences.iter().copied().filter(|s| !s.owner_column.as_ref().is_some_and(|o| o.identity))
    }

    /// Sequences that do not move with a table's schema, as no column owns them.
    pub fn free_sequences(&self) -> impl Iterator<Item = &'a Sequence> + '_ {
        self.sequences.iter().copied().filter(|sequence| sequence.owner_column.is_none())
    }

    /// True if the table is one of those carried.
    pub fn has_table(&self, name: &QualifiedName) -> bool {
        self.tables.iter().any(|table| table.name == *name)
    }
}

/// Follows the dependencies of `roots` (tables by name; partitions come with their roots) through the catalog.
/// Tables that `catalog` does not have are reported as unsupported. Functions of extensions are not carried; the
/// extension is named instead.
pub fn carry<'a>(catalog: &'a Catalog, roots: &[QualifiedName]) -> Carried<'a> {
    let mut carried = Carried::default();
    for root in roots {
        match catalog.table(root) {
            Some(table) => add_table(catalog, table, &mut carried.tables),
            None => carried
                .unsupported
                .push(Unsupported { object: format!("table {root}"), reason: "does not exist".to_owned() }),
        }
    }
    carried.sequences = sequences(catalog, &carried.tables);
    let own: BTreeSet<ObjectRef> =
        carried.tables.iter().map(|table| ObjectRef::Relation(table.oid)).collect();
    let mut walk = Walk { catalog, own: &own, visited: BTreeSet::new(), order: Vec::new(), late: Vec::new() };
    for table in &carried.tables {
        walk.needs_of(ObjectRef::Relation(table.oid));
        for trigger in table.triggers.iter().filter(|trigger| !text_is_ours(&trigger.name)) {
            walk.visit(ObjectRef::Function(trigger.function));
        }
    }
    (carried.prelude, carried.late_functions) = (walk.order, walk.late);
    carried.extensions = extensions(catalog, &carried);
    refuse::refuse(catalog, &mut carried);
    carried
}

/// The fence and all else that Cleave hangs on a table stays where it is.
pub(crate) fn text_is_ours(trigger: &Ident) -> bool {
    trigger.as_str() == cleave_model::labels::FENCE_TRIGGER
        || trigger.as_str().starts_with(cleave_model::labels::TRIGGER_PREFIX)
        || trigger.as_str().starts_with(cleave_model::labels::SPLIT_REFERENCE_PREFIX)
}

fn add_table<'a>(catalog: &'a Catalog, table: &'a Table, tables: &mut Vec<&'a Table>) {
    if tables.iter().any(|known| known.oid == table.oid) {
        return;
    }
    tables.push(table);
    for partition in catalog.partitions_of(&table.name) {
        add_table(catalog, partition, tables);
    }
}

fn sequences<'a>(catalog: &'a Catalog, tables: &[&Table]) -> Vec<&'a Sequence> {
    let owned = |sequence: &Sequence| {
        let owner = sequence.owner_column.as_ref().map(|owner| owner.table);
        owner.is_some_and(|owner| tables.iter().any(|table| table.oid == owner))
    };
    let read = |sequence: &Sequence| {
        tables.iter().any(|table| {
            let needs = catalog.needs_of(ObjectRef::Relation(table.oid));
            needs.into_iter().any(|need| need == ObjectRef::Relation(sequence.oid))
        })
    };
    catalog.sequences.iter().filter(|sequence| owned(sequence) || read(sequence)).collect()
}

fn extensions(catalog: &Catalog, carried: &Carried<'_>) -> BTreeSet<Ident> {
    let users: BTreeSet<ObjectRef> = objects(carried).collect();
    let used = catalog.outside_needs.iter().filter(|need| users.contains(&need.dependent));
    used.filter_map(|need| match &need.what {
        Outside::Extension(name) if name.as_str() != "plpgsql" => Some(name.clone()),
        _ => None,
    })
    .collect()
}

fn objects<'a>(carried: &'a Carried<'_>) -> impl Iterator<Item = ObjectRef> + 'a {
    let relations = carried.tables.iter().map(|t| t.oid).chain(carried.sequences.iter().map(|s| s.oid));
    let types = carried.types().map(|t| ObjectRef::Type(t.oid));
    relations
        .map(ObjectRef::Relation)
        .chain(types)
        .chain(carried.functions().map(|function| ObjectRef::Function(function.oid)))
}

/// A depth-first walk that leaves types and functions in an order in which each comes after what it needs.
struct Walk<'a, 'b> {
    catalog: &'a Catalog,
    own: &'b BTreeSet<ObjectRef>,
    visited: BTreeSet<ObjectRef>,
    order: Vec<Prelude<'a>>,
    late: Vec<&'a Function>,
}

impl<'a> Walk<'a, '_> {
    fn needs_of(&mut self, object: ObjectRef) {
        let mut needs: Vec<ObjectRef> = self.catalog.needs_of(object).collect();
        needs.sort_unstable();
        for need in needs {
            self.visit(need);
        }
    }

    fn visit(&mut self, object: ObjectRef) {
        if matches!(object, ObjectRef::Relation(_)) || !self.visited.insert(object) {
            return;
        }
        self.needs_of(object);
        match object {
            ObjectRef::Type(oid) => self.order.extend(self.catalog.type_by_oid(oid).map(Prelude::Type)),
            ObjectRef::Function(oid) => {
                let Some(function) = self.catalog.function_by_oid(oid) else { return };
                if self.is_late(object) {
                    self.late.push(function)
                } else {
                    self.order.push(Prelude::Function(function))
                }
            }
            ObjectRef::Relation(_) => {}
        }
    }

    /// It needs a carried table, or a function that does.
    fn is_late(&self, function: ObjectRef) -> bool {
        self.catalog.needs_of(function).any(|need| match need {
            ObjectRef::Function(oid) => self.late.iter().any(|late| late.oid == oid),
            other => self.own.contains(&other),
        })
    }
}

/// How messages call a function.
pub(crate) fn function_name(function: &Function) -> String {
    format!("function {}({})", function.name, function.identity_arguments)
}

/// True if the function's body is text that names objects of `schema`, which will not be found elsewhere.
pub(crate) fn body_names_schema(function: &Function, schema: &Ident) -> bool {
    function.body.as_ref().is_some_and(|body| text::names_schema(body, schema))
}
