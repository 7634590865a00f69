//! From the return of a commit on the source to the row seen on the target, at 500 commits a second.

use super::{RIVAL, ours, theirs};
use crate::RUNS;
use crate::arena::{Arena, Entry, Failure, Metric, say};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio_postgres::Client;

const WRITERS: u64 = 2;
/// Of each writer.
const COMMITS: u64 = 2500;
const PERIOD: Duration = Duration::from_millis(4);
/// Between two looks at the target.
const LOOK: Duration = Duration::from_micros(300);

/// When each row's commit returned, by its id.
type Committed = Arc<Mutex<HashMap<i64, Instant>>>;

/// Medians over the runs of p50 and p99.
pub(crate) async fn entry(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let database = format!("latency_{run}");
        let (source, _target) = arena.databases(&database).await?;
        let follower = ours::prepare(arena, &source, &database).await?;
        theirs::prepare(&source, &database).await?;
        let (stream, target) = follower.start(&source).await?;
        let ours = measure(arena, &database, &format!("{database}_ours")).await?;
        stream.stop().await;
        drop(target);
        let target = theirs::subscribe(arena, &source, &database).await?;
        let theirs = measure(arena, &database, &database).await?;
        theirs::unsubscribe(&target, &database).await?;
        say(&format!(
            "latency, run {run}: Cleave p50 {:.2} ms, p99 {:.2} ms; native p50 {:.2} ms, p99 {:.2} ms",
            ours.0, ours.1, theirs.0, theirs.1
        ));
        p50.push((ours.0, theirs.0));
        p99.push((ours.1, theirs.1));
    }
    Ok(vec![
        Entry::new("latency", RIVAL, (Metric::Cost("p50"), "ms"), &p50),
        Entry::new("latency", RIVAL, (Metric::Cost("p99"), "ms"), &p99),
    ])
}

/// p50 and p99 in milliseconds.
async fn measure(arena: &Arena, source: &str, target: &str) -> Result<(f64, f64), Failure> {
    let (url, since) = (arena.target.url(target), highest(arena, source).await?);
    let committed = Committed::default();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let client = cleave_sandbox::connect(&arena.source.url(source)).await?;
        writers.push(tokio::spawn(write(client, Arc::clone(&committed))));
    }
    // A thread of its own: the runtime's timer has no finer step than a millisecond.
    let watcher = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(watch(&url, since, (WRITERS * COMMITS) as usize))
    });
    for writer in writers {
        writer.await??;
    }
    let seen = tokio::task::spawn_blocking(|| watcher.join()).await?;
    let seen = seen.map_err(|_| "the watcher ended unexpectedly")??;
    let committed = committed.lock().unwrap_or_else(PoisonError::into_inner);
    // A row may be seen before its commit has returned to the writer.
    let late =
        |(id, at): &(i64, Instant)| committed.get(id).map(|since| at.saturating_duration_since(*since));
    let mut delays: Vec<f64> =
        seen.iter().filter_map(late).map(|delay| delay.as_secs_f64() * 1000.0).collect();
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied().unwrap_or_default();
    Ok((at(0.50), at(0.99)))
}

async fn highest(arena: &Arena, source: &str) -> Result<i64, Failure> {
    let client = cleave_sandbox::connect(&arena.source.url(source)).await?;
    Ok(client.query_one("select coalesce(max(id), 0) from ev", &[]).await?.get(0))
}

async fn write(client: Client, committed: Committed) -> Result<(), Failure> {
    let insert = client.prepare("insert into ev (n, label) values (1, 'late') returning id").await?;
    let mut tick = tokio::time::interval(PERIOD);
    for _ in 0..COMMITS {
        tick.tick().await;
        let id: i64 = client.query_one(&insert, &[]).await?.get(0);
        let now = Instant::now();
        committed.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
    }
    Ok(())
}

/// When each new row was first seen.
async fn watch(url: &str, since: i64, count: usize) -> Result<Vec<(i64, Instant)>, Failure> {
    let client = cleave_sandbox::connect(url).await?;
    // Rows do not come in the order of their ids, but not far from it.
    let look = client.prepare("select id from ev where id > $1 order by id").await?;
    let (mut seen, mut times, mut floor) = (std::collections::HashSet::new(), Vec::new(), since);
    let began = Instant::now();
    while times.len() < count {
        if began.elapsed() > super::LIMIT {
            return Err("not every row arrived in time".into());
        }
        let rows = client.query(&look, &[&floor]).await?;
        let now = Instant::now();
        for row in &rows {
            let id: i64 = row.get(0);
            if seen.insert(id) {
                times.push((id, now));
            }
        }
        while seen.remove(&(floor + 1)) {
            floor += 1;
        }
        std::thread::sleep(LOOK);
    }
    Ok(times)
}
