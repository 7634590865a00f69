//! One file per verb: its arguments, whose doc comment is its manual, and a thin `run`.

pub mod apply;
pub mod cancel;
pub mod complete;
pub mod config;
pub mod cutover;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod history;
pub mod init;
pub mod pause;
pub mod plan;
pub mod resume;
pub mod rollback;
pub mod run;
pub mod status;
pub mod verify;

use crate::context::Context;
use crate::failure::Failure;
use cleave_api::ExitCode;

/// The verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    #[command(subcommand)]
    Config(config::ConfigCommand),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Explain(explain::ExplainArgs),
}

/// Runs a verb, shows why it failed if it did, and returns the exit code.
pub async fn dispatch(command: Command, context: &Context) -> ExitCode {
    let result: Result<ExitCode, Failure> = match command {
        Command::Config(command) => config::run(command, context).await,
        Command::Explain(arguments) => explain::run(arguments, context).await,
    };
    result.unwrap_or_else(|failure| {
        context.output.failure(&failure);
        failure.exit()
    })
}
