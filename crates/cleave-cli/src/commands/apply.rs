//! `cleave apply`: prepare, copy, follow; never switch.

use crate::cli::Rehearsal;

/// Prepare and fill the new home, and follow changes; never switch
///
/// Makes schema, slot and publication, copies the rows and applies changes as they commit. If no engine runs, this
/// command is the engine until it is stopped; run it again and it goes on where it was. Nothing that applications see
/// changes before `cleave cutover`.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// Apply these services, or the plan in this file; all services if none is named
    #[arg(value_name = "SERVICE|PLAN")]
    pub targets: Vec<String>,

    /// Stop once this is reached, instead of following until stopped
    #[arg(long, value_enum, value_name = "STATE")]
    pub until: Option<Until>,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}

/// Where `apply` may stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Until {
    /// The rows are copied and changes are being applied; the slot keeps log on the source from then on
    Following,
}
