//! A backlog of changes: Cleave's follower against a native subscription, each from a slot of its own made before the
//! same changes.

mod latency;
mod loads;
mod ours;
mod theirs;

pub(crate) use latency::entry as latency;

use crate::RUNS;
use crate::arena::{Arena, Entry, Failure, Metric, say};
use crate::processor;
use crate::usage::Usage;
use loads::Load;
use std::time::Duration;
use tokio_postgres::Client;

const RIVAL: &str = "native logical replication 16 to 18";
/// For anything that one side does.
const LIMIT: Duration = Duration::from_secs(300);

/// 1.7 million row changes in 3,400 transactions.
pub(crate) async fn mixed(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    race(arena, &Load::mixed()?).await
}

/// 200,000 transactions of one row.
pub(crate) async fn one_row(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    race(arena, &Load::one_row()?).await
}

/// One transaction of 3 million rows.
pub(crate) async fn huge(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    race(arena, &Load::huge()?).await
}

/// Both sides in turn, the first to start another in each run.
async fn race(arena: &Arena, load: &Load) -> Result<Vec<Entry>, Failure> {
    let (mut rates, mut processors) = (Vec::new(), Vec::new());
    let (mut memory, mut cpu) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let database = format!("{}_{run}", load.name.replace('-', "_"));
        let (source, _target) = arena.databases(&database).await?;
        let follower = ours::prepare(arena, &source, &database).await?;
        theirs::prepare(&source, &database).await?;
        load.write(&source).await?;
        let ((ours, cost, usage), (theirs, their_cost));
        if run % 2 == 1 {
            (ours, cost, usage) = follow(arena, follower, &source).await?;
            (theirs, their_cost) = theirs::follow(arena, &source, &database).await?;
        } else {
            (theirs, their_cost) = theirs::follow(arena, &source, &database).await?;
            (ours, cost, usage) = follow(arena, follower, &source).await?;
        }
        say(&format!("{}, run {run}: Cleave {ours:.2?} {cost}, native {theirs:.2?} {their_cost}", load.name));
        rates.push((load.count / ours.as_secs_f64(), load.count / theirs.as_secs_f64()));
        // Theirs does everything in the servers; the rest is our looking whether it is done.
        processors.push((cost.all(), their_cost.source + their_cost.target));
        memory.push(usage.memory_mb);
        cpu.push(usage.cpu_s);
        source.batch_execute("truncate ev").await?;
    }
    let server = "it runs inside the server";
    Ok(vec![
        Entry::new(load.name, RIVAL, (Metric::Rate, load.unit), &rates),
        Entry::new(load.name, RIVAL, (Metric::Cost("processor"), "s"), &processors),
        Entry::alone(load.name, RIVAL, (Metric::Cost("memory"), "MB"), memory, server),
        Entry::alone(load.name, RIVAL, (Metric::Cost("cpu"), "s"), cpu, server),
    ])
}

/// Processor time, in seconds.
#[derive(Clone, Copy)]
struct Cost {
    source: f64,
    target: f64,
    tool: f64,
}

impl Cost {
    fn all(self) -> f64 {
        self.source + self.target + self.tool
    }

    fn since(self, before: Self) -> Self {
        Self {
            source: self.source - before.source,
            target: self.target - before.target,
            tool: self.tool - before.tool,
        }
    }

    fn now(arena: &Arena) -> Result<Self, Failure> {
        let (source, target) = (processor::of_server(&arena.source)?, processor::of_server(&arena.target)?);
        let all = processor::seconds([&arena.source, &arena.target])?;
        Ok(Self { source, target, tool: all - source - target })
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, target, tool } = self;
        write!(f, "(processor: source {source:.1} s, target {target:.1} s, tool {tool:.1} s)")
    }
}

async fn follow(
    arena: &Arena,
    follower: ours::Follower,
    source: &Client,
) -> Result<(Duration, Cost, Usage), Failure> {
    let (usage, before) = (Usage::begin()?, Cost::now(arena)?);
    let (took, target) = follower.catch_up(source).await?;
    let (cost, usage) = (Cost::now(arena)?.since(before), usage.end()?);
    same(source, &target).await?;
    Ok((took, cost, usage))
}

/// The target has what the source has.
async fn same(source: &Client, target: &Client) -> Result<(), Failure> {
    let sum = "select count(*), sum(hashtext(id::text || label || at::text))::text from ev";
    let (ours, theirs) = (source.query_one(sum, &[]).await?, target.query_one(sum, &[]).await?);
    let read = |row: tokio_postgres::Row| -> (i64, Option<String>) { (row.get(0), row.get(1)) };
    if read(ours) == read(theirs) { Ok(()) } else { Err("the target is not what the source is".into()) }
}
