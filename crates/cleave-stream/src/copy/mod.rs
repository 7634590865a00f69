//! Copying tables in one snapshot, several at a time, byte for byte.
//!
//! The unit that survives a crash is a table: its rows and its row in `cleave.copied` commit together, so an
//! unfinished table is empty. What snapshot to use, and when, is the caller's to say.

mod progress;
mod spec;
mod worker;

pub use progress::CopyProgress;
pub use spec::{CopyFormat, CopySpec, CopyTable, SnapshotSource};

use crate::{Side, SnapshotSlot, StreamError, create_slot_with_snapshot, error::On};
use cleave_journal::{Copied, copied_tables};
use cleave_model::{Lsn, ServiceName};
use cleave_pg::{During, Session, connect, replication::SlotLifetime};
use progress::Meter;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinSet;
use worker::Worker;

/// A temporary slot waits for running transactions at most this long.
const SLOT_LIMIT: Duration = Duration::from_secs(600);

/// How copy sessions name themselves.
fn purpose(service: &ServiceName) -> String {
    format!("copy {service}")
}

/// Copies every table of `spec` that is not yet recorded in `cleave.copied`, the biggest first, and returns the
/// records of all of them. Killed at any instant, it leaves finished tables finished and the others empty; running it
/// again goes on. `progress` is called from several tasks, often.
///
/// # Errors
/// The first error of any worker; the others are stopped and roll back the table they are at.
/// [`StreamError::Cancelled`] if asked to stop.
pub async fn copy_tables<F>(spec: CopySpec, progress: F) -> Result<Vec<Copied>, StreamError>
where
    F: Fn(CopyProgress) + Send + Sync + 'static,
{
    let control = connect(&spec.target, "copy control").await.on(Side::Target)?;
    spec.lease.check(&*control).await?;
    end_leftover_sessions(&control, &spec.service).await?;
    let mut done: HashMap<_, _> = copied_tables(&*control, &spec.stream)
        .await?
        .into_iter()
        .map(|copied| (copied.source_oid, copied))
        .collect();
    done.retain(|oid, _| spec.tables.iter().any(|table| table.source_oid == *oid));
    let mut missing: Vec<CopyTable> =
        spec.tables.iter().filter(|table| !done.contains_key(&table.source_oid)).cloned().collect();
    // The workers take from the end.
    missing.sort_by_key(|table| table.bytes_estimate);
    if !missing.is_empty() {
        let meter = meter(&spec, progress, &done);
        for copied in run_workers(Arc::new(spec.clone()), missing, Arc::new(meter)).await? {
            done.insert(copied.source_oid, copied);
        }
    }
    Ok(spec.tables.iter().filter_map(|table| done.get(&table.source_oid).copied()).collect())
}

fn meter<F: Fn(CopyProgress)>(
    spec: &CopySpec,
    progress: F,
    done: &HashMap<cleave_model::Oid, Copied>,
) -> Meter<F> {
    let sum = |count: fn(&Copied) -> u64| done.values().map(count).sum();
    // Of tables that are there the size is known.
    let bytes_estimate = spec
        .tables
        .iter()
        .map(|table| done.get(&table.source_oid).map_or(table.bytes_estimate, |copied| copied.bytes))
        .sum();
    let earlier = (done.len(), sum(|copied| copied.rows), sum(|copied| copied.bytes));
    Meter::new(progress, spec.tables.len(), bytes_estimate, earlier)
}

/// Ends copy sessions of an engine that is no more: whoever holds the lease is the only one that may copy, but a
/// stopped process or a dead network can leave a transaction open on the target for long.
async fn end_leftover_sessions(control: &Session, service: &ServiceName) -> Result<(), StreamError> {
    let name = format!("cleave {}", purpose(service));
    control
        .execute(
            "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
             where application_name = $1 and datname = pg_catalog.current_database() and usename = current_user",
            &[&name],
        )
        .await
        .during("ending copy sessions of an earlier run")
        .on(Side::Target)?;
    Ok(())
}

/// The snapshot's name, the start position, and what keeps it alive if it is our own.
async fn snapshot(spec: &CopySpec) -> Result<(String, Lsn, Option<SnapshotSlot>), StreamError> {
    match &spec.snapshot {
        SnapshotSource::Given { name, consistent_point } => Ok((name.clone(), *consistent_point, None)),
        SnapshotSource::TemporarySlot { name } => {
            let slot =
                create_slot_with_snapshot(&spec.source, name, SlotLifetime::Temporary, SLOT_LIMIT).await?;
            Ok((slot.snapshot.clone(), slot.consistent_point(), Some(slot)))
        }
    }
}

async fn run_workers<F>(
    spec: Arc<CopySpec>,
    missing: Vec<CopyTable>,
    meter: Arc<Meter<F>>,
) -> Result<Vec<Copied>, StreamError>
where
    F: Fn(CopyProgress) + Send + Sync + 'static,
{
    let (name, start, slot) = snapshot(&spec).await?;
    let jobs = spec.jobs.clamp(1, missing.len());
    let mut workers = Vec::with_capacity(jobs);
    for number in 0..jobs {
        workers.push(Worker::start(&spec, number, &name, start).await?);
    }
    // Each worker's transaction keeps the snapshot from here on.
    drop(slot);
    meter.snapshot_taken();
    let queue = Arc::new(Mutex::new(missing));
    let mut tasks = JoinSet::new();
    for worker in workers {
        let (spec, queue, meter) = (Arc::clone(&spec), Arc::clone(&queue), Arc::clone(&meter));
        tasks.spawn(async move {
            let mut copied = Vec::new();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(table) = next else { return Ok(copied) };
                let done = worker.copy(&spec, &table, &meter).await?;
                meter.table_done(done.rows);
                copied.push(done);
            }
        });
    }
    let mut copied = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended.unwrap_or_else(|error| Err(StreamError::Task(error.to_string()))) {
            Ok(done) => copied.extend::<Vec<Copied>>(done),
            Err(error) => {
                // The other workers' sessions are dropped with them and roll back.
                tasks.shutdown().await;
                return Err(error);
            }
        }
    }
    Ok(copied)
}
