//! Running a command that runs tests: its output passes through as it comes, and its results are counted.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::inputs::Inputs;
use super::skipped::Skipped;
use super::tally::Tally;
use crate::command::shown;
use crate::console::{note, say};
use crate::error::Error;

/// What a run of tests came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The sums.
    pub(crate) tally: Tally,
    /// `test: reason`, for each test that could not run here.
    pub(crate) skipped: Vec<String>,
}

/// Runs the command to its end. A failure of tests is an outcome, not an error.
pub(crate) fn stream(mut command: Command, inputs: &Inputs) -> Result<Outcome, Error> {
    let skipped = Skipped::start()?;
    skipped.tell(&mut command);
    inputs.tell(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let name = shown(&command);
    let start = |source| Error::Start { program: name.clone(), source };
    let mut child = command.spawn().map_err(start)?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        // By bytes: a test may print what is no UTF-8.
        while output.read_until(b'\n', &mut line).map_err(Error::Console)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches('\n');
            tally.read(text);
            say(text)?;
            line.clear();
        }
    }
    let status = child.wait().map_err(start)?;
    let skipped = skipped.finish()?;
    tally.skip(skipped.len() as u64);
    for line in skipped.iter().filter(|line| inputs.forbids(line)) {
        note(format_args!("error: REQUIRE_PAGILA=1 does not let this test be skipped: {line}"));
        tally.skipped -= 1;
        tally.failed += 1;
    }
    if !status.success() && tally.failed == 0 {
        note(format_args!("error: `{}` ended without the result of every test ({status})", name));
        tally.failed += 1;
    }
    Ok(Outcome { tally, skipped })
}

/// Ends a task: the skipped tests by name, and the sums as the last line.
pub(crate) fn summarise(outcome: &Outcome) -> Result<(), Error> {
    for line in &outcome.skipped {
        say(format_args!("Skipped: {line}"))?;
    }
    say(outcome.tally)
}
