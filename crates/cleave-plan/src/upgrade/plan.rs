//! Makes the plan of an upgrade.

use super::{dump, findings, script, stages};
use crate::draft::{planned_sequence, planned_table, way_back};
use crate::{
    BridgeKind, Finding, MovePlan, Name, PLAN_VERSION, PlannedTable, Scope, Surroundings, WholeDatabase,
};
use cleave_config::Service;
use cleave_ddl::{Target, fence, publication};
use cleave_model::catalog::{Catalog, Persistence};
use cleave_model::{Direction, Ident, QualifiedName};

/// Plans the upgrade that `service` stands for, whose schema is `dump`, written by `dumped_by`. What stands against it is in
/// the plan's findings. The fingerprint is left empty for the caller.
pub fn plan_upgrade(
    service: &Service,
    (source, target): (&Catalog, &Catalog),
    around: &Surroundings,
    (dump, dumped_by): (&str, &str),
) -> MovePlan {
    let whole = service.whole.clone().unwrap_or_default();
    let scope = Scope::whole(source);
    let mut findings = findings::upgrade_findings(service, &whole, (source, target), around);
    let entries = dump::entries(dump, &whole.tablespaces).unwrap_or_else(|error| {
        findings.push(Finding::refusal("C1202", dumped_by, error.to_string()));
        Vec::new()
    });
    let public = Ident::new("public");
    let place = Target { source_schema: &public, schema: &public, extra_path: &[] };
    let tables: Vec<PlannedTable> =
        scope.tables.iter().map(|table| planned_table(table, (source, target), &place, service)).collect();
    let unlogged = source.tables.iter().filter(|table| table.persistence == Persistence::Unlogged);
    let unlogged: Vec<Name> = unlogged.map(|table| Name::from(&table.name)).collect();
    let mut staged = stages::stages(entries, source, &tables);
    let fenced: Vec<QualifiedName> =
        tables.iter().map(|table| &table.target).chain(&unlogged).map(Name::qualified).collect();
    let closed = script::closed(service.from.as_str(), "the upgrade began", &target.facts.role);
    staged.script.prepare.push(fence::function(&service.name, &closed));
    staged.script.prepare.extend(fence::triggers(&service.name, &fenced));
    let roots: Vec<QualifiedName> = scope
        .tables
        .iter()
        .filter(|table| table.partition_of.is_none())
        .map(|table| table.name.clone())
        .collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    let view = |(schema, name): (String, String)| Name { schema, name };
    MovePlan {
        version: PLAN_VERSION,
        service: service.name.to_string(),
        source: service.from.to_string(),
        target: service.home.value.database.to_string(),
        target_schema: public.as_str().to_owned(),
        copy_schema: public.as_str().to_owned(),
        copy_kept: false,
        owner_role: None,
        bridge: BridgeKind::None,
        sequences: source
            .sequences
            .iter()
            // A rename is what locks a sequence during the switch, whoever owns it.
            .map(|sequence| crate::PlannedSequence { owned: true, ..planned_sequence(sequence, &place) })
            .collect(),
        crossings: Vec::new(),
        findings,
        references: Vec::new(),
        applier_roles: [source.facts.role.clone(), target.facts.role.clone()],
        script: staged.script,
        publication: publish(service, Direction::Forward, &roots),
        way_back: if roots.is_empty() { Vec::new() } else { way_back(service, &scope, &place, &roots) },
        whole: Some(WholeDatabase {
            dumped_by: dumped_by.to_owned(),
            unlogged,
            materialized_views: staged.materialized_views.into_iter().map(view).collect(),
            dropped: made_here(staged.dropped, target),
        }),
        fingerprint: String::new(),
        tables,
    }
}

/// What was there before stays when the upgrade is taken back.
fn made_here(dropped: Vec<String>, target: &Catalog) -> Vec<String> {
    let extensions = target.extensions.iter().map(|extension| ("extension", &extension.name));
    let schemas = target.schemas.iter().map(|schema| ("schema", &schema.name));
    let triggers = target.event_triggers.iter().map(|trigger| ("event trigger", &trigger.name));
    let publications = target.publications.iter().map(|publication| ("publication", &publication.name));
    let there: Vec<String> = extensions
        .chain(schemas)
        .chain(triggers)
        .chain(publications)
        .map(|(kind, name)| format!("drop {kind} if exists {} cascade", name.quoted()))
        .collect();
    dropped.into_iter().filter(|statement| !there.contains(statement)).collect()
}

fn publish(service: &Service, direction: Direction, roots: &[QualifiedName]) -> Vec<String> {
    if roots.is_empty() { Vec::new() } else { vec![publication::create(&service.name, direction, roots)] }
}
