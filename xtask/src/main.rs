//! Tasks of the project itself, run as `cargo xtask TASK`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

mod servers;

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    match task.as_deref() {
        Some("servers") => report(servers::fetch(root(), &|line| note(&line))),
        _ => {
            note("usage: cargo xtask servers");
            ExitCode::from(2)
        }
    }
}

/// The workspace's root folder.
fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

fn report(result: Result<(), servers::Error>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        note(&format!("error: {error}"));
        cause = error.source();
    }
    ExitCode::FAILURE
}

/// Writes one line to standard error; a closed terminal is no reason to stop.
fn note(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}
