//! `cleave cleanup`: what moves have left behind.

use crate::cli::Rehearsal;
use crate::context::Context;
use crate::failure::Failure;
use crate::work::Work;
use cleave_api::{CleanupFate, CleanupReport, ExitCode, NextStep, Output, Risk};

/// Find what moves have left in the databases, and drop what nobody needs
///
/// Looks at every database of the configuration for slots, publications, replication origins, fences, replica identities and roles, and
/// says of each whether a move needs it, whether Cleave made it and can drop it, or why a person has to decide, with the statement.
/// Nothing is dropped without a yes or --yes, nothing while an engine works on the database, and nothing that no journal knows of.
/// Exits with 1 if something could not be dropped.
#[derive(Debug, clap::Args)]
pub struct CleanupArgs {
    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}

/// Runs the verb.
pub async fn run(arguments: CleanupArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let found = cleave_engine::cleanup(&work.topology, false, &work.events).await?;
    let droppable = count(&found, CleanupFate::Droppable);
    if droppable == 0 || arguments.rehearsal.dry_run {
        let next =
            (droppable > 0).then(|| NextStep::cleave(["cleanup"], "drops what it can", Risk::Permanent));
        context.output.report(Output::new(found).with_next(next), None)?;
        return Ok(ExitCode::Done);
    }
    if context.asks()? {
        let list: Vec<String> = found
            .items
            .iter()
            .filter(|item| item.fate == CleanupFate::Droppable)
            .map(|item| format!("  {}: {}", item.database, item.sql.as_deref().unwrap_or(&item.object)))
            .collect();
        context.confirm(&format!("These are run, and cannot be undone:\n{}", list.join("\n")), "cleanup")?;
    }
    let done = cleave_engine::cleanup(&work.topology, true, &work.events).await?;
    let failed = count(&done, CleanupFate::Failed) > 0;
    context.output.report(Output::new(done), None)?;
    Ok(if failed { ExitCode::Failed } else { ExitCode::Done })
}

fn count(report: &CleanupReport, fate: CleanupFate) -> usize {
    report.items.iter().filter(|item| item.fate == fate).count()
}
