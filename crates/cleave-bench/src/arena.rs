//! Two servers, the workload's table, and the report.

use cleave_sandbox::{Cluster, Options, Version};
use serde_json::json;
use std::error::Error;
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
    name: String,
    rival: String,
    metric: String,
    unit: String,
    ours: f64,
    theirs: f64,
    runs: usize,
}

impl Entry {
    pub(crate) fn new(name: &str, rival: &str, (metric, unit): (&str, &str), runs: &[(f64, f64)]) -> Self {
        Self {
            name: name.to_owned(),
            rival: rival.to_owned(),
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            ours: median(runs.iter().map(|run| run.0).collect()),
            theirs: median(runs.iter().map(|run| run.1).collect()),
            runs: runs.len(),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Writes `target/bench/report.json` and shows it.
pub(crate) fn report(entries: &[Entry]) -> Result<(), Failure> {
    let rows: Vec<_> = entries
        .iter()
        .map(|e| {
            json!({
                "entry": e.name, "rival": e.rival, "metric": e.metric, "unit": e.unit, "ours": e.ours.round(),
                "theirs": e.theirs.round(), "speedup": (e.ours / e.theirs * 100.0).round() / 100.0, "runs": e.runs,
            })
        })
        .collect();
    let folder = Path::new("target/bench");
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(&rows)? + "\n")?;
    for e in entries {
        say(&format!(
            "{}: Cleave {:.0} {}, {} {:.0} {}, {:.2} times as fast (median of {} runs)",
            e.name,
            e.ours,
            e.unit,
            e.rival,
            e.theirs,
            e.unit,
            e.ours / e.theirs,
            e.runs
        ));
    }
    Ok(())
}

/// A line for people, on standard error.
pub(crate) fn say(line: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
