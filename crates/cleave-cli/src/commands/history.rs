//! `cleave history`: the journal.

use crate::context::Context;
use crate::failure::Failure;
use crate::work::Work;
use cleave_api::{ExitCode, NextStep, Output, Risk};

/// Show what was done, from the journals in the databases
#[derive(Debug, clap::Args)]
pub struct HistoryArgs {
    /// Show this service only
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
}

/// Runs the verb.
pub async fn run(arguments: HistoryArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let service = match &arguments.service {
        Some(name) => Some(work.service(Some(name))?.name.clone()),
        None => None,
    };
    let history = cleave_engine::history(&work.topology, service.as_ref()).await?;
    let next = NextStep::cleave(["status"], "shows where every service stands", Risk::Read);
    context.output.report(Output::new(history).with_next([next]), None)?;
    Ok(ExitCode::Done)
}
