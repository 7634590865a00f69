//! `cleave rollback`: the switch back.

use crate::cli::SwitchManner;
use crate::context::Context;
use crate::failure::Failure;
use crate::switching;
use cleave_api::{ExitCode, SwitchDirection};

/// Switch a service back to its old home, with every change made since
///
/// The same switch the other way: changes of the new home were followed all along, so nothing is lost. Possible any
/// number of times until `cleave complete`.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// The service; may be left out where the file has one. Several that leave one database are switched in one
    /// transaction: all or none
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    #[expect(missing_docs, reason = "its own flags say it")]
    #[command(flatten)]
    pub manner: SwitchManner,
}

/// Runs the verb.
pub async fn run(arguments: RollbackArgs, context: &Context) -> Result<ExitCode, Failure> {
    switching::run(SwitchDirection::Rollback, &arguments.services, arguments.manner, context).await
}
