//! The demonstration: throw-away servers, a sample monolith, a live writer, the whole journey, and the proof.
//!
//! The engine runs in this process as a library, exactly as the other verbs use it. Everything that is made here is
//! gone when [`run`] returns, however it returns.

mod error;
mod journey;
mod narration;
mod proof;
mod servers;
mod storefront;
mod transactions;

use crate::context::Context;
use crate::failure::Failure;
use cleave_api::{ExitCode, Output, Problem};
use narration::Narration;
use servers::Servers;
use std::path::PathBuf;

/// What is wished for.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// Rounds of cutover and rollback.
    pub(crate) rounds: u32,
    /// Size of the sample; 1 is about a million rows.
    pub(crate) scale: f64,
    /// Writing transactions per second.
    pub(crate) rate: u32,
    /// Where the report goes.
    pub(crate) report: Option<PathBuf>,
    /// Keep the servers until Ctrl-C.
    pub(crate) keep: bool,
}

/// Runs the demonstration, or stops it when asked to.
pub(crate) async fn run(wishes: Wishes, context: &Context) -> Result<ExitCode, Failure> {
    let mut interrupt = context.interrupt.clone();
    let ended = tokio::select! {
        result = Box::pin(demonstrate(&wishes, context)) => Some(result),
        () = interrupt.asked() => None,
    };
    match ended {
        Some(result) => Ok(result?),
        None => {
            context.output.note("stopped; the servers are gone, and their folders with them");
            Ok(ExitCode::Interrupted)
        }
    }
}

async fn demonstrate(wishes: &Wishes, context: &Context) -> Result<ExitCode, Failure> {
    let narration = Narration::begin(context.output.clone());
    narration.tell(
        "starting two throw-away servers: PostgreSQL 14 for the monolith, PostgreSQL 18 for the new home",
    );
    let servers = Servers::start().await.map_err(Failure::from)?;
    narration.tell("started both");
    // Nobody cancels the engine: an interrupt ends the servers with it.
    let (_canceller, cancelled) = cleave_stream::cancellation();
    let mut travelled = journey::travel(&narration, &servers, wishes, cancelled).await?;
    let proof = proof::prove(&narration, &servers, &mut travelled, wishes.rounds).await?;
    let written = proof::write_report(&proof.report, wishes.report.as_deref())?;
    let problems: Vec<Problem> = proof.problem.into_iter().collect();
    let exit = if problems.is_empty() { ExitCode::Done } else { ExitCode::Failed };
    context.output.report(Output::new(proof.report).with_problems(problems), None)?;
    if let Some(path) = written {
        narration.tell(format!("wrote the proof to {}", path.display()));
    }
    if wishes.keep {
        keep(context, &narration, &servers).await;
    }
    travelled.engine.close().await;
    Ok(exit)
}

/// Leaves the servers, and the copy's stream, running until Ctrl-C.
async fn keep(context: &Context, narration: &Narration, servers: &Servers) {
    narration.tell(format!("monolith: psql '{}'", servers.monolith_url()));
    narration.tell(format!("products: psql '{}'", servers.products_url()));
    narration.tell("both run until Ctrl-C");
    context.interrupt.clone().asked().await;
}
