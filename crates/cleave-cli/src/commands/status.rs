//! `cleave status`: where every service stands.

/// Show where every service stands: state, copy, lag, verification, problems
///
/// The state is read from the databases: it does not matter where the engine runs.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Show this service only
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// Show it again every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}
