//! `cleave cancel`: give up a move.

use crate::cli::Rehearsal;

/// Give up a move before its switch: remove all that was made for it
///
/// The old home has been the home all along, so nothing is lost. After a switch, roll back first.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}
