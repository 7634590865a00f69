//! Two servers, the workload's table, and the report.

use cleave_sandbox::{Cluster, Options, Version};
use serde_json::json;
use std::error::Error;
use std::fmt;
use std::io::Write;
use std::path::Path;
use tokio_postgres::Client;

/// Whatever ends a run.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The table of all entries.
pub(crate) const TABLE: &str = "create table ev (id bigserial primary key, n int not null, label text not null, at timestamptz not null default now())";

/// Source 16, target 18, both with fsync, as people run them.
pub(crate) struct Arena {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
}

impl Arena {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let options = Options::new()
            .durable()
            .setting("shared_buffers", "512MB")
            .setting("max_wal_size", "8GB")
            .setting("checkpoint_timeout", "30min");
        let (source, target) =
            tokio::try_join!(Cluster::start(Version::V16, &options), Cluster::start(Version::V18, &options))?;
        Ok(Self { source, target })
    }

    /// New databases of that name with the table on both sides.
    pub(crate) async fn databases(&self, name: &str) -> Result<(Client, Client), Failure> {
        self.source.create_database(name).await?;
        self.target.create_database(name).await?;
        let source = cleave_sandbox::connect(&self.source.url(name)).await?;
        let target = cleave_sandbox::connect(&self.target.url(name)).await?;
        source.batch_execute(TABLE).await?;
        target.batch_execute(TABLE).await?;
        Ok((source, target))
    }
}

/// One line of the report: medians of the runs; speedup above 1 means that Cleave is ahead.
pub(crate) struct Entry {
    name: &'static str,
    rival: String,
    metric: Metric,
    unit: &'static str,
    ours: f64,
    theirs: Result<f64, String>,
    runs: usize,
}

/// What is measured, and so which direction is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Work per time: more is better.
    Rate,
    /// Seconds, bytes, milliseconds: less is better.
    Cost(&'static str),
    /// How good an answer is: more is better.
    Quality(&'static str),
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Cost(name) | Self::Quality(name) => name,
        }
    }

    fn speedup(self, ours: f64, theirs: f64) -> f64 {
        match self {
            Self::Rate | Self::Quality(_) => ours / theirs,
            Self::Cost(_) => theirs / ours,
        }
    }
}

impl Entry {
    /// A comparison: each run is a pair of ours and theirs, measured one after the other.
    pub(crate) fn new(
        name: &'static str,
        rival: &str,
        (metric, unit): (Metric, &'static str),
        runs: &[(f64, f64)],
    ) -> Self {
        let (ours, theirs) = (runs.iter().map(|run| run.0).collect(), runs.iter().map(|run| run.1).collect());
        let (rival, runs) = (rival.to_owned(), runs.len());
        Self { name, rival, metric, unit, ours: median(ours), theirs: Ok(median(theirs)), runs }
    }

    /// A measurement of ours to which no rival has one, and why.
    pub(crate) fn alone(
        name: &'static str,
        rival: &str,
        (metric, unit): (Metric, &'static str),
        values: Vec<f64>,
        reason: &str,
    ) -> Self {
        let (rival, runs) = (rival.to_owned(), values.len());
        Self { name, rival, metric, unit, ours: median(values), theirs: Err(reason.to_owned()), runs }
    }

    /// None where there is no rival, or nothing to divide by.
    fn speedup(&self) -> Option<f64> {
        let theirs = self.theirs.as_ref().ok()?;
        Some(self.metric.speedup(self.ours, *theirs)).filter(|speedup| speedup.is_finite())
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "entry": self.name, "rival": self.rival, "metric": self.metric.name(), "unit": self.unit,
            "ours": rounded(self.ours), "theirs": self.theirs.as_ref().ok().map(|theirs| rounded(*theirs)),
            "reason": self.theirs.as_ref().err(), "speedup": self.speedup().map(rounded), "runs": self.runs,
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rival, unit, runs, .. } = self;
        let (metric, ours) = (self.metric.name(), rounded(self.ours));
        match &self.theirs {
            Ok(theirs) => {
                let theirs = rounded(*theirs);
                write!(f, "{name}, {metric}: Cleave {ours} {unit}, {rival} {theirs} {unit}")?;
                if let Some(speedup) = self.speedup() {
                    write!(f, ": speedup {}", rounded(speedup))?;
                }
                write!(f, " (median of {runs} runs)")
            }
            Err(reason) => {
                write!(
                    f,
                    "{name}, {metric}: Cleave {ours} {unit}, no {rival}: {reason} (median of {runs} runs)"
                )
            }
        }
    }
}

/// Two places after the point below a thousand, none above.
fn rounded(value: f64) -> f64 {
    if value < 1000.0 { (value * 100.0).round() / 100.0 } else { value.round() }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// So much of an amount as `CLEAVE_BENCH_SCALE` says: `0.1` is a tenth, for a quick look; at least 1.
pub(crate) fn scaled(amount: u64) -> Result<u64, Failure> {
    let scale = match std::env::var("CLEAVE_BENCH_SCALE") {
        Ok(text) => text.parse().map_err(|_| "CLEAVE_BENCH_SCALE is no number")?,
        Err(_) => 1.0,
    };
    Ok((amount as f64 * scale).max(1.0) as u64)
}

/// The value below which a share of them lies: 0.5 the median, 1.0 the largest.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Writes `target/bench/report.json` and shows it.
pub(crate) fn report(entries: &[Entry]) -> Result<(), Failure> {
    let rows: Vec<_> = entries.iter().map(Entry::to_json).collect();
    let folder = Path::new("target/bench");
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(&rows)? + "\n")?;
    for entry in entries {
        say(&entry.to_string());
    }
    Ok(())
}

/// A line for people, on standard error.
pub(crate) fn say(line: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
