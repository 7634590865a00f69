//! `cleave run`: the engine.

use crate::context::Context;
use crate::failure::Failure;
use crate::next;
use crate::work::Work;
use cleave_api::{ExitCode, Output};

/// Run the engine: keep all streams going, and do what other commands ask for
///
/// Holds the lease, so that there is one engine; runs until SIGTERM or Ctrl-C, then stops at a safe point and
/// exits with 0. While it is away, slots keep log: `cleave status` shows how much.
#[derive(Debug, clap::Args)]
pub struct RunArgs {}

/// Runs the verb.
pub async fn run(_: RunArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    cleave_engine::run(&work.topology, &work.events, &work.cancelled).await?;
    match cleave_engine::status(&work.topology, None).await {
        Ok(report) => {
            let steps: Vec<_> =
                report.services.iter().flat_map(|service| next::steps(service, false)).collect();
            context.output.report(Output::new(report).with_next(steps), None)?;
        }
        // It was told to stop, perhaps because the servers stop too.
        Err(error) => context.output.problem(&error.problem()),
    }
    Ok(ExitCode::Done)
}
