//! `cleave assess --html`: everything that an assessment says, as one page.

use super::page;
use crate::cli::WorkloadSources;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::observed::{self, Chosen};
use crate::work::Work;
use cleave_api::{AssessmentPage, BoundaryReport, ExitCode, Finding, NextStep, Output, Risk};
use cleave_assess::picture::Survey;
use cleave_assess::report::{self, Page, Weight};
use cleave_engine::Site;
use cleave_model::DatabaseName;
use std::path::Path;

/// Reads the database and writes the page.
pub(super) async fn run(
    path: &Path,
    database: Option<&str>,
    workload: &WorkloadSources,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let page = match observed::choose(database, context)? {
        Chosen::Named(work, database) => configured(&work, &database, workload).await?,
        Chosen::Url(site) => alone(&site).await?,
    };
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

/// A database of cleave.toml: both sides of its services are judged, and their boundary is drawn.
async fn configured(
    work: &Work,
    database: &DatabaseName,
    workload: &WorkloadSources,
) -> Result<Page, Failure> {
    let endpoint = work.topology.site(database)?.endpoint;
    let readiness = cleave_engine::assess(&endpoint).await?;
    let doctor = cleave_engine::doctor(&work.topology, None, &work.events).await?;
    let survey = cleave_engine::survey(&work.topology, database).await?;
    let (boundary, problems) = cleave_engine::boundary(&work.topology, None, &workload.options()).await?;
    // What the doctor says of these services goes before what is true of any.
    let known = |finding: &Finding| {
        doctor.findings.iter().any(|said| said.code == finding.code && said.object == finding.object)
    };
    let further: Vec<Finding> = readiness.findings.into_iter().filter(|finding| !known(finding)).collect();
    let findings = doctor.findings.iter().cloned().chain(further).collect();
    let page = assemble(survey, findings, doctor.checks + readiness.checks, &boundary);
    Ok(Page { unread: page::unread(&problems, &boundary), ..page })
}

/// A database by itself.
async fn alone(site: &Site) -> Result<Page, Failure> {
    let readiness = cleave_engine::assess(&site.endpoint).await?;
    let survey = cleave_engine::survey_without_services(&site.endpoint).await?;
    Ok(assemble(survey, readiness.findings, readiness.checks, &BoundaryReport::default()))
}

fn assemble(survey: Survey, findings: Vec<Finding>, checks: u64, boundary: &BoundaryReport) -> Page {
    Page {
        made: cleave_engine::timestamp(std::time::SystemTime::now()),
        server: survey.server.clone(),
        findings: findings.into_iter().map(page::finding).collect(),
        checks,
        unread: Vec::new(),
        alternatives: page::configured(&survey).into_iter().collect(),
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
