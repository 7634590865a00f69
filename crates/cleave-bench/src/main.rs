//! `make bench`: Cleave and a rival in turn in one run, on the same servers and the same data. Writes
//! `target/bench/report.json`. Says what it measures, also where Cleave is behind.

mod arena;
mod copy;
mod follow;

use arena::{Arena, Entry, Failure};
use std::process::ExitCode;

/// The entries, by the name that `ENTRY` selects.
const ENTRIES: [&str; 2] = ["copy", "follow"];

/// Times that each side runs; medians are reported.
const RUNS: usize = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let wanted = std::env::args().nth(1);
    if let Some(name) = wanted.as_deref().filter(|name| !ENTRIES.contains(name)) {
        arena::say(&format!("error: there is no entry {name}; there are {}", ENTRIES.join(", ")));
        return ExitCode::from(2);
    }
    match run(wanted.as_deref()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            arena::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(wanted: Option<&str>) -> Result<(), Failure> {
    arena::say("Starting PostgreSQL 16 and 18");
    let arena = Arena::start().await?;
    let mut entries: Vec<Entry> = Vec::new();
    for name in ENTRIES.into_iter().filter(|name| wanted.is_none_or(|wanted| wanted == *name)) {
        let mut runs = Vec::new();
        for run in 1..=RUNS {
            let (ours, theirs) = match name {
                "copy" => copy::run(&arena, run).await?,
                _ => follow::run(&arena, run).await?,
            };
            arena::say(&format!("{name}, run {run} of {RUNS}: Cleave {ours:.0}/s, native {theirs:.0}/s"));
            runs.push((ours, theirs));
        }
        let (metric, unit) =
            if name == "copy" { ("rows copied", "rows/s") } else { ("changes applied", "changes/s") };
        entries.push(Entry::new(name, "native logical replication", (metric, unit), &runs));
    }
    arena::report(&entries)
}
