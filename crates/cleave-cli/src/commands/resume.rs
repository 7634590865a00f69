//! `cleave resume`: let streams go on.

use crate::change::Change;
use crate::cli::Rehearsal;
use crate::context::Context;
use crate::failure::Failure;
use crate::rehearsal;
use crate::work::Work;
use cleave_api::{ExitCode, NextStep, Risk};
use cleave_engine::Verb;

/// Let a service's streams go on, after a pause or a problem
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// The service; may be left out where the file has one
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// Empty these tables at the new home and read them anew, such as public.film or "public.film_*"; "*.*" for all, which
    /// takes a new slot if the old one is lost
    #[arg(long, value_name = "TABLE")]
    pub recopy: Vec<String>,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}

/// Runs the verb.
pub async fn run(arguments: ResumeArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mut work = Work::begin(context)?;
    work.wish(|wishes| wishes.recopy.clone_from(&arguments.recopy));
    let service = work.named(arguments.service.as_deref())?;
    let dry_run = arguments.rehearsal.dry_run;
    let undo = NextStep::cleave(["pause", service.as_str()], "the streams stand still", Risk::Reversible);
    let change =
        Change { verb: "resume", service, rehearsal: rehearsal::resume, ask: None, undo: Some(undo) };
    change.run(Verb::Resume, dry_run, &work, context).await
}
