//! `cleave demo`: the whole journey on throw-away servers.

/// Show the whole journey on throw-away servers with a live writer, and prove that nothing was lost
///
/// Starts PostgreSQL servers of its own, makes a sample monolith, and moves a service to another server and back while
/// clients write all the time. Ends with the proof: every acknowledged commit, found exactly once.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Rounds of cutover and rollback
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,

    /// Write the proof to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<std::path::PathBuf>,

    /// Leave the servers running at the end, and say how to reach them
    #[arg(long)]
    pub keep: bool,
}
