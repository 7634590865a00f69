//! One file per verb: its arguments, whose doc comment is its manual, and a thin `run`.

pub mod apply;
pub mod assess;
pub mod cancel;
pub mod cleanup;
pub mod complete;
pub mod completions;
pub mod config;
pub mod cutover;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod graph;
pub mod history;
pub mod init;
pub mod pause;
pub mod plan;
pub mod resume;
pub mod rollback;
pub mod run;
pub mod status;
pub mod upgrade;
pub mod verify;

use crate::cli::Format;
use crate::context::Context;
use crate::failure::Failure;
use cleave_api::{ExitCode, Problem};

/// The verbs, in the order of a first move.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Demo(demo::DemoArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Init(init::InitArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Doctor(doctor::DoctorArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Assess(assess::AssessArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Graph(graph::GraphArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Plan(plan::PlanArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Apply(apply::ApplyArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Upgrade(upgrade::UpgradeArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Run(run::RunArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Status(status::StatusArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    History(history::HistoryArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Verify(verify::VerifyArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Cutover(cutover::CutoverArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Rollback(rollback::RollbackArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Complete(complete::CompleteArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Cancel(cancel::CancelArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Cleanup(cleanup::CleanupArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Pause(pause::PauseArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Resume(resume::ResumeArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    #[command(subcommand)]
    Config(config::ConfigCommand),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Explain(explain::ExplainArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Completions(completions::CompletionsArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Manual(completions::ManualArgs),
}

/// Runs a verb, shows why it failed if it did, and returns the exit code.
pub async fn dispatch(command: Command, context: &Context) -> ExitCode {
    if context.globals.format == Format::Toml && !command.gives_toml() {
        let failure = Failure::from(no_toml());
        context.output.failure(&failure);
        return failure.exit();
    }
    // Verbs hold whole moves in their futures: boxed, they do not all take the room of the largest.
    let result: Result<ExitCode, Failure> = match command {
        Command::Demo(arguments) => Box::pin(demo::run(arguments, context)).await,
        Command::Init(arguments) => Box::pin(init::run(arguments, context)).await,
        Command::Doctor(arguments) => Box::pin(doctor::run(arguments, context)).await,
        Command::Assess(arguments) => Box::pin(assess::run(arguments, context)).await,
        Command::Graph(arguments) => Box::pin(graph::run(arguments, context)).await,
        Command::Plan(arguments) => Box::pin(plan::run(arguments, context)).await,
        Command::Apply(arguments) => Box::pin(apply::run(arguments, context)).await,
        Command::Upgrade(arguments) => Box::pin(upgrade::run(arguments, context)).await,
        Command::Run(arguments) => Box::pin(run::run(arguments, context)).await,
        Command::Status(arguments) => Box::pin(status::run(arguments, context)).await,
        Command::History(arguments) => Box::pin(history::run(arguments, context)).await,
        Command::Verify(arguments) => Box::pin(verify::run(arguments, context)).await,
        Command::Cutover(arguments) => Box::pin(cutover::run(arguments, context)).await,
        Command::Rollback(arguments) => Box::pin(rollback::run(arguments, context)).await,
        Command::Complete(arguments) => Box::pin(complete::run(arguments, context)).await,
        Command::Cancel(arguments) => Box::pin(cancel::run(arguments, context)).await,
        Command::Cleanup(arguments) => Box::pin(cleanup::run(arguments, context)).await,
        Command::Pause(arguments) => Box::pin(pause::run(arguments, context)).await,
        Command::Resume(arguments) => Box::pin(resume::run(arguments, context)).await,
        Command::Config(arguments) => Box::pin(config::run(arguments, context)).await,
        Command::Completions(arguments) => completions::completions(arguments, context).await,
        Command::Manual(arguments) => completions::manual(arguments, context).await,
        Command::Explain(arguments) => Box::pin(explain::run(arguments, context)).await,
    };
    result.unwrap_or_else(|failure| {
        context.output.failure(&failure);
        failure.exit()
    })
}

impl Command {
    /// True if `--format toml` means something here.
    fn gives_toml(&self) -> bool {
        matches!(self, Self::Assess(assess::AssessArgs { part: Some(assess::AssessPart::Services(_)), .. }))
    }
}

fn no_toml() -> Problem {
    Problem::error("C1026", "only assess services has TOML to print")
        .hint("leave --format away, or take json")
        .exit(ExitCode::Usage)
}
