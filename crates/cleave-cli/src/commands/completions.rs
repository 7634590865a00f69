//! `cleave completions` and `cleave manual`: what a package of Cleave brings beside the program.

use crate::cli::Cli;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use clap::CommandFactory as _;
use clap_complete::Shell;
use cleave_api::{ExitCode, Problem};
use std::path::PathBuf;

/// Print the completions of a shell
///
/// For bash: cleave completions bash > /usr/share/bash-completion/completions/cleave
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Write the manual pages, one for each verb, into a folder
#[derive(Debug, clap::Args)]
pub struct ManualArgs {
    /// The folder, which must be there
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Runs `completions`.
pub async fn completions(arguments: CompletionsArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "cleave", &mut script);
    let script = String::from_utf8(script).map_err(|error| {
        Problem::error("C0903", "the completions cannot be written").caused_by(Some(&error))
    })?;
    context.output.data(&script)?;
    Ok(ExitCode::Done)
}

/// Runs `manual`.
pub async fn manual(arguments: ManualArgs, _: &Context) -> Result<ExitCode, Failure> {
    let written = clap_mangen::generate_to(Cli::command(), &arguments.folder);
    written.map_err(|error| files::unwritable(&arguments.folder, &error))?;
    Ok(ExitCode::Done)
}
