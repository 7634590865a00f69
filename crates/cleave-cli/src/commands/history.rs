//! `cleave history`: the journal.

/// Show what was done, from the journals in the databases
#[derive(Debug, clap::Args)]
pub struct HistoryArgs {
    /// Show this service only
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
}
