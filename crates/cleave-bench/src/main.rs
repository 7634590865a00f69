//! `make bench`: Cleave and a rival in turn in one run, on the same servers and the same data. Writes
//! `target/bench/report.json`. Says what it measures, also where Cleave is behind.

mod arena;
mod assess;
mod copy;
mod cutover;
mod follow;
mod large;
mod processor;
mod usage;
mod verify;

use arena::{Arena, Entry, Failure};
use std::process::ExitCode;

/// The entries, by the name that `ENTRY` selects: each measures both sides in turn and gives its lines of the report.
const ENTRIES: [&str; 9] = [
    "clone",
    "apply-mixed",
    "apply-one-row",
    "apply-huge",
    "latency",
    "verify",
    "cutover",
    "upgrade",
    "assess",
];

async fn entry(name: &str, arena: &Arena) -> Result<Vec<Entry>, Failure> {
    match name {
        "clone" => copy::clone(arena).await,
        "apply-mixed" => follow::mixed(arena).await,
        "apply-one-row" => follow::one_row(arena).await,
        "apply-huge" => follow::huge(arena).await,
        "latency" => follow::latency(arena).await,
        "verify" => verify::entry(arena).await,
        "cutover" => cutover::entry(arena).await,
        "upgrade" => copy::upgrade(arena).await,
        "assess" => assess::entry(arena).await,
        other => Err(format!("there is no entry {other}").into()),
    }
}

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
        entries.extend(entry(name, &arena).await?);
    }
    arena::report(&entries)
}
