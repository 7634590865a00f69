//! Makes the plan of a live move.

use crate::{
    BridgeKind, Finding, MovePlan, Name, PLAN_VERSION, PlannedColumn, PlannedIndex, PlannedIndexes,
    PlannedReference, PlannedSequence, PlannedTable, RowIdentity, Scope, TargetScript, Weight, binary,
    crossing, readiness, switch,
};
use cleave_config::{Bridge, IdentityChoice, Service};
use cleave_ddl::{Carried, Target, carry, create, fence, fill, publication};
use cleave_model::catalog::{Catalog, Identity, ReplicaIdentity, Table};
use cleave_model::{Direction, Ident, QualifiedName, labels};

/// Plans the move of `service`, whose patterns have been resolved to `claimed`, from the catalogs of both sides.
/// What stands against it is in the plan's findings. The fingerprint is left empty for the caller.
pub fn plan_move(
    service: &Service,
    claimed: &[QualifiedName],
    source: &Catalog,
    target: &Catalog,
) -> MovePlan {
    let (scope, mut findings) = Scope::new(source, claimed);
    findings.extend(readiness::check(&scope, target, service));
    // Parents before partitions, as the scope has them.
    let names: Vec<QualifiedName> = scope.tables.iter().map(|table| table.name.clone()).collect();
    let carried = carry::carry(source, &names);
    let source_schema = claimed.first().map_or_else(|| Ident::new("public"), |name| name.schema.clone());
    let extra_path = extension_schemas(&carried, source, target, &source_schema);
    let place =
        Target { source_schema: &source_schema, schema: &service.home.value.schema, extra_path: &extra_path };
    let unsupported = unsupported(&carried, &place, &findings);
    findings.extend(unsupported);
    findings.extend(switch::bound_objects(service, source, &carried));
    let tables: Vec<PlannedTable> =
        scope.tables.iter().map(|table| planned_table(table, (source, target), &place, service)).collect();
    let roots: Vec<QualifiedName> =
        scope.tables.iter().filter(|t| t.partition_of.is_none()).map(|t| t.name.clone()).collect();
    let target_roots: Vec<QualifiedName> = roots.iter().map(|name| place.place(name)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    MovePlan {
        version: PLAN_VERSION,
        service: service.name.to_string(),
        source: service.from.to_string(),
        target: service.home.value.database.to_string(),
        target_schema: service.home.value.schema.as_str().to_owned(),
        copy_schema: service.copy_schema().as_str().to_owned(),
        copy_kept: service.copy.is_some(),
        owner_role: service.owner.as_ref().map(|owner| owner.value.as_str().to_owned()),
        bridge: match service.bridge.value {
            Bridge::Forward => BridgeKind::Forward,
            Bridge::Local => BridgeKind::Local,
            Bridge::None => BridgeKind::None,
        },
        sequences: carried.sequences.iter().map(|sequence| planned_sequence(sequence, &place)).collect(),
        crossings: crossing::list(&scope, service.bridge.value),
        findings,
        references: references(&scope),
        applier_roles: [source.facts.role.clone(), target.facts.role.clone()],
        script: script(service, &carried, &place, target, &tables),
        publication: vec![publication::create(&service.name, Direction::Forward, &roots)],
        way_back: way_back(service, &scope, &place, &target_roots),
        whole: None,
        fingerprint: String::new(),
        tables,
    }
}

fn extension_schemas(
    carried: &Carried<'_>,
    source: &Catalog,
    target: &Catalog,
    source_schema: &Ident,
) -> Vec<Ident> {
    let shares =
        |name: &Ident| source.extensions.iter().any(|e| e.name == *name && e.schema == *source_schema);
    let names = carried.extensions.iter().filter(|name| shares(name));
    let mut schemas: Vec<Ident> = names
        .filter_map(|name| target.extensions.iter().find(|e| e.name == *name).map(|e| e.schema.clone()))
        .collect();
    schemas.sort();
    schemas.dedup();
    schemas
}

/// What cannot be written, but for objects that a refusal names already.
fn unsupported(carried: &Carried<'_>, place: &Target<'_>, known: &[Finding]) -> Vec<Finding> {
    let refused = |object: &str| {
        known
            .iter()
            .any(|finding| finding.weight == Weight::Refusal && object.ends_with(finding.object.as_str()))
    };
    let all = carried.unsupported.iter().cloned().chain(place.refuse(carried));
    all.filter(|object| !refused(&object.object))
        .map(|object| Finding::refusal("C0230", object.object, object.reason))
        .collect()
}

pub(crate) fn planned_table(
    table: &Table,
    (source, target): (&Catalog, &Catalog),
    place: &Target<'_>,
    service: &Service,
) -> PlannedTable {
    let written = table.columns.iter().filter(|column| column.is_written());
    let columns: Vec<PlannedColumn> = written
        .map(|column| PlannedColumn {
            number: column.number,
            name: column.name.as_str().to_owned(),
            identity_always: column.identity == Some(Identity::Always),
        })
        .collect();
    let (identity, set_identity) =
        if table.holds_rows() { row_identity(table, service) } else { (None, None) };
    PlannedTable {
        source_oid: table.oid.0,
        source: Name::from(&table.name),
        target: Name::from(&place.place(&table.name)),
        columns: if table.holds_rows() { columns } else { Vec::new() },
        identity,
        set_identity,
        is_partition: table.partition_of.is_some(),
        rows: table.rows_estimated,
        bytes: table.heap_bytes,
        binary: binary::is_binary(table, source, &target.facts),
        ranges: None,
    }
}

/// How rows are found, and the statement that makes it so where cleave.toml allows one.
fn row_identity(table: &Table, service: &Service) -> (Option<RowIdentity>, Option<String>) {
    let key =
        |columns: &[Ident]| Some(RowIdentity::Key(columns.iter().map(|c| c.as_str().to_owned()).collect()));
    if let Some(columns) = table.identity_columns() {
        return (key(columns), None);
    }
    if table.replica_identity == ReplicaIdentity::Full {
        return (Some(RowIdentity::Full), None);
    }
    let name = table.name.quoted();
    match readiness::identity_choice(table, service) {
        Some(IdentityChoice::Index(index)) => {
            let columns = table.indexes.iter().find(|i| i.name == *index).map(|i| i.columns.as_slice());
            let statement =
                format!("alter table only {name} replica identity using index {}", index.quoted());
            (columns.and_then(key), Some(statement))
        }
        Some(IdentityChoice::Full) => {
            (Some(RowIdentity::Full), Some(format!("alter table only {name} replica identity full")))
        }
        // A refusal; the plan is only shown.
        None => (Some(RowIdentity::Full), None),
    }
}

pub(crate) fn planned_sequence(
    sequence: &cleave_model::catalog::Sequence,
    place: &Target<'_>,
) -> PlannedSequence {
    PlannedSequence {
        source_oid: sequence.oid.0,
        source: Name::from(&sequence.name),
        target: Name::from(&place.place(&sequence.name)),
        ascending: sequence.increment > 0,
        owned: sequence.owner_column.is_some(),
    }
}

fn references(scope: &Scope<'_>) -> Vec<PlannedReference> {
    let keys = scope.inbound_keys();
    keys.iter()
        .map(|(table, key)| PlannedReference {
            name: format!("{} on {}", key.name, table.name),
            table: Name::from(&table.name),
            referenced: Name::from(&key.referenced),
            columns: key
                .columns
                .iter()
                .zip(&key.referenced_columns)
                .map(|(own, theirs)| {
                    let type_name = table.column(own).map_or("text", |column| column.type_name.as_str());
                    (own.as_str().to_owned(), type_name.to_owned(), theirs.as_str().to_owned())
                })
                .collect(),
        })
        .collect()
}

fn script(
    service: &Service,
    carried: &Carried<'_>,
    place: &Target<'_>,
    target: &Catalog,
    tables: &[PlannedTable],
) -> TargetScript {
    let names: Vec<QualifiedName> = tables.iter().map(|table| table.target.qualified()).collect();
    let mut prepare = vec![format!("create schema if not exists {}", place.schema.quoted())];
    prepare.extend(create::first(carried, place));
    let closed = switch::closed(service.from.as_str(), "the move began", &target.facts.role);
    prepare.push(fence::function(&service.name, &closed));
    prepare.extend(fence::triggers(&service.name, &names));
    let mut indexes = create::indexes(carried, place);
    indexes.extend(create::late_checks(carried, place));
    let keys = create::foreign_keys(carried, place);
    let mut finish = create::triggers(carried, place);
    finish.extend(fill::create(&service.name, carried, place, &labels::bridge_role(&service.name)));
    finish.extend(create::statistics(carried, place));
    finish.extend(create::policies(carried, place));
    finish.extend(create::grants(carried, place, &target.roles).statements);
    if let Some(owner) = &service.owner {
        finish.push(format!("alter schema {} owner to {}", place.schema.quoted(), owner.value.quoted()));
        finish.extend(create::owners(carried, place, &owner.value));
    }
    finish.extend(create::comments(carried, place));
    let mut cancel = fill::drop(&service.name, carried, place);
    cancel.extend(create::drop_kept(carried, place, target.schemas.iter().map(|schema| &schema.name)));
    TargetScript {
        prepare,
        tables: create::table_indexes(carried, place).into_iter().map(planned_indexes).collect(),
        indexes,
        foreign_keys: keys.add,
        validate: keys.validate,
        adopt: keys.adopt,
        finish,
        cancel,
    }
}

fn planned_indexes(table: create::TableIndexes) -> PlannedIndexes {
    let indexes = table.indexes.into_iter().map(|index| PlannedIndex {
        name: index.name.as_str().to_owned(),
        create: index.create,
        constraint: index.constraint,
        late: false,
    });
    PlannedIndexes { source_oid: table.table.0, search_path: table.search_path, indexes: indexes.collect() }
}

/// The way back reads N, so N needs the replica identities that `apply` sets on M.
pub(crate) fn way_back(
    service: &Service,
    scope: &Scope<'_>,
    place: &Target<'_>,
    roots: &[QualifiedName],
) -> Vec<String> {
    let set = scope.tables.iter().filter(|table| table.holds_rows()).filter_map(|table| {
        let (_, statement) = row_identity(table, service);
        statement.map(|_| {
            let name = place.place(&table.name).quoted();
            match readiness::identity_choice(table, service) {
                Some(IdentityChoice::Index(index)) => {
                    format!("alter table only {name} replica identity using index {}", index.quoted())
                }
                _ => format!("alter table only {name} replica identity full"),
            }
        })
    });
    set.chain([publication::create(&service.name, Direction::Back, roots)]).collect()
}
