//! `cleave pause`: let streams stand still.

use crate::cli::Rehearsal;

/// Let a service's streams stand still
///
/// The slot keeps log on the source meanwhile; `cleave status` shows how much.
#[derive(Debug, clap::Args)]
pub struct PauseArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}
