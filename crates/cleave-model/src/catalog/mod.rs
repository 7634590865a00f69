//! What stands in one database, as far as a move has to know it. Values only: `cleave-pg` reads them, `cleave-ddl`
//! writes SQL from them, `cleave-plan` decides with them.
//!
//! **Definition texts** (`definition`, `expression`, `default`, `type_name`, ...) come from the server's own
//! `pg_get_*` functions and `format_type` under `search_path` = the schema of the object they
//! belong to (indexes, triggers, rules and views in the pretty form, which alone leaves the table's name unqualified;
//! expressions and constraints in the safe form that pg_dump uses too): names of that schema are unqualified, all
//! others are qualified. Replay them under `search_path` = the target schema and they land there.

mod object;
mod relation;

pub use object::{
    Dependency, EventTrigger, Extension, Function, FunctionKind, Grant, ObjectRef, Outside, OutsideNeed,
    Publication, Role, Schema, Subscription, TypeKind, UserType,
};
pub use relation::{
    Column, Constraint, ConstraintKind, ForeignKey, Generated, Identity, Index, Partition, Persistence,
    Policy, ReferentialAction, ReplicaIdentity, Rule, Sequence, SequenceOwner, StatisticsObject, Table,
    TableKind, Trigger, TriggerFiring, View,
};

use crate::{Oid, QualifiedName};

/// Facts of the server and the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `server_version_num`, 140000 to 189999 for the versions served.
    pub version_num: u32,
    /// `pg_control_system()`; identifies the cluster.
    pub system_identifier: u64,
    /// Timeline in use.
    pub timeline: u32,
    /// The database's own name.
    pub database: String,
    /// `server_encoding`.
    pub encoding: String,
    /// `datcollate` and provider, as one text to compare and to show.
    pub collation: String,
    /// True on a standby.
    pub in_recovery: bool,
    /// `wal_level`.
    pub wal_level: String,
    /// The session's role and whether it is a superuser.
    pub role: String,
    /// `rolsuper` of that role.
    pub superuser: bool,
}

impl Facts {
    /// Major version: 14 to 18.
    pub fn major(&self) -> u32 {
        self.version_num / 10_000
    }
}

/// Everything in a database outside `pg_catalog`, `information_schema`, `cleave` and extensions' members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// Server and database.
    pub facts: Facts,
    /// User schemas.
    pub schemas: Vec<Schema>,
    /// Ordinary, partitioned and foreign tables, by name.
    pub tables: Vec<Table>,
    /// Views and materialized views.
    pub views: Vec<View>,
    /// Sequences, owned and free.
    pub sequences: Vec<Sequence>,
    /// Enums, domains, composites, ranges, base types.
    pub types: Vec<UserType>,
    /// Functions, procedures, aggregates, window functions.
    pub functions: Vec<Function>,
    /// Installed extensions.
    pub extensions: Vec<Extension>,
    /// Event triggers.
    pub event_triggers: Vec<EventTrigger>,
    /// Publications.
    pub publications: Vec<Publication>,
    /// Native subscriptions of this database (empty when the role may not read `pg_subscription`).
    pub subscriptions: Vec<Subscription>,
    /// All roles but `pg_*`.
    pub roles: Vec<Role>,
    /// `pg_depend` between the objects above, folded to whole objects: a view's rule counts as the view, a default or
    /// constraint or index or trigger as its table. No self edges, no duplicates.
    pub dependencies: Vec<Dependency>,
    /// What the objects above use of extensions and of kinds that the model does not know.
    pub outside_needs: Vec<OutsideNeed>,
}

impl Catalog {
    /// The table of that name.
    pub fn table(&self, name: &QualifiedName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == *name)
    }

    /// The table with that OID.
    pub fn table_by_oid(&self, oid: Oid) -> Option<&Table> {
        self.tables.iter().find(|table| table.oid == oid)
    }

    /// The view of that name.
    pub fn view(&self, name: &QualifiedName) -> Option<&View> {
        self.views.iter().find(|view| view.name == *name)
    }

    /// The sequence with that OID.
    pub fn sequence_by_oid(&self, oid: Oid) -> Option<&Sequence> {
        self.sequences.iter().find(|sequence| sequence.oid == oid)
    }

    /// The function with that OID.
    pub fn function_by_oid(&self, oid: Oid) -> Option<&Function> {
        self.functions.iter().find(|function| function.oid == oid)
    }

    /// The type with that OID.
    pub fn type_by_oid(&self, oid: Oid) -> Option<&UserType> {
        self.types.iter().find(|user_type| user_type.oid == oid)
    }

    /// Direct partitions of a table, in the catalog's order.
    pub fn partitions_of<'a>(&'a self, parent: &'a QualifiedName) -> impl Iterator<Item = &'a Table> {
        self.tables
            .iter()
            .filter(move |table| table.partition_of.as_ref().is_some_and(|p| p.parent == *parent))
    }

    /// What directly depends on an object.
    pub fn dependents_of(&self, object: ObjectRef) -> impl Iterator<Item = ObjectRef> + '_ {
        self.dependencies.iter().filter(move |edge| edge.referenced == object).map(|edge| edge.dependent)
    }

    /// What an object directly depends on.
    pub fn needs_of(&self, object: ObjectRef) -> impl Iterator<Item = ObjectRef> + '_ {
        self.dependencies.iter().filter(move |edge| edge.dependent == object).map(|edge| edge.referenced)
    }
}
