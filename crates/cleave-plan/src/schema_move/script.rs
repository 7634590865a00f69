//! The statements of a schema move, list by list.

use super::{NameLayer, PathChange, SchemaScript, paths, refuse};
use crate::Scope;
use cleave_ddl::schema_move::{guard, relocate, view};
use cleave_ddl::service_schema::{self, ServiceSchema};
use cleave_model::catalog::{Sequence, Table};
use cleave_model::surroundings::Surroundings;
use cleave_model::{Ident, QualifiedName, ServiceName};
use std::collections::BTreeSet;

/// What the lists are made from.
pub(super) struct Wanted<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) scope: &'a Scope<'a>,
    pub(super) around: &'a Surroundings,
    pub(super) layer: NameLayer,
    pub(super) place: ServiceSchema<'a>,
    pub(super) old_schemas: &'a [Ident],
    pub(super) paths: &'a [PathChange],
    pub(super) guarded: bool,
}

pub(super) fn write(wanted: &Wanted<'_>) -> SchemaScript {
    let database = &wanted.scope.catalog.facts.database;
    let mut prepare = service_schema::create(&wanted.place);
    prepare.extend(paths::statements(wanted.paths, database));
    SchemaScript {
        prepare,
        cutover: cutover(wanted),
        rollback: rollback(wanted),
        complete: complete(wanted),
        cancel: service_schema::drop(&wanted.place),
    }
}

/// Names in defaults resolve as before: in the old schemas first, then what has moved.
fn path(wanted: &Wanted<'_>) -> String {
    let schemas: Vec<String> =
        wanted.old_schemas.iter().chain([wanted.place.schema]).map(Ident::quoted).collect();
    format!("set local search_path = {}", schemas.join(", "))
}

fn cutover(wanted: &Wanted<'_>) -> Vec<String> {
    let (schema, tables) = (wanted.place.schema, &wanted.scope.tables);
    let mut statements = vec![path(wanted)];
    statements.extend(tables.iter().flat_map(|table| relocate::table(table, schema)));
    for table in tables {
        if let Some(owner) = wanted.place.owner {
            statements.extend(relocate::owner(table, schema, owner, &owned(wanted, table)));
        }
        if let Some(reader) = wanted.place.reader {
            statements.extend(relocate::reader(table, schema, reader));
        }
    }
    statements.extend(published(wanted, "add"));
    if wanted.layer == NameLayer::View {
        let (major, service) = (wanted.scope.catalog.facts.major(), wanted.service.as_str());
        for table in tables {
            statements.extend(view::create(table, schema, major, service));
            let old = table.name.quoted();
            let new_owner = wanted.place.owner.filter(|owner| **owner != table.owner);
            statements
                .extend(new_owner.map(|owner| format!("grant all on table {old} to {}", owner.quoted())));
            let reader = wanted.place.reader;
            statements
                .extend(reader.map(|reader| format!("grant select on table {old} to {}", reader.quoted())));
        }
    }
    if wanted.guarded {
        let moved: Vec<(QualifiedName, QualifiedName)> =
            tables.iter().map(|table| (table.name.clone(), table.name.in_schema(schema))).collect();
        statements.extend(guard::create(wanted.service, &moved));
    }
    statements
}

fn rollback(wanted: &Wanted<'_>) -> Vec<String> {
    let (schema, tables) = (wanted.place.schema, &wanted.scope.tables);
    let mut statements = vec![path(wanted)];
    statements.extend(unbridged(wanted));
    statements.extend(published(wanted, "drop"));
    let owners = old_owners(wanted);
    let create = |verb: &str, word: &str| -> Vec<String> {
        let schema = schema.quoted();
        owners
            .iter()
            .map(|owner| format!("{verb} create on schema {schema} {word} {}", owner.quoted()))
            .collect()
    };
    // Who gives an object away without being a superuser needs the new owner to have CREATE on its schema.
    statements.extend(create("grant", "to"));
    for table in tables {
        if let Some(reader) = wanted.place.reader {
            statements.extend(relocate::reader_back(table, schema, reader));
        }
        if let Some(owner) = wanted.place.owner {
            statements.extend(relocate::owner_back(table, schema, owner));
        }
    }
    statements.extend(create("revoke", "from"));
    statements.extend(tables.iter().flat_map(|table| relocate::table_back(table, schema)));
    statements
}

/// Owners of tables that get another one.
fn old_owners<'a>(wanted: &'a Wanted<'_>) -> BTreeSet<&'a Ident> {
    let Some(new) = wanted.place.owner else { return BTreeSet::new() };
    let owners = wanted.scope.tables.iter().map(|table| &table.owner);
    let owners = owners.filter(|owner| *owner != new && Some(*owner) != wanted.place.schema_owner);
    owners.collect()
}

/// What a publication had through the old schema it gets by name, or loses again.
fn published(wanted: &Wanted<'_>, verb: &str) -> Vec<String> {
    let mut statements = Vec::new();
    for publication in &wanted.scope.catalog.publications {
        let roots = wanted.scope.tables.iter().filter(|table| table.partition_of.is_none());
        for table in roots.filter(|table| publication.tables.contains(&table.name)) {
            if refuse::through_schema(publication, &table.name, wanted.around) {
                let (name, place) =
                    (publication.name.quoted(), table.name.in_schema(wanted.place.schema).quoted());
                statements.push(format!("alter publication {name} {verb} table {place}"));
            }
        }
    }
    statements
}

/// Guard and views.
fn unbridged(wanted: &Wanted<'_>) -> Vec<String> {
    let mut statements = if wanted.guarded { guard::drop(wanted.service) } else { Vec::new() };
    if wanted.layer == NameLayer::View {
        statements.extend(wanted.scope.tables.iter().map(|table| view::drop(&table.name)));
    }
    statements
}

/// Removes the old names, brings what had to keep its name, and takes from PUBLIC what a service with an owner of its
/// own gives to nobody.
fn complete(wanted: &Wanted<'_>) -> Vec<String> {
    let schema = wanted.place.schema;
    let mut statements = unbridged(wanted);
    for sequence in wanted.scope.sequences().into_iter().filter(|s| s.owner_column.is_none()) {
        let place = sequence.name.in_schema(schema).quoted();
        statements.push(relocate::sequence(&sequence.name, schema));
        if let Some(owner) = wanted.place.owner.filter(|owner| **owner != sequence.owner) {
            statements.push(format!("alter sequence {place} owner to {}", owner.quoted()));
            statements.push(format!("grant all on sequence {place} to {}", sequence.owner.quoted()));
        }
    }
    if wanted.place.owner.is_some() {
        for table in &wanted.scope.tables {
            let public = table.grants.iter().any(|grant| grant.grantee.is_none());
            if public {
                let place = table.name.in_schema(schema).quoted();
                statements.push(format!("revoke all on table {place} from public"));
            }
        }
        statements.push(format!("revoke all on schema {} from public", schema.quoted()));
    }
    statements
}

fn owned<'a>(wanted: &Wanted<'a>, table: &Table) -> Vec<&'a Sequence> {
    let owns =
        |sequence: &&Sequence| sequence.owner_column.as_ref().is_some_and(|owner| owner.table == table.oid);
    wanted.scope.catalog.sequences.iter().filter(owns).collect()
}
