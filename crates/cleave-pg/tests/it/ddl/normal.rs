//! Catalog values with all that may differ between two databases made equal, so that the rest can be compared.

use cleave_model::catalog::{Column, Function, Grant, Identity, Sequence, Table, TypeKind, UserType};
use cleave_model::{Ident, Oid, QualifiedName};

/// Calls the schema `from` by the name `to`, in names and in texts.
pub(crate) struct Rename<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
}

impl Rename<'_> {
    fn name(&self, name: &mut QualifiedName) {
        if name.schema.as_str() == self.from {
            name.schema = Ident::new(self.to);
        }
    }

    fn text(&self, text: &mut String) {
        *text = text.replace(&format!("{}.", self.from), &format!("{}.", self.to));
    }

    pub(crate) fn table(&self, table: &Table) -> Table {
        let mut table = table.clone();
        let owner = table.owner.clone();
        self.name(&mut table.name);
        if let Some(partition) = &mut table.partition_of {
            self.name(&mut partition.parent);
        }
        for column in &mut table.columns {
            self.column(column, &owner);
        }
        for key in &mut table.foreign_keys {
            self.name(&mut key.referenced);
        }
        for index in &mut table.indexes {
            index.bytes = 0;
        }
        for trigger in &mut table.triggers {
            trigger.function = Oid(0);
        }
        for object in &mut table.statistics {
            self.name(&mut object.name);
            self.text(&mut object.definition);
        }
        without_owner(&mut table.grants, &owner);
        (table.oid, table.rows_estimated, table.heap_bytes, table.index_bytes) = (Oid(0), 0, 0, 0);
        table
    }

    fn column(&self, column: &mut Column, owner: &Ident) {
        (column.type_oid, column.number) = (Oid(0), 0);
        column.user_type = column.user_type.map(|_| Oid(0));
        column.default_sequence = column.default_sequence.map(|_| Oid(0));
        column.identity = column.identity.map(|_| Identity::ByDefault);
        without_owner(&mut column.grants, owner);
    }

    pub(crate) fn user_type(&self, user_type: &UserType) -> UserType {
        let mut user_type = user_type.clone();
        self.name(&mut user_type.name);
        user_type.oid = Oid(0);
        // Not valid checks of domains and the order of checks are as they were; nothing in texts names the schema.
        if let TypeKind::Range(options) = &mut user_type.kind {
            self.text(options);
        }
        user_type
    }

    /// A moved function has a `search_path` of its own, so its definition differs by that line.
    pub(crate) fn function(&self, function: &Function) -> Function {
        let mut function = function.clone();
        self.name(&mut function.name);
        self.text(&mut function.definition);
        let lines = function.definition.lines().filter(|line| !line.starts_with(" SET search_path"));
        function.definition = lines.collect::<Vec<_>>().join("\n");
        function.settings.retain(|setting| !setting.starts_with("search_path="));
        function.oid = Oid(0);
        let owner = function.owner.clone();
        without_owner(&mut function.grants, &owner);
        function
    }

    pub(crate) fn sequence(&self, sequence: &Sequence) -> Sequence {
        let mut sequence = sequence.clone();
        self.name(&mut sequence.name);
        sequence.oid = Oid(0);
        if let Some(owner) = &mut sequence.owner_column {
            owner.table = Oid(0);
        }
        let owner = sequence.owner.clone();
        without_owner(&mut sequence.grants, &owner);
        sequence
    }
}

/// An owner has every privilege, and 17 knows one more than 14.
fn without_owner(grants: &mut Vec<Grant>, owner: &Ident) {
    grants.retain(|grant| grant.grantee.as_ref() != Some(owner));
}
