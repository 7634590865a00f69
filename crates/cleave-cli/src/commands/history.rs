//! `cleave history`: the journal.

use crate::context::Context;
use crate::failure::Failure;
use crate::work::Work;
use cleave_api::{ExitCode, NextStep, Output, Problem, ProofCheck, Risk};
use std::path::{Path, PathBuf};

/// Show what was done, from the journals in the databases
///
/// With --proof, what a move has done and what shows it: servers, copy, every comparison, every switch with its pause, who
/// carried it out and why, the home that both databases name, and a hash over the journal. Kept as JSON it can be
/// checked against the live databases later, with --check: exit 5 if it does not hold.
#[derive(Debug, clap::Args)]
pub struct HistoryArgs {
    /// Show this service only
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// Show what the service's last move has done, and what shows it
    #[arg(long, conflicts_with = "check")]
    pub proof: bool,

    /// Check a proof that was made earlier with `--proof --format json`
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
}

/// Runs the verb.
pub async fn run(arguments: HistoryArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let name = arguments.service.as_deref();
    if let Some(path) = &arguments.check {
        return check(&work, name, path, context).await;
    }
    if arguments.proof {
        let service = &work.service(name)?.name;
        let proof = cleave_engine::proof(&work.topology, service).await?;
        let argv = ["history", service.as_str(), "--check", "proof.json"];
        let next = NextStep::cleave(argv, "checks later what --format json has kept in a file", Risk::Read);
        context.output.report(Output::new(proof).with_next([next]), None)?;
        return Ok(ExitCode::Done);
    }
    let service = match &arguments.service {
        Some(name) => Some(work.named(Some(name))?),
        None => None,
    };
    let history = cleave_engine::history(&work.topology, service.as_ref()).await?;
    let next = NextStep::cleave(["status"], "shows where every service stands", Risk::Read);
    context.output.report(Output::new(history).with_next([next]), None)?;
    Ok(ExitCode::Done)
}

async fn check(work: &Work, name: Option<&str>, path: &Path, context: &Context) -> Result<ExitCode, Failure> {
    let service = &work.service(name)?.name;
    let text = std::fs::read_to_string(path).map_err(|error| no_proof(path, &error))?;
    let earlier = serde_json::from_str(&text).map_err(|error| no_proof(path, &error))?;
    let against = cleave_engine::check_proof(&work.topology, service, &earlier).await?;
    let holds = against.is_empty();
    let problems = against.into_iter().map(|what| Problem::error("C0717", what).exit(ExitCode::Different));
    let report = ProofCheck { service: service.to_string(), holds };
    context.output.report(Output::new(report).with_problems(problems), None)?;
    Ok(if holds { ExitCode::Done } else { ExitCode::Different })
}

fn no_proof(path: &Path, error: &dyn std::error::Error) -> Problem {
    Problem::error("C0423", format!("the proof {} cannot be read", path.display()))
        .caused_by(Some(error))
        .hint("a proof is what `cleave history SERVICE --proof --format json` prints")
}
