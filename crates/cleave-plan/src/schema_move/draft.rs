//! Makes the plan of a schema move.

use super::script::{self, Wanted};
use super::{NameLayer, RelocatedSequence, RelocatedTable, SchemaPlan, crossings, functions, paths, refuse};
use crate::{Finding, Name, PLAN_VERSION, Scope};
use cleave_config::{Layer, SchemaMove, Service};
use cleave_ddl::service_schema::ServiceSchema;
use cleave_model::catalog::{Catalog, Table};
use cleave_model::surroundings::{DefaultPrivilege, Surroundings};
use cleave_model::{Ident, QualifiedName, ServiceName};

/// One database as it is, and who claims what in it.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Its catalog.
    pub catalog: &'a Catalog,
    /// What stands in no catalog value.
    pub around: &'a Surroundings,
    /// Tables that other services claim, by their names now.
    pub claimed_elsewhere: &'a [(QualifiedName, ServiceName)],
}

/// Plans the move of `service`, whose patterns have been resolved to `claimed`. What stands against it is in the plan's
/// findings. The fingerprint is left empty for the caller.
pub fn plan_schema_move(
    service: &Service,
    wish: &SchemaMove,
    claimed: &[QualifiedName],
    seen: &Observation<'_>,
) -> SchemaPlan {
    let (members, claimed) = refuse::extension_members(claimed, seen.around);
    let (scope, mut findings) = Scope::new(seen.catalog, &claimed);
    findings.extend(members);
    let schema = &service.home.value.schema;
    let layer = match wish.layer {
        Layer::View => NameLayer::View,
        Layer::Path => NameLayer::Path,
    };
    let (owner, reader) = (service.owner.as_ref().map(|o| &o.value), wish.reader.as_ref().map(|r| &r.value));
    findings.extend(refuse::check(&scope, &refuse::Wish { schema, layer, owner, reader }, seen));
    let old_schemas = old_schemas(&scope);
    let changes = paths::changes(schema, &old_schemas, seen.around);
    let (changes, refused) = refuse::paths(changes, layer, seen);
    findings.extend(refused);
    let path = paths::of_database(seen.around);
    let (functions, unread) = functions::changes(&scope, schema, layer, &old_schemas, path);
    findings.extend(unread);
    let missing_roles = missing_roles(seen.catalog, owner, reader);
    let guarded = wish.guard && layer == NameLayer::View && seen.catalog.facts.superuser;
    findings.extend(notes(wish, layer, guarded, seen));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    let users = users(&scope, layer, owner);
    let defaults = default_privileges(seen.around, &old_schemas);
    let schema_owner = seen.catalog.schemas.iter().find(|s| s.name == *schema).map(|s| &s.owner);
    let place = ServiceSchema {
        schema,
        owner,
        reader,
        missing_roles: &missing_roles,
        join_owner: owner.is_some_and(|owner| missing_roles.contains(owner)) && !seen.catalog.facts.superuser,
        schema_owner,
        default_privileges: &defaults,
        users: &users,
    };
    let wanted = Wanted {
        service: &service.name,
        scope: &scope,
        around: seen.around,
        layer,
        place,
        old_schemas: &old_schemas,
        paths: &changes,
        guarded,
    };
    SchemaPlan {
        kind: SchemaPlan::KIND.to_owned(),
        version: PLAN_VERSION,
        service: service.name.to_string(),
        database: service.from.to_string(),
        schema: schema.as_str().to_owned(),
        layer,
        owner_role: owner.map(|owner| owner.as_str().to_owned()),
        reader_role: reader.map(|reader| reader.as_str().to_owned()),
        made_roles: missing_roles.iter().map(|role| role.as_str().to_owned()).collect(),
        guarded,
        tables: scope.tables.iter().map(|table| relocated(table, schema)).collect(),
        sequences: sequences(&scope, schema),
        functions,
        crossings: crossings::list(&scope),
        findings,
        script: script::write(&wanted),
        paths: changes.clone(),
        fingerprint: String::new(),
    }
}

fn relocated(table: &Table, schema: &Ident) -> RelocatedTable {
    RelocatedTable {
        oid: table.oid.0,
        from: Name::from(&table.name),
        to: Name::from(&table.name.in_schema(schema)),
        owner: table.owner.as_str().to_owned(),
        is_partition: table.partition_of.is_some(),
        key: table.primary_key().unwrap_or_default().iter().map(|c| c.as_str().to_owned()).collect(),
        rows: table.rows_estimated,
        bytes: table.heap_bytes + table.index_bytes,
    }
}

fn sequences(scope: &Scope<'_>, schema: &Ident) -> Vec<RelocatedSequence> {
    let relocated = |sequence: &&cleave_model::catalog::Sequence| RelocatedSequence {
        from: Name::from(&sequence.name),
        to: Name::from(&sequence.name.in_schema(schema)),
        owned: sequence.owner_column.is_some(),
    };
    scope.sequences().iter().map(relocated).collect()
}

fn old_schemas(scope: &Scope<'_>) -> Vec<Ident> {
    let mut schemas: Vec<Ident> = scope.tables.iter().map(|table| table.name.schema.clone()).collect();
    schemas.sort();
    schemas.dedup();
    schemas
}

fn missing_roles(catalog: &Catalog, owner: Option<&Ident>, reader: Option<&Ident>) -> Vec<Ident> {
    let exists = |role: &Ident| catalog.roles.iter().any(|known| known.name == *role);
    let mut roles: Vec<Ident> =
        [owner, reader].into_iter().flatten().filter(|role| !exists(role)).cloned().collect();
    roles.dedup();
    roles
}

/// Who must be able to name the tables: owners (keys are checked with their rights) and whoever has a privilege. With a
/// view under the old name PUBLIC reaches the tables through it.
fn users(scope: &Scope<'_>, layer: NameLayer, owner: Option<&Ident>) -> Vec<Option<Ident>> {
    let mut users: Vec<Option<Ident>> = Vec::new();
    for table in &scope.tables {
        users.push(Some(table.owner.clone()));
        let columns = table.columns.iter().flat_map(|column| &column.grants);
        users.extend(table.grants.iter().chain(columns).map(|grant| grant.grantee.clone()));
    }
    users.sort();
    users.dedup();
    users.retain(|user| user.as_ref() != owner && (user.is_some() || layer == NameLayer::Path));
    users
}

/// Those of the old schemas, once each.
fn default_privileges(around: &Surroundings, old: &[Ident]) -> Vec<DefaultPrivilege> {
    around.default_privileges.iter().filter(|default| old.contains(&default.schema)).cloned().collect()
}

fn notes(wish: &SchemaMove, layer: NameLayer, guarded: bool, seen: &Observation<'_>) -> Vec<Finding> {
    let mut notes = Vec::new();
    if wish.guard && layer == NameLayer::View && !guarded {
        notes.push(Finding::note(
            "C1115",
            format!("role {}", seen.catalog.facts.role),
            "is no superuser: changes of structure under the old names are not answered by an event trigger, only found by status",
        ));
    }
    notes
}
