//! `cleave rollback`: the switch back.

use crate::cli::Rehearsal;

/// Switch a service back to its old home, with every change made since
///
/// The same switch the other way: changes of the new home were followed all along, so nothing is lost. Possible any
/// number of times until `cleave complete`.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}
