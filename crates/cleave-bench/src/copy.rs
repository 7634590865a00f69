//! `clone`: a whole database, from nothing to equal rows, keys, indexes and statistics at the target. Cleave's `apply`
//! against what people use for it, in turn, between two servers of version 15 (the rivals' clients here are of 15).

mod data;
mod ours;
mod rivals;

use crate::RUNS;
use crate::arena::{Entry, Failure, Metric, say};
use crate::usage::Usage;
use cleave_sandbox::{Cluster, Options, Version};
use data::Size;
use rivals::Rival;

/// Workers of Cleave, and of the rivals that can have several.
const JOBS: usize = 2;

/// Source and target, with settings that suit the size.
struct Servers {
    source: Cluster,
    target: Cluster,
}

impl Servers {
    async fn start() -> Result<Self, Failure> {
        let options = Options::new()
            .durable()
            .setting("shared_buffers", "2GB")
            .setting("max_wal_size", "8GB")
            .setting("checkpoint_timeout", "30min");
        let (source, target) =
            tokio::try_join!(Cluster::start(Version::V15, &options), Cluster::start(Version::V15, &options))?;
        Ok(Self { source, target })
    }

    /// A target without anything, and both sides with nothing left to write.
    async fn fresh_target(&self, name: &str) -> Result<String, Failure> {
        self.target.create_database(name).await?;
        for url in [self.source.url("postgres"), self.target.url("postgres")] {
            cleave_sandbox::connect(&url).await?.batch_execute("checkpoint").await?;
        }
        Ok(self.target.url(name))
    }
}

/// Seconds of each way, and what our own process took for its part.
pub(crate) async fn clone(_: &crate::arena::Arena) -> Result<Vec<Entry>, Failure> {
    let size = Size::from_environment()?;
    let servers = Servers::start().await?;
    let source = data::make(&servers.source, size).await?;
    say(&format!("clone: {} rows, {:.2} GB with indexes", size.rows(), source.gigabytes));
    let unit: &'static str = Box::leak(format!("s for {:.2} GB", source.gigabytes).into_boxed_str());
    let rivals = rivals::all().await;
    let mut ours: Vec<(f64, Usage)> = Vec::new();
    let mut theirs: Vec<Vec<Result<f64, String>>> = vec![Vec::new(); rivals.len()];
    for run in 1..=RUNS {
        let name = format!("clone_{run}");
        let target = servers.fresh_target(&name).await?;
        let usage = Usage::begin()?;
        let took = ours::clone(&source, &target).await?;
        ours.push((took.as_secs_f64(), usage.end()?));
        say(&format!("clone, run {run}: Cleave {:.1} s", took.as_secs_f64()));
        servers.target.drop_database(&name).await?;
        for (rival, times) in rivals.iter().zip(&mut theirs) {
            let target = servers.fresh_target(&name).await?;
            let took = rival.clone(&source, &target).await?;
            if let Ok(seconds) = &took {
                say(&format!("clone, run {run}: {} {seconds:.1} s", rival.name()));
            }
            times.push(took);
            servers.target.drop_database(&name).await?;
        }
    }
    Ok(entries(unit, &ours, &rivals, theirs))
}

fn entries(
    unit: &'static str,
    ours: &[(f64, Usage)],
    rivals: &[Rival],
    theirs: Vec<Vec<Result<f64, String>>>,
) -> Vec<Entry> {
    let wall = (Metric::Cost("wall"), unit);
    let seconds = || ours.iter().map(|(seconds, _)| *seconds);
    let mut entries: Vec<Entry> = rivals
        .iter()
        .zip(theirs)
        .map(|(rival, times)| match times.into_iter().collect::<Result<Vec<f64>, String>>() {
            Ok(times) => Entry::new("clone", rival.name(), wall, &seconds().zip(times).collect::<Vec<_>>()),
            Err(reason) => Entry::alone("clone", rival.name(), wall, seconds().collect(), &reason),
        })
        .collect();
    let reason = "the rivals' work is done by several processes and the servers";
    let cpu = ours.iter().map(|(_, usage)| usage.cpu_s).collect();
    let memory = ours.iter().map(|(_, usage)| usage.memory_mb).collect();
    entries.push(Entry::alone("clone", "rival", (Metric::Cost("cpu"), "s"), cpu, reason));
    entries.push(Entry::alone("clone", "rival", (Metric::Cost("memory"), "MB"), memory, reason));
    entries
}
