//! `cleave resume`: let streams go on.

use crate::cli::Rehearsal;

/// Let a service's streams go on, after a pause or a problem
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}
