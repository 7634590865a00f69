//! A backlog of changes: Cleave's follower against a native subscription, each from a slot of its own made before the
//! same changes.

mod latency;
mod loads;
mod ours;
mod theirs;

pub(crate) use latency::entry as latency;

use crate::RUNS;
use crate::arena::{Arena, Entry, Failure, Metric, say};
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
    let (mut rates, mut memory, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let database = format!("{}_{run}", load.name.replace('-', "_"));
        let (source, _target) = arena.databases(&database).await?;
        let follower = ours::prepare(arena, &source, &database).await?;
        theirs::prepare(&source, &database).await?;
        load.write(&source).await?;
        let (ours, theirs, usage);
        if run % 2 == 1 {
            (ours, usage) = follow(follower, &source).await?;
            theirs = theirs::follow(arena, &source, &database).await?;
        } else {
            theirs = theirs::follow(arena, &source, &database).await?;
            (ours, usage) = follow(follower, &source).await?;
        }
        say(&format!("{}, run {run}: Cleave {ours:.2?}, native {theirs:.2?}", load.name));
        rates.push((load.count / ours.as_secs_f64(), load.count / theirs.as_secs_f64()));
        memory.push(usage.memory_mb);
        cpu.push(usage.cpu_s);
        source.batch_execute("truncate ev").await?;
    }
    let server = "it runs inside the server";
    Ok(vec![
        Entry::new(load.name, RIVAL, (Metric::Rate, load.unit), &rates),
        Entry::alone(load.name, RIVAL, (Metric::Cost("memory"), "MB"), memory, server),
        Entry::alone(load.name, RIVAL, (Metric::Cost("cpu"), "s"), cpu, server),
    ])
}

async fn follow(follower: ours::Follower, source: &Client) -> Result<(Duration, Usage), Failure> {
    let usage = Usage::begin()?;
    let (took, target) = follower.catch_up(source).await?;
    let usage = usage.end()?;
    same(source, &target).await?;
    Ok((took, usage))
}

/// The target has what the source has.
async fn same(source: &Client, target: &Client) -> Result<(), Failure> {
    let sum = "select count(*), sum(hashtext(id::text || label || at::text))::text from ev";
    let (ours, theirs) = (source.query_one(sum, &[]).await?, target.query_one(sum, &[]).await?);
    let read = |row: tokio_postgres::Row| -> (i64, Option<String>) { (row.get(0), row.get(1)) };
    if read(ours) == read(theirs) { Ok(()) } else { Err("the target is not what the source is".into()) }
}
