//! `cleave cancel`: give up a move.

use crate::change::Change;
use crate::cli::Rehearsal;
use crate::context::Context;
use crate::failure::Failure;
use crate::rehearsal;
use crate::work::Work;
use cleave_api::{ExitCode, NextStep, Risk};
use cleave_engine::Verb;

/// Give up a move before its switch: remove all that was made for it
///
/// The old home has been the home all along, so nothing is lost. After a switch, roll back first.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// The service; may be left out where the file has one
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}

/// Runs the verb.
pub async fn run(arguments: CancelArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let service = work.named(arguments.service.as_deref())?;
    let dry_run = arguments.rehearsal.dry_run;
    let made = if work.is_split(&service) {
        "the parts with their rows, triggers, keys"
    } else {
        "the tables at the new home with their rows, slots, publications"
    };
    let about = format!("All that apply made for {service} is removed: {made}.");
    let undo = NextStep::cleave(["apply", service.as_str()], "begins anew", Risk::Reversible);
    let change =
        Change { verb: "cancel", service, rehearsal: rehearsal::cancel, ask: Some(about), undo: Some(undo) };
    change.run(Verb::Cancel, dry_run, &work, context).await
}
