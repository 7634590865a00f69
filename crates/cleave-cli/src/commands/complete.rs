//! `cleave complete`: the only step that cannot be undone.

use crate::cli::Rehearsal;

/// Finish a move: remove the way back
///
/// Turns the way back into a copy where `copies` asks for one, else drops the old tables; then drops slots, publications
/// and origins that nothing needs any more. This is the only step that cannot be undone: look at it with --dry-run first.
#[derive(Debug, clap::Args)]
pub struct CompleteArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}
