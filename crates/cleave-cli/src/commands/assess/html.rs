//! `cleave assess --html`: everything that an assessment says, as one page.

use super::page;
use crate::cli::WorkloadSources;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::observed::{self, Chosen};
use crate::work::{self, Work};
use cleave_api::{AssessmentPage, BoundaryReport, ExitCode, Finding, NextStep, Output, Risk, ServicesReport};
use cleave_assess::picture::Survey;
use cleave_assess::report::{self, Page, Weight};
use cleave_assess::services::{Grain, Wishes};
use cleave_engine::Site;
use cleave_engine::{Events, Look, Looked, look, services_report};
use cleave_model::{DatabaseName, QualifiedName};
use std::path::Path;

/// Reads the database and writes the page.
pub(super) async fn run(
    path: &Path,
    database: Option<&str>,
    workload: &WorkloadSources,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let how = Look { schemas: Vec::new(), without_samples: false, workload: workload.options() };
    let page = match observed::choose(database, context)? {
        Chosen::Named(work, database) => configured(&work, &database, &how).await?,
        Chosen::Url(site) => alone(&site, &how, &work::events(context).0).await?,
    };
    let html = report::html(&page);
    files::write(path, &html)?;
    let written = AssessmentPage {
        file: path.display().to_string(),
        bytes: html.len() as u64,
        findings: page.findings.len() as u64,
        alternatives: page.alternatives.len() as u64,
        crossings: page.boundary.len() as u64,
        tables: page.survey.tables.len() as u64,
    };
    context.output.report(Output::new(written).with_next([next(&page)]), None)?;
    Ok(ExitCode::Done)
}

/// A database of cleave.toml: both sides of its services are judged, and their boundary is drawn.
async fn configured(work: &Work, database: &DatabaseName, how: &Look) -> Result<Page, Failure> {
    let endpoint = work.topology.site(database)?.endpoint;
    let readiness = cleave_engine::assess(&endpoint).await?;
    let doctor = cleave_engine::doctor(&work.topology, None, &work.events).await?;
    let looked = look(&endpoint, how, &work.events).await?;
    let survey = cleave_engine::survey(&work.topology, database).await?;
    let boundary = cleave_engine::boundary_of(&work.topology, None, &looked.workload).await?;
    // What the doctor says of these services goes before what is true of any.
    let known = |finding: &Finding| {
        doctor.findings.iter().any(|said| said.code == finding.code && said.object == finding.object)
    };
    let further = readiness.findings.into_iter().filter(|finding| !known(finding)).collect::<Vec<_>>();
    let findings = doctor.findings.iter().cloned().chain(further).collect();
    let services = propose(&looked);
    let checks = doctor.checks + readiness.checks;
    Ok(assemble(survey, (findings, checks), &looked, services, boundary))
}

/// A database by itself: the picture shows the services that are proposed for it.
async fn alone(site: &Site, how: &Look, events: &Events) -> Result<Page, Failure> {
    let readiness = cleave_engine::assess(&site.endpoint).await?;
    let looked = look(&site.endpoint, how, events).await?;
    let services = propose(&looked);
    let drawn = services.as_ref().map(proposed_tables).unwrap_or_default();
    let survey = Survey::new(&looked.catalog, &drawn);
    let findings = (readiness.findings, readiness.checks);
    Ok(assemble(survey, findings, &looked, services, BoundaryReport::default()))
}

/// The services that the database itself suggests, whatever cleave.toml says; none where there is nothing to part.
fn propose(looked: &Looked) -> Option<ServicesReport> {
    let wishes = Wishes::default();
    let found = looked.recommend(&wishes).ok()?;
    Some(services_report(looked, &found, &wishes, Grain::Balanced))
}

/// The recommended services as the picture takes them.
fn proposed_tables(report: &ServicesReport) -> Vec<(String, Vec<QualifiedName>)> {
    let shown = report.alternatives.iter().find(|alternative| alternative.grain == report.shown);
    let services = shown.map(|alternative| alternative.services.as_slice()).unwrap_or_default();
    let tables = |service: &cleave_api::ProposedService| {
        service.tables.iter().filter_map(|table| super::wishes::table(&table.table).ok()).collect()
    };
    services.iter().map(|service| (service.name.clone(), tables(service))).collect()
}

fn assemble(
    survey: Survey,
    (findings, checks): (Vec<Finding>, u64),
    looked: &Looked,
    services: Option<ServicesReport>,
    boundary: BoundaryReport,
) -> Page {
    let configured = page::configured(&survey);
    let proposed = services.iter().flat_map(page::alternatives);
    Page {
        made: cleave_engine::timestamp(std::time::SystemTime::now()),
        server: survey.server.clone(),
        findings: findings.into_iter().map(page::finding).collect(),
        checks,
        unread: page::unread(&looked.problems, &boundary, services.as_ref()),
        alternatives: configured.into_iter().chain(proposed).collect(),
        boundary: boundary.crossings.iter().map(page::crossing).collect(),
        survey,
    }
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
