//! `cleave pause`: let streams stand still.

use crate::change::Change;
use crate::cli::Rehearsal;
use crate::context::Context;
use crate::failure::Failure;
use crate::rehearsal;
use crate::work::Work;
use cleave_api::{ExitCode, NextStep, Risk};
use cleave_engine::Verb;

/// Let a service's streams stand still
///
/// The slot keeps log on the source meanwhile; `cleave status` shows how much.
#[derive(Debug, clap::Args)]
pub struct PauseArgs {
    /// The service; may be left out where the file has one
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}

/// Runs the verb.
pub async fn run(arguments: PauseArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let service = work.named(arguments.service.as_deref())?;
    let dry_run = arguments.rehearsal.dry_run;
    let undo = NextStep::cleave(["resume", service.as_str()], "the streams go on", Risk::Reversible);
    let change = Change { verb: "pause", service, rehearsal: rehearsal::pause, ask: None, undo: Some(undo) };
    change.run(Verb::Pause, dry_run, &work, context).await
}
