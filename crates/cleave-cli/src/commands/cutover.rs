//! `cleave cutover`: the switch to the new home.

use crate::cli::SwitchManner;
use crate::context::Context;
use crate::failure::Failure;
use crate::switching;
use cleave_api::{ExitCode, SwitchDirection};

/// Switch a service's home: writes go to the new database from then on
///
/// Writers wait for a fraction of a second, and none fails. If `write_pause` is not enough, everything is as before and
/// the exit code is 6; if a gate refuses, nothing was touched and it is 4. `cleave rollback` switches back at any time
/// before `cleave complete`.
#[derive(Debug, clap::Args)]
pub struct CutoverArgs {
    /// The service; may be left out where the file has one. Several that leave one database are switched in one
    /// transaction: all or none
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    #[expect(missing_docs, reason = "its own flags say it")]
    #[command(flatten)]
    pub manner: SwitchManner,
}

/// Runs the verb.
pub async fn run(arguments: CutoverArgs, context: &Context) -> Result<ExitCode, Failure> {
    switching::run(SwitchDirection::Cutover, &arguments.services, arguments.manner, context).await
}
