//! `cleave cutover`: the switch to the new home.

use crate::cli::Rehearsal;

/// Switch a service's home: writes go to the new database from then on
///
/// Writers wait for a fraction of a second, and none fails. If `write_pause` is not enough, everything is as before and
/// the exit code is 6; if a gate refuses, nothing was touched and it is 4. `cleave rollback` switches back at any time
/// before `cleave complete`.
#[derive(Debug, clap::Args)]
pub struct CutoverArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}
