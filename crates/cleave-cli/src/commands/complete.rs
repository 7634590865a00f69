//! `cleave complete`: the only step that cannot be undone.

use crate::change::Change;
use crate::cli::Rehearsal;
use crate::context::Context;
use crate::failure::Failure;
use crate::rehearsal;
use crate::work::Work;
use cleave_api::ExitCode;
use cleave_engine::Verb;

/// Finish a move: remove the way back
///
/// Turns the way back into a copy where `copies` asks for one, else drops the old tables; then drops slots, publications
/// and origins that nothing needs any more. The bridge stays; while old names are used, that is refused (C0733). This is
/// the only step that cannot be undone: look at it with --dry-run first.
#[derive(Debug, clap::Args)]
pub struct CompleteArgs {
    /// The service; may be left out where the file has one
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// Go on though somebody uses the bridge, or has within the last hour: it stays and serves them
    #[arg(long)]
    pub bridge_in_use: bool,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}

/// Runs the verb.
pub async fn run(arguments: CompleteArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mut work = Work::begin(context)?;
    work.wish(|wishes| wishes.bridge_in_use = arguments.bridge_in_use);
    let service = work.named(arguments.service.as_deref())?;
    let dry_run = arguments.rehearsal.dry_run;
    let removed = if work.is_split(&service) { "triggers, the table itself" } else { "slots, publications" };
    let about =
        format!("The way back of {service} is removed: {removed}, what leads back. This cannot be undone.");
    let change =
        Change { verb: "complete", service, rehearsal: rehearsal::complete, ask: Some(about), undo: None };
    change.run(Verb::Complete, dry_run, &work, context).await
}
