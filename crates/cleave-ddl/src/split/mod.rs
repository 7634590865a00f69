//! One table as several parts inside its database: the parts, the triggers that keep table and parts equal in the
//! writers' own transactions, the questions that are asked of them, and the statements of the switch.
//!
//! Throughout, the table stays under its name and holds every row; see `docs/design/split.md` for why, and for the order
//! of locks that the functions keep: row of the table, row of `cleave_place`, rows of the parts.

mod check;
mod complete;
mod count;
mod keys;
mod parts;
mod settle;
mod triggers;

pub use check::{check, fill};
pub use complete::{Ending, complete};
pub use count::{Sampled, count};
pub use keys::{Leads, ReferenceSql, drop_prepared, prepare_reference, switch_reference};
pub use parts::{create_parts, drop_parts};
pub use settle::{keep_in_step, reach};
pub use triggers::{
    close_parts, drop_table_triggers, drop_triggers, guard_user_triggers, open_parts, reference_triggers,
    restore_user_triggers, table_triggers,
};

use crate::text::list;
use cleave_model::catalog::{Column, ForeignKey, Identity, Table};
use cleave_model::{Ident, QualifiedName, ServiceName, labels};

/// A table that is split, with its parts.
#[derive(Clone, Debug)]
pub struct Split<'a> {
    /// The split's name.
    pub name: &'a ServiceName,
    /// The table.
    pub table: &'a Table,
    /// The column that references lead to and that tells rows apart.
    pub key: &'a Ident,
    /// The parts, in the order of cleave.toml.
    pub parts: Vec<Part<'a>>,
    /// The part that takes rows which no service reaches; none: they wait in the pending part.
    pub orphans: Option<usize>,
    /// True if a reference that would share a row is an error after the switch.
    pub exclusive: bool,
}

/// A part of a split.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The service that owns it.
    pub service: &'a ServiceName,
    /// The schema it stands in, under the table's name.
    pub schema: &'a Ident,
    /// Its owner.
    pub owner: &'a Ident,
    /// The keys that reach its rows.
    pub references: Vec<Reference<'a>>,
}

/// A foreign key to the table.
#[derive(Clone, Debug)]
pub struct Reference<'a> {
    /// Its number in the split, from 1.
    pub number: usize,
    /// The referencing table.
    pub table: &'a QualifiedName,
    /// Leaf partitions of the referencing table, if it is partitioned.
    pub leaves: Vec<&'a QualifiedName>,
    /// Its column.
    pub column: &'a Ident,
    /// The key.
    pub key: &'a ForeignKey,
}

impl Split<'_> {
    /// A name in the split's own schema.
    pub(crate) fn own(&self, name: impl Into<Ident>) -> QualifiedName {
        QualifiedName { schema: labels::split_schema(self.name), name: name.into() }
    }

    /// One row per key, written by every change of what belongs to the key: who holds it, decides.
    pub(crate) fn place(&self) -> String {
        self.own("cleave_place").quoted()
    }

    /// Where rows wait that no service has reached.
    pub fn pending(&self) -> QualifiedName {
        self.own(self.table.name.name.clone())
    }

    /// The part's table.
    pub fn part(&self, part: &Part<'_>) -> QualifiedName {
        self.table.name.in_schema(part.schema)
    }

    /// The parts, then the pending part.
    pub fn places(&self) -> Vec<QualifiedName> {
        self.parts.iter().map(|part| self.part(part)).chain([self.pending()]).collect()
    }

    /// Keys by which a part's service reaches rows, as a view: it is bound to the tables by their OIDs.
    pub(crate) fn reach_view(&self, part: usize) -> QualifiedName {
        self.own(format!("cleave_reach_{}", part + 1))
    }

    /// Columns that are written; the server computes the others.
    pub(crate) fn written(&self) -> impl Iterator<Item = &Column> {
        self.table.columns.iter().filter(|column| column.is_written())
    }

    /// The written columns, as a list.
    pub(crate) fn columns(&self) -> String {
        list(self.written().map(|column| &column.name))
    }

    /// `row("a", "b")::record` of an alias; compared as stored, as not every type has `=`.
    pub(crate) fn image(&self, alias: &str) -> String {
        let columns: Vec<String> =
            self.written().map(|column| format!("{alias}.{}", column.name.quoted())).collect();
        format!("row({})::record", columns.join(", "))
    }

    /// Columns that the table does not let anybody set in an update.
    pub(crate) fn fixed(&self) -> impl Iterator<Item = &Column> {
        self.table.columns.iter().filter(|column| column.identity == Some(Identity::Always))
    }

    /// Every reference, in order.
    pub fn references(&self) -> impl Iterator<Item = (usize, &Reference<'_>)> {
        self.parts
            .iter()
            .enumerate()
            .flat_map(|(part, owner)| owner.references.iter().map(move |key| (part, key)))
    }
}
