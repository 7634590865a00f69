//! `cleave assess --html`: the report as a page.

use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::observed::{self, Chosen};
use cleave_api::{AssessmentPage, DoctorReport, ExitCode, NextStep, Output, Risk, Severity};
use cleave_assess::picture::{CrossingKind, GroupKind, Survey};
use cleave_assess::report::{
    self, Alternative, BoundaryLine, FindingCard, Page, ProposedService, ProposedTable, Weight,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads the database and writes the page.
pub(super) async fn run(path: &Path, database: Option<&str>, context: &Context) -> Result<ExitCode, Failure> {
    let (survey, doctor) = match observed::choose(database, context)? {
        Chosen::Named(work, database) => {
            let survey = cleave_engine::survey(&work.topology, &database).await?;
            (survey, Some(cleave_engine::doctor(&work.topology, None, &work.events).await?))
        }
        Chosen::Url(site) => (cleave_engine::survey_without_services(&site.endpoint).await?, None),
    };
    let page = page(survey, doctor, cleave_engine::timestamp(std::time::SystemTime::now()));
    let html = report::html(&page);
    files::write(path, &html)?;
    let written = AssessmentPage {
        file: path.display().to_string(),
        bytes: html.len() as u64,
        findings: page.findings.len() as u64,
        crossings: page.boundary.len() as u64,
        tables: page.survey.tables.len() as u64,
    };
    context.output.report(Output::new(written).with_next([next(&page)]), None)?;
    Ok(ExitCode::Done)
}

fn next(page: &Page) -> NextStep {
    let worst = page.findings.iter().find(|finding| finding.weight == Weight::Blocker);
    match worst {
        Some(finding) => {
            let why = "why it stands against a move, with an example and the fix";
            NextStep::cleave(["explain", &finding.code], why, Risk::Read)
        }
        None => NextStep::cleave(["plan"], "shows what a move will do", Risk::Read),
    }
}

fn page(survey: Survey, doctor: Option<DoctorReport>, made: String) -> Page {
    let doctor = doctor.unwrap_or_default();
    let findings = doctor.findings.into_iter().map(|finding| FindingCard {
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
    });
    Page {
        made,
        server: survey.server.clone(),
        findings: findings.collect(),
        checks: doctor.checks,
        unread: Vec::new(),
        alternatives: configured(&survey).into_iter().collect(),
        boundary: boundary(&survey),
        survey,
    }
}

/// The services of cleave.toml, as an alternative beside those that can be proposed.
fn configured(survey: &Survey) -> Option<Alternative> {
    let services: Vec<ProposedService> = survey
        .groups
        .iter()
        .filter(|group| group.kind == GroupKind::Service)
        .map(|group| ProposedService {
            name: group.name.clone(),
            tables: group
                .tables
                .iter()
                .map(|&table| ProposedTable {
                    name: survey.tables[table].name.to_string(),
                    confidence_percent: None,
                    note: survey.tables[table].remark.map(str::to_owned),
                })
                .collect(),
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
    let prices = counts.into_iter().map(price).collect();
    (!services.is_empty()).then(|| Alternative {
        name: "As cleave.toml says".to_owned(),
        summary: "What crosses between these services is listed under Boundary.".to_owned(),
        prices,
        services,
        notes: Vec::new(),
    })
}

/// What crosses to or from a service, each thing once.
fn boundary(survey: &Survey) -> Vec<BoundaryLine> {
    let mut groups_of: BTreeMap<(CrossingKind, &str), BTreeSet<usize>> = BTreeMap::new();
    for crossing in &survey.crossings {
        let groups = groups_of.entry((crossing.kind, &crossing.object)).or_default();
        groups.extend([crossing.from, crossing.to]);
    }
    let line = |((kind, object), groups): ((CrossingKind, &str), &BTreeSet<usize>)| BoundaryLine {
        kind: kind.words().0.to_owned(),
        object: object.to_owned(),
        between: groups.iter().map(|&group| survey.groups[group].name.clone()).collect(),
        evidence: String::new(),
        remedy: String::new(),
    };
    let of_a_service = |groups: &BTreeSet<usize>| {
        groups.iter().any(|&group| survey.groups[group].kind == GroupKind::Service)
    };
    groups_of
        .iter()
        .filter(|(_, groups)| of_a_service(groups))
        .map(|((kind, object), groups)| line(((*kind, object), groups)))
        .collect()
}
