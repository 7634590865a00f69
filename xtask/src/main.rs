//! Tasks of the project itself, run as `cargo xtask TASK`.

use std::process::ExitCode;

mod client_tools;
mod clients;
mod command;
mod console;
mod deny;
mod dist;
mod error;
mod pgbouncer;
mod rules;
mod servers;
mod testing;
mod validators;

const USAGE: &str = "usage: cargo xtask TASK

  servers    fetch the PostgreSQL servers that tests and the demo run, and a pg_dump
  validators fetch what judges the files in deploy/
  clients    fetch libraries of applications, which tests run against the compatibility layers
  check      judge the repository by its own rules
  deny       judge the dependencies: bans, licences, sources
  dist       build the program as it is given away, with what belongs beside it
  test       run every test; the last line is the sums
  test-full  run the whole matrix; goes on where it stopped, stops at BUDGET_SECONDS";

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let result = match task.as_deref() {
        Some("servers") => return done(servers::fetch(&command::root(), &|line| console::note(line))),
        Some("validators") => {
            validators::fetch(&command::root());
            return ExitCode::SUCCESS;
        }
        Some("clients") => {
            clients::fetch(&command::root());
            return ExitCode::SUCCESS;
        }
        Some("check") => rules::check(),
        Some("deny") => deny::deny().map(|()| ExitCode::SUCCESS),
        Some("dist") => dist::dist(&std::env::args().nth(2).unwrap_or_else(|| "dist".to_owned()))
            .map(|()| ExitCode::SUCCESS),
        Some("test") => testing::quick(),
        Some("test-full") => testing::full(),
        _ => {
            console::note(USAGE);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => done(Err(error)),
    }
}

fn done<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::fail(&error);
            ExitCode::FAILURE
        }
    }
}
