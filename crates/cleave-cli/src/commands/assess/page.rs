//! Reports of other verbs, as the page takes them.

use cleave_api::{
    BoundaryCrossing, BoundaryPrice, BoundaryReport, Finding, Problem, ServicesAlternative, ServicesReport,
    Severity,
};
use cleave_assess::picture::{CrossingKind, GroupKind, Survey};
use cleave_assess::report::{Alternative, BoundaryLine, FindingCard, ProposedService, ProposedTable, Weight};
use std::collections::{BTreeMap, BTreeSet};

/// What stays, as the picture calls it.
const REST: &str = "no service";

pub(super) fn finding(finding: Finding) -> FindingCard {
    FindingCard {
        code: finding.code,
        weight: match finding.severity {
            Severity::Error => Weight::Blocker,
            Severity::Warning => Weight::Warning,
            Severity::Note => Weight::Note,
        },
        database: finding.database,
        object: finding.object,
        seen: finding.seen,
        why: finding.why,
        fix: finding.fix_sql,
    }
}

pub(super) fn crossing(crossing: &BoundaryCrossing) -> BoundaryLine {
    let named = |service: &Option<String>| service.clone().unwrap_or_else(|| REST.to_owned());
    let times = if crossing.count > 1 { format!(", {} times", crossing.count) } else { String::new() };
    BoundaryLine {
        kind: crossing.kind.as_str().to_owned(),
        object: crossing.object.clone(),
        between: crossing.parties.iter().map(|party| named(&party.service)).collect(),
        evidence: format!("{}{times}", crossing.evidence),
        remedy: crossing.remedy.clone(),
    }
}

/// What could not be looked at, or only in part.
pub(super) fn unread(
    problems: &[Problem],
    boundary: &BoundaryReport,
    services: Option<&ServicesReport>,
) -> Vec<String> {
    let mut sentences: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.code, problem.message)).collect();
    let evidence = services.map(|report| &report.evidence);
    if evidence.is_none_or(|evidence| evidence.workload.is_empty()) {
        sentences.push("No workload was read: what is said rests on structure and names.".to_owned());
    }
    let unread = evidence.map_or(boundary.statements_unread, |evidence| evidence.statements_unread);
    if unread > 0 {
        sentences.push(format!("{unread} statements could not be read."));
    }
    let functions = evidence.map(|evidence| evidence.functions_unread.join(", ")).unwrap_or_default();
    if !functions.is_empty() {
        sentences.push(format!("What these functions use could not be read in full: {functions}."));
    }
    sentences
}

/// The services of cleave.toml, as an alternative beside those that are proposed.
pub(super) fn configured(survey: &Survey) -> Option<Alternative> {
    let table = |table: usize| ProposedTable {
        name: survey.tables[table].name.to_string(),
        confidence_percent: None,
        note: survey.tables[table].remark.map(str::to_owned),
    };
    let services: Vec<ProposedService> = survey
        .groups
        .iter()
        .filter(|group| group.kind == GroupKind::Service)
        .map(|group| ProposedService {
            name: group.name.clone(),
            tables: group.tables.iter().map(|&place| table(place)).collect(),
        })
        .collect();
    let mut counts: BTreeMap<CrossingKind, BTreeSet<&str>> = BTreeMap::new();
    for crossing in &survey.crossings {
        counts.entry(crossing.kind).or_default().insert(&crossing.object);
    }
    let price = |(kind, objects): (CrossingKind, BTreeSet<&str>)| {
        let (one, many) = kind.words();
        (objects.len() as u64, format!("{} between services", if objects.len() == 1 { one } else { many }))
    };
    (!services.is_empty()).then(|| Alternative {
        name: "As cleave.toml says".to_owned(),
        summary: "What crosses between these services is listed under Boundary.".to_owned(),
        prices: counts.into_iter().map(price).collect(),
        services,
        notes: Vec::new(),
    })
}

/// The proposed ways to cut, the recommended one first.
pub(super) fn alternatives(report: &ServicesReport) -> Vec<Alternative> {
    let mut sorted: Vec<&ServicesAlternative> = report.alternatives.iter().collect();
    sorted.sort_by_key(|alternative| alternative.grain != report.shown);
    sorted.into_iter().map(|proposed| alternative(proposed, report)).collect()
}

fn alternative(proposed: &ServicesAlternative, report: &ServicesReport) -> Alternative {
    let recommended = proposed.grain == report.shown;
    let name = if recommended {
        format!("Proposed: {}, recommended", proposed.grain)
    } else {
        format!("Proposed: {}", proposed.grain)
    };
    let unsure: BTreeMap<&str, String> = proposed
        .unsure
        .iter()
        .map(|unsure| {
            let pulls = unsure.pulls.iter().filter(|pull| pull.service != unsure.service);
            let others: Vec<&str> = pulls.map(|pull| pull.service.as_str()).collect();
            (unsure.table.as_str(), format!("or in {}", others.join(", ")))
        })
        .filter(|(_, note)| note != "or in ")
        .collect();
    let table = |table: &cleave_api::ProposedTable| ProposedTable {
        name: table.table.clone(),
        confidence_percent: u8::try_from(table.confidence_percent).ok(),
        note: unsure.get(table.table.as_str()).cloned(),
    };
    Alternative {
        name,
        summary: format!(
            "{} % of the runs agree. The percentage beside a table is the share of runs in which it was with the others of its service.",
            proposed.stability_percent
        ),
        prices: prices(&proposed.price),
        services: proposed
            .services
            .iter()
            .map(|service| ProposedService {
                name: service.name.clone(),
                tables: service.tables.iter().map(table).collect(),
            })
            .collect(),
        notes: notes(proposed, report),
    }
}

fn prices(price: &BoundaryPrice) -> Vec<(u64, String)> {
    let parts = [
        (price.keys.len(), "keys cut"),
        (price.transactions.len(), "transactions to become sagas"),
        (price.joins.len(), "joins across"),
        (price.functions.len(), "functions across"),
        (price.triggers.len(), "triggers across"),
        (price.views.len(), "views across"),
    ];
    parts.into_iter().map(|(count, what)| (count as u64, what.to_owned())).collect()
}

fn notes(proposed: &ServicesAlternative, report: &ServicesReport) -> Vec<String> {
    let mut notes = Vec::new();
    for split in &proposed.splits {
        let owner = |owner: &cleave_api::ProposedOwner| match &owner.service {
            Some(service) => format!("{} by {}", service, owner.reached_by),
            None => owner.reached_by.clone(),
        };
        let owners: Vec<String> = split.owners.iter().map(owner).collect();
        notes.push(format!("{} could be split among its owners: {}.", split.table, owners.join(", ")));
    }
    let hubs: Vec<&str> = report.hubs.iter().map(|hub| hub.table.as_str()).collect();
    if !hubs.is_empty() {
        notes.push(format!(
            "So many tables refer to these that they are shared identity: {}.",
            hubs.join(", ")
        ));
    }
    if !proposed.unassigned.is_empty() {
        notes.push(format!("Nothing ties these to any other table: {}.", proposed.unassigned.join(", ")));
    }
    let aside = report.aside.iter().map(|aside| format!("{} ({})", aside.table, aside.reason));
    let aside: Vec<String> = aside.collect();
    if !aside.is_empty() {
        notes.push(format!("Left aside: {}.", aside.join(", ")));
    }
    notes
}
