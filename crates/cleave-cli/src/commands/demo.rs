//! `cleave demo`: the whole journey on throw-away servers.

use crate::context::Context;
use crate::demo::{self, Wishes};
use crate::failure::Failure;
use cleave_api::ExitCode;

/// Show the whole journey on throw-away servers with a live writer, and prove that nothing was lost
///
/// Starts PostgreSQL servers of its own, makes a sample monolith, and moves a service to another server and back while
/// clients write all the time. Ends with the proof: every acknowledged commit, found exactly once.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Rounds of cutover and rollback
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,

    /// Size of the sample monolith: 1 is about a million rows
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = parse_scale)]
    pub scale: f64,

    /// Writing transactions per second
    #[arg(long, value_name = "COUNT", default_value_t = 550, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,

    /// Write the proof to this file, as JSON; below target/demo in a project if not given
    #[arg(long, value_name = "FILE")]
    pub report: Option<std::path::PathBuf>,

    /// Keep the servers running after the proof until Ctrl-C, and say how to reach them
    #[arg(long)]
    pub keep: bool,
}

/// Runs the verb.
pub async fn run(arguments: DemoArgs, context: &Context) -> Result<ExitCode, Failure> {
    let DemoArgs { rounds, scale, rate, report, keep } = arguments;
    demo::run(Wishes { rounds, scale, rate, report, keep }, context).await
}

fn parse_scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if (0.001..=100.0).contains(&scale) { Ok(scale) } else { Err("it must be from 0.001 to 100".to_owned()) }
}
