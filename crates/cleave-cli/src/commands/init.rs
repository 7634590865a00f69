//! `cleave init`: a first configuration file.

use crate::address::site;
use crate::commands::config;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::load;
use cleave_api::{ExitCode, NextStep, Output, Problem, Risk};
use std::path::Path;

/// Write a first cleave.toml from a live database
///
/// Reads the catalog, proposes services, and writes a commented file that can be planned as it is. The URL is written
/// as `env:`, never with its password.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// How to reach the monolith's database: postgres://user@host:port/database, or env:NAME, file:PATH, cmd:COMMAND
    #[arg(value_name = "URL")]
    pub url: String,

    /// Write over a file that is there already
    #[arg(long)]
    pub force: bool,
}

/// Runs the verb.
pub async fn run(arguments: InitArgs, context: &Context) -> Result<ExitCode, Failure> {
    let path = &context.globals.config;
    if path.exists() && !arguments.force {
        return Err(taken(path));
    }
    let endpoint = site(&arguments.url)?.endpoint;
    let text = cleave_engine::init(&endpoint).await?;
    if arguments.force {
        files::write(path, &text)?
    } else {
        files::create(path, &text)?
    }
    let report = config::report(&load::read(path)?);
    let next = NextStep::cleave(["doctor"], "once the variables that the file names are set", Risk::Read);
    context.output.report(Output::new(report).with_next([next]), None)?;
    Ok(ExitCode::Done)
}

fn taken(path: &Path) -> Failure {
    Problem::error("C0913", format!("{} is there already", path.display()))
        .hint("--force writes over it; -C FILE names another")
        .exit(ExitCode::Usage)
        .into()
}
