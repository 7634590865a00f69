//! `cleave assess boundary`: what crosses between services.

use crate::cli::WorkloadSources;
use crate::context::Context;
use crate::failure::Failure;
use crate::work::Work;
use cleave_api::{ExitCode, NextStep, Output, Risk};

/// List what crosses between services, and to what stays
///
/// For the services of cleave.toml: every foreign key, view, function, trigger and sequence that connects a service with
/// another one or with what stays, and the statements and transactions of applications that touch several sides; each
/// with who has a part in it, how it is known, and what can be done about it. `-v` shows what becomes of it when a
/// service moves, as the plan does. Changes nothing.
#[derive(Debug, clap::Args)]
pub struct BoundaryArgs {
    /// Show what crosses the boundary of this service only
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// Where statements and transactions are read from
    #[command(flatten)]
    pub workload: WorkloadSources,
}

/// Runs the verb.
pub(super) async fn run(arguments: BoundaryArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let service = arguments.service.as_deref().map(|name| work.service(Some(name))).transpose()?;
    let name = service.map(|service| service.name.clone());
    let options = arguments.workload.options();
    let (report, problems) = cleave_engine::boundary(&work.topology, name.as_ref(), &options).await?;
    let next = match &name {
        Some(name) => {
            NextStep::cleave(["plan", name.as_str()], "what a move does about each of them", Risk::Read)
        }
        None => NextStep::cleave(["plan"], "what moves do about each of them", Risk::Read),
    };
    context.output.report(Output::new(report).with_problems(problems).with_next([next]), None)?;
    Ok(ExitCode::Done)
}
