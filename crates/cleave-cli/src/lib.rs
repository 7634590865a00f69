//! The command line: reads arguments, asks, and draws what `cleave-api` values say.
//!
//! It knows no SQL and decides nothing about databases. One file per verb stands in `commands/`; `render/` draws
//! reports for people; data goes to standard output and everything else to standard error.

pub mod address;
pub mod bug;
pub mod change;
pub mod cli;
pub mod commands;
pub mod context;
mod demo;
pub mod difference_file;
pub mod failure;
pub mod files;
pub mod interrupt;
pub mod load;
pub mod next;
pub mod notify;
pub mod observed;
pub mod output;
pub mod pages;
pub mod plan_report;
pub mod reference;
pub mod rehearsal;
pub mod render;
pub mod split_plan;
pub mod switching;
pub mod work;

use clap::Parser as _;
use cleave_api::{ExitCode, Problem};
use std::ffi::OsString;

/// Runs one command line and returns the process's exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> std::process::ExitCode {
    bug::install_hook();
    let exit = bug::guard(|| match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => run(cli),
        Err(error) => {
            // Help and version are answers, and clap prints them to standard output.
            let exit = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
            match error.print() {
                Ok(()) => exit,
                Err(_) => ExitCode::Failed,
            }
        }
    });
    std::process::ExitCode::from(exit.code())
}

fn run(cli: cli::Cli) -> ExitCode {
    let output = output::Output::new(&cli.globals);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let problem = Problem::error("C0907", "Cleave cannot start its threads").caused_by(Some(&error));
            output.failure(&failure::Failure::from(problem));
            return ExitCode::Failed;
        }
    };
    let exit = runtime.block_on(async {
        let mut interrupt = interrupt::Interrupt::listen(output.clone());
        let context = context::Context::new(cli.globals, output, interrupt.clone());
        tokio::select! {
            exit = commands::dispatch(cli.command, &context) => exit,
            () = interrupt.insisted() => ExitCode::Interrupted,
        }
    });
    // A read of standard input cannot be cancelled: do not wait for its thread.
    runtime.shutdown_background();
    exit
}
