//! What `SET SCHEMA` takes along by itself: row type, indexes, constraints, owned sequences, triggers, policies,
//! grants, comments, foreign keys of others. What it leaves behind has statements here: partitions, statistics objects,
//! sequences that no column owns, owners.

use cleave_model::catalog::{Sequence, Table};
use cleave_model::{Ident, QualifiedName};

/// One statement that locks all of them, in this order. Without `only` a partitioned table would bring its partitions
/// in an order of its own.
pub fn lock<'n>(tables: impl IntoIterator<Item = &'n QualifiedName>) -> String {
    let tables: Vec<String> = tables.into_iter().map(|name| format!("only {}", name.quoted())).collect();
    format!("lock table {} in access exclusive mode", tables.join(", "))
}

/// A table, and the statistics objects on it, which would stay behind.
pub fn table(table: &Table, schema: &Ident) -> Vec<String> {
    let move_ = |kind: &str, name: &QualifiedName| {
        (name.schema != *schema)
            .then(|| format!("alter {kind} {} set schema {}", name.quoted(), schema.quoted()))
    };
    let statistics = table.statistics.iter().map(|object| move_("statistics", &object.name));
    [move_("table", &table.name)].into_iter().chain(statistics).flatten().collect()
}

/// The way back of [`table`].
pub fn table_back(table: &Table, schema: &Ident) -> Vec<String> {
    let back = |kind: &str, name: &QualifiedName| {
        (name.schema != *schema).then(|| {
            let there = name.in_schema(schema);
            format!("alter {kind} {} set schema {}", there.quoted(), name.schema.quoted())
        })
    };
    let statistics = table.statistics.iter().map(|object| back("statistics", &object.name));
    [back("table", &table.name)].into_iter().chain(statistics).flatten().collect()
}

/// A sequence that no column owns.
pub fn sequence(name: &QualifiedName, schema: &Ident) -> String {
    format!("alter sequence {} set schema {}", name.quoted(), schema.quoted())
}

/// Gives a moved table to the service's owner. The old owner keeps every right by a grant: an application that connects
/// as it goes on. Owned sequences follow their table. Nothing is written where the owner is the same.
pub fn owner(table: &Table, schema: &Ident, owner: &Ident, owned: &[&Sequence]) -> Vec<String> {
    if table.owner == *owner {
        return Vec::new();
    }
    let place = table.name.in_schema(schema).quoted();
    let (old, new) = (table.owner.quoted(), owner.quoted());
    let mut statements =
        vec![format!("alter table {place} owner to {new}"), format!("grant all on table {place} to {old}")];
    for object in &table.statistics {
        statements
            .push(format!("alter statistics {} owner to {new}", object.name.in_schema(schema).quoted()));
    }
    for sequence in owned {
        statements
            .push(format!("grant all on sequence {} to {old}", sequence.name.in_schema(schema).quoted()));
    }
    statements
}

/// The way back of [`owner`], while the table still stands in the schema. What was granted to the old owner becomes its
/// own again, as it is its own grantee.
pub fn owner_back(table: &Table, schema: &Ident, owner: &Ident) -> Vec<String> {
    if table.owner == *owner {
        return Vec::new();
    }
    let old = table.owner.quoted();
    let statistics = table
        .statistics
        .iter()
        .map(|object| format!("alter statistics {} owner to {old}", object.name.in_schema(schema).quoted()));
    std::iter::once(format!("alter table {} owner to {old}", table.name.in_schema(schema).quoted()))
        .chain(statistics)
        .collect()
}

/// Lets the reader read a moved table, if it could not before.
pub fn reader(table: &Table, schema: &Ident, reader: &Ident) -> Option<String> {
    let reads = |grant: &cleave_model::catalog::Grant| {
        grant.grantee.as_ref() == Some(reader) && grant.privilege == "SELECT"
    };
    let place = table.name.in_schema(schema).quoted();
    (!table.grants.iter().any(reads)).then(|| format!("grant select on table {place} to {}", reader.quoted()))
}

/// The way back of [`reader`], while the table still stands in the schema.
pub fn reader_back(table: &Table, schema: &Ident, role: &Ident) -> Option<String> {
    let place = table.name.in_schema(schema).quoted();
    reader(table, schema, role).map(|_| format!("revoke select on table {place} from {}", role.quoted()))
}
