//! `clone`: a whole database, from nothing to equal rows, keys, indexes and statistics at the target. Cleave's `apply`
//! against what people use for it, in turn, between two servers of version 15 (the rivals' clients here are of 15).

mod data;
mod ours;
mod rivals;
mod upgrade;

pub(crate) use upgrade::upgrade;

use crate::RUNS;
use crate::arena::{Entry, Failure, Metric, say};
use crate::processor;
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

/// What one way took.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall_s: f64,
    /// Of everything that took part.
    cpu_s: f64,
}

/// Costs of each way, and what our own process took for its part.
pub(crate) async fn clone(_: &crate::arena::Arena) -> Result<Vec<Entry>, Failure> {
    let size = Size::from_environment()?;
    let servers = Servers::start().await?;
    let source = data::make(&servers.source, size).await?;
    say(&format!("clone: {} rows, {:.2} GB with indexes", size.rows(), source.gigabytes));
    let rivals = rivals::all().await;
    let (mut ours, mut usages) = (Vec::new(), Vec::new());
    let mut theirs: Vec<Vec<Result<Cost, String>>> = vec![Vec::new(); rivals.len()];
    for run in 1..=RUNS {
        let name = format!("clone_{run}");
        let target = servers.fresh_target(&name).await?;
        let (usage, cpu_s) = (Usage::begin()?, processor::seconds([&servers.source, &servers.target])?);
        let took = ours::clone(&source, &target).await?;
        let cost = Cost {
            wall_s: took.as_secs_f64(),
            cpu_s: processor::seconds([&servers.source, &servers.target])? - cpu_s,
        };
        usages.push(usage.end()?);
        tell(run, "Cleave", cost);
        ours.push(cost);
        servers.target.drop_database(&name).await?;
        for (rival, costs) in rivals.iter().zip(&mut theirs) {
            let target = servers.fresh_target(&name).await?;
            let cpu_s = processor::seconds([&servers.source, &servers.target])?;
            let took = rival.clone(&source, &target).await?;
            let cpu_s = processor::seconds([&servers.source, &servers.target])? - cpu_s;
            let cost = took.map(|wall_s| Cost { wall_s, cpu_s });
            if let Ok(cost) = &cost {
                tell(run, rival.name(), *cost);
            }
            costs.push(cost);
            servers.target.drop_database(&name).await?;
        }
    }
    let mut entries = against(&source, &ours, &rivals, theirs);
    let reason = "the rivals' work is done by several processes and the servers";
    let unit = (Metric::Cost("cpu"), "s");
    let values = usages.iter().map(|usage| usage.cpu_s).collect();
    entries.push(Entry::alone("clone", "rival", unit, values, reason));
    let values = usages.iter().map(|usage| usage.memory_mb).collect();
    entries.push(Entry::alone("clone", "rival", (Metric::Cost("memory"), "MB"), values, reason));
    Ok(entries)
}

fn tell(run: usize, who: &str, cost: Cost) {
    say(&format!("clone, run {run}: {who} {:.1} s, {:.1} s of processor time", cost.wall_s, cost.cpu_s));
}

fn against(
    source: &data::Source,
    ours: &[Cost],
    rivals: &[Rival],
    theirs: Vec<Vec<Result<Cost, String>>>,
) -> Vec<Entry> {
    // A unit lives as long as the report, which is the program's last act.
    let unit: &'static str = Box::leak(format!("s for {:.2} GB", source.gigabytes).into_boxed_str());
    let mut entries = Vec::new();
    for (rival, costs) in rivals.iter().zip(theirs) {
        let costs: Result<Vec<Cost>, String> = costs.into_iter().collect();
        let wall: fn(&Cost) -> f64 = |cost| cost.wall_s;
        for (metric, of) in [("wall", wall), ("cpu of all", |cost| cost.cpu_s)] {
            let metric = (Metric::Cost(metric), unit);
            let own = ours.iter().map(of);
            entries.push(match &costs {
                Ok(costs) => {
                    let runs: Vec<_> = own.zip(costs.iter().map(of)).collect();
                    Entry::new("clone", rival.name(), metric, &runs)
                }
                Err(reason) => Entry::alone("clone", rival.name(), metric, own.collect(), reason),
            });
        }
    }
    entries
}
