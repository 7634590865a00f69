//! Reports of other verbs, as the page takes them.

use cleave_api::{BoundaryCrossing, BoundaryReport, Finding, Problem, Severity};
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
pub(super) fn unread(problems: &[Problem], boundary: &BoundaryReport) -> Vec<String> {
    let mut sentences: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.code, problem.message)).collect();
    if boundary.statements == 0 && boundary.transactions == 0 {
        sentences.push("No workload was read: what crosses is what the catalog says.".to_owned());
    }
    if boundary.statements_unread > 0 {
        sentences.push(format!("{} statements could not be read.", boundary.statements_unread));
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
