//! `cleave status`: where every service stands.

use crate::context::Context;
use crate::failure::Failure;
use crate::next;
use crate::work::Work;
use cleave_api::{ExitCode, Output};
use cleave_model::ServiceName;
use std::io::IsTerminal as _;
use std::time::Duration;

/// Between two looks of `--watch`.
const LOOK: Duration = Duration::from_secs(1);

/// Moves the cursor to the top of an emptied screen (ECMA-48, ED and CUP).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Show where every service stands: state, copy, lag, verification, problems
///
/// The state is read from the databases: it does not matter where the engine runs.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Show this service only
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// Show it again every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// Runs the verb.
pub async fn run(arguments: StatusArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let service = match &arguments.service {
        Some(name) => Some(work.named(Some(name))?),
        None => None,
    };
    let redrawn = arguments.watch && !context.output.is_json() && std::io::stdout().is_terminal();
    loop {
        show(&work, service.as_ref(), context, redrawn).await?;
        if !arguments.watch {
            return Ok(ExitCode::Done);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = work.cancelled.cancelled() => return Ok(ExitCode::Interrupted),
        }
    }
}

async fn show(
    work: &Work,
    service: Option<&ServiceName>,
    context: &Context,
    redrawn: bool,
) -> Result<(), Failure> {
    let report = cleave_engine::status(&work.topology, service).await?;
    let engine = report.engine.is_some();
    let steps: Vec<_> = report.services.iter().flat_map(|service| next::steps(service, engine)).collect();
    if redrawn {
        context.output.data(CLEAR)?;
    }
    context.output.report(Output::new(report).with_next(steps), None)
}
