//! `cleave plan`: everything a move will do, before the first byte.

/// Show what a move will do, and why it could not be done
///
/// Compares cleave.toml with the databases: tables and sizes, what crosses the boundary, missing roles, steps, locks,
/// the expected write pause. Changes nothing. A plan written with -o is what `apply` then carries out, or refuses once
/// the databases differ from it.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// Plan these services only
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// Write the plan to a file, for `cleave apply FILE`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<std::path::PathBuf>,

    /// Print the SQL of every step instead
    #[arg(long, conflicts_with = "full")]
    pub sql: bool,

    /// Print every step, lock and gate
    #[arg(long)]
    pub full: bool,

    /// Exit with 3 if there is something to do
    #[arg(long)]
    pub detailed_exit_code: bool,
}
