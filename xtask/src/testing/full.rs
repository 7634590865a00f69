//! `cargo xtask test-full`: the whole matrix, one test binary after the other, as far as `BUDGET_SECONDS` reaches.
//!
//! A run goes on where the last one stopped: what has passed is not run again until its code changes.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::binaries::build_and_list;
use super::inputs::Inputs;
use super::record::{BinaryResult, Results, load, report, save};
use super::stream::{Outcome, stream, summarise};
use super::tally::Tally;
use crate::command::root;
use crate::console::note;
use crate::error::Error;

/// Tests read this to run the whole matrix instead of a sample.
const VARIABLE: &str = "CLEAVE_TEST_FULL";

/// Runs what has no result yet, writes `target/test-full/report.json`. Work that is left is not success.
pub(crate) fn full() -> Result<ExitCode, Error> {
    let started = Instant::now();
    let budget = budget(std::env::var("BUDGET_SECONDS").ok())?;
    let inputs = Inputs::find()?;
    let folder = root().join("target").join("test-full");
    std::fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    let state = folder.join("state.json");

    note("Building the tests");
    let binaries = build_and_list(&inputs)?;
    let mut results = load(&state);
    results.retain(|name, result| binaries.iter().any(|b| b.name == *name && result.stands_for(b)));
    let kept = results.len();
    if kept > 0 {
        note(format_args!("Going on after {kept} of {} binaries", binaries.len()));
    }
    let mut left = 0;
    for binary in &binaries {
        if results.contains_key(&binary.name) {
            continue;
        }
        if budget.is_some_and(|budget| started.elapsed() >= budget) {
            left += 1;
            continue;
        }
        note(format_args!("Running {}", binary.name));
        let begun = Instant::now();
        let mut command = binary.command();
        command.env(VARIABLE, "1");
        let outcome = stream(command, &inputs)?;
        results
            .insert(binary.name.clone(), BinaryResult::new(binary, outcome, begun.elapsed().as_secs_f64()));
        save(&state, &results)?;
    }
    let path = folder.join("report.json");
    report(&path, &binaries, &results)?;
    note("Wrote target/test-full/report.json");
    finish(&results, left)
}

/// Seconds from the environment; none means as long as it takes.
fn budget(value: Option<String>) -> Result<Option<Duration>, Error> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.parse::<u64>() {
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
        Err(_) => {
            Err(Error::Refused(format!("BUDGET_SECONDS must be a whole number of seconds, not `{value}`")))
        }
    }
}

fn finish(results: &Results, left: usize) -> Result<ExitCode, Error> {
    let mut tally = Tally::default();
    let mut skipped = Vec::new();
    for result in results.values() {
        tally.add(result.tally);
        skipped.extend(result.skipped.iter().cloned());
    }
    if left > 0 {
        note(format_args!("BUDGET_SECONDS is used up with {left} test binaries left; run it again to go on"));
    }
    summarise(&Outcome { tally, skipped })?;
    Ok(if tally.failed == 0 && left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::budget;

    #[test]
    fn the_budget_is_whole_seconds_or_none() {
        assert_eq!(budget(None).unwrap(), None);
        assert_eq!(budget(Some(String::new())).unwrap(), None);
        assert_eq!(budget(Some("90".to_owned())).unwrap(), Some(Duration::from_secs(90)));
        assert!(budget(Some("90s".to_owned())).is_err());
    }
}
