//! Copying tables in one snapshot, several pieces at a time, byte for byte, and building their indexes.
//!
//! The unit that survives a crash is a table: it is copied once its row stands in `cleave.copied`, which commits with its
//! last rows. Of a giant it is a range of its key (`giant`). What snapshot to use, and when, is the caller's to say. docs/design/copy.md says why each part is exact.

mod board;
mod brake;
mod build;
mod chunk;
mod fill;
mod giant;
mod progress;
mod rate;
mod spec;
mod worker;

pub use brake::{Busy, LoadLimits};
pub(crate) use giant::{IS_SAME, condition};
pub use progress::CopyProgress;
pub use spec::{CopyFormat, CopyIndex, CopyRanges, CopySpec, CopyTable, SnapshotRenewal, SnapshotSource};

use crate::{Side, SnapshotSlot, StreamError, create_slot_with_snapshot, error::On};
use board::{Board, Next, Plan, Reading};
use brake::{Brake, Lookout};
use cleave_journal::{Copied, copied_tables, key_ranges, tables_in_chunks};
use cleave_model::{Lsn, Oid, ServiceName};
use cleave_pg::{During, Session, connect, replication::SlotLifetime};
use progress::Meter;
use rate::Rate;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};
use worker::{Run, Worker};

/// A temporary slot waits for running transactions at most this long.
const SLOT_LIMIT: Duration = Duration::from_secs(600);

/// How copy sessions name themselves.
fn purpose(service: &ServiceName) -> String {
    format!("copy {service}")
}

/// Copies every table of `spec` that is not yet recorded in `cleave.copied`, the biggest first, builds the indexes of all
/// that lack them, and returns the records of all tables. Killed at any instant, it leaves finished tables finished; running
/// it again empties the others and goes on. `progress` is called from several tasks, often.
///
/// # Errors
/// The first error of any worker; the others are stopped and roll back the piece they are at.
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
    let unfinished = tables_in_chunks(&*control, &spec.stream).await?;
    let mut ranges = key_ranges(&*control, &spec.stream).await?;
    ranges.retain(|range| !done.contains_key(&range.division.source_oid));
    let lookout = Box::pin(Lookout::start(&spec)).await?;
    let run = Run {
        meter: meter(&spec, progress, &done, ranges.iter().map(|range| range.bytes).sum()),
        divisions: giant::Divisions::default(),
        rate: spec.bytes_per_second_max.map(Rate::new),
        brake: Brake::new(),
        unfinished: unfinished.iter().map(|table| (table.source_oid, table.target_oid)).collect(),
        spec,
    };
    let run = Arc::new(run);
    let rounds = Box::pin(rounds(&run, done));
    let Some(lookout) = lookout else { return rounds.await };
    Box::pin(lookout.look(&run.brake, &run.meter)).await?;
    tokio::select! {
        copied = rounds => copied,
        failed = Box::pin(lookout.run(&run.brake, &run.meter)) => Err(failed),
    }
}

/// Round after round until every table is there; returns the records of all.
async fn rounds<F>(run: &Arc<Run<F>>, mut done: HashMap<Oid, Copied>) -> Result<Vec<Copied>, StreamError>
where
    F: Fn(CopyProgress) + Send + Sync + 'static,
{
    // What is to be done in this round, by place in the list. Each round reads in a snapshot of its own.
    let mut places: Vec<usize> = (0..run.spec.tables.len()).collect();
    let mut round = 0;
    while !places.is_empty() {
        let (copied, left) = Box::pin(one_round(run, &places, &done, round)).await?;
        done.extend(copied.into_iter().map(|copied| (copied.source_oid, copied)));
        (places, round) = (left, round + 1);
    }
    Ok(run.spec.tables.iter().filter_map(|table| done.get(&table.source_oid).copied()).collect())
}

/// `in_ranges` is what is there of tables that are not.
fn meter<F: Fn(CopyProgress)>(
    spec: &CopySpec,
    progress: F,
    done: &HashMap<Oid, Copied>,
    in_ranges: u64,
) -> Meter<F> {
    let sum = |count: fn(&Copied) -> u64| done.values().map(count).sum();
    let total = CopyProgress {
        tables_total: spec.tables.len(),
        indexes_total: spec.tables.iter().map(|table| table.indexes.len()).sum(),
        // Of tables that are there the size is known.
        bytes_estimate: spec
            .tables
            .iter()
            .map(|table| done.get(&table.source_oid).map_or(table.bytes_estimate, |copied| copied.bytes))
            .sum(),
        ..CopyProgress::default()
    };
    Meter::new(
        progress,
        total,
        (done.len(), sum(|copied| copied.rows), sum(|copied| copied.bytes) + in_ranges),
    )
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

/// A snapshot to read in, and what keeps it alive until the workers have taken it, if that is our own.
struct Taken {
    name: String,
    start: Lsn,
    since: Instant,
    _slot: Option<SnapshotSlot>,
}

/// The first round reads in the caller's snapshot, later ones in those of temporary slots.
async fn snapshot(spec: &CopySpec, round: u32) -> Result<Taken, StreamError> {
    let slot = match (&spec.snapshot, &spec.renewal) {
        (SnapshotSource::Given { name, consistent_point }, _) if round == 0 => {
            let (name, start) = (name.clone(), *consistent_point);
            return Ok(Taken { name, start, since: Instant::now(), _slot: None });
        }
        (SnapshotSource::TemporarySlot { name }, _) if round == 0 => name.clone(),
        (_, Some(renewal)) => format!("{}{round}", renewal.slot),
        (SnapshotSource::Given { name, .. } | SnapshotSource::TemporarySlot { name }, None) => {
            return Err(StreamError::SnapshotGone { snapshot: name.clone() });
        }
    };
    let slot = create_slot_with_snapshot(&spec.source, &slot, SlotLifetime::Temporary, SLOT_LIMIT).await?;
    let (name, start) = (slot.snapshot.clone(), slot.consistent_point());
    Ok(Taken { name, start, since: Instant::now(), _slot: Some(slot) })
}

/// The round's work, shared by its workers. Every change is told, for those who wait.
struct Work {
    board: Mutex<Board>,
    changed: watch::Sender<()>,
    /// Holds the locks on divided tables until all are read.
    keeper: Mutex<Option<Session>>,
    /// When no further table may be begun.
    closes_at: Option<Instant>,
}

impl Work {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Next {
        let mut board = self.board();
        if self.closes_at.is_some_and(|at| Instant::now() >= at) {
            board.close();
        }
        board.next()
    }

    fn done(&self, job: board::Job) {
        let is_read = {
            let mut board = self.board();
            board.done(job);
            board.is_read()
        };
        if is_read {
            self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        self.changed.send_replace(());
    }
}

/// Reads tables in one snapshot and builds what they lack; returns the records of those that were copied, and which were
/// left to a later snapshot.
async fn one_round<F>(
    run: &Arc<Run<F>>,
    places: &[usize],
    done: &HashMap<Oid, Copied>,
    round: u32,
) -> Result<(Vec<Copied>, Vec<usize>), StreamError>
where
    F: Fn(CopyProgress) + Send + Sync + 'static,
{
    let spec = &run.spec;
    let is_missing = |place: usize| !done.contains_key(&spec.tables[place].source_oid);
    let missing: HashSet<usize> = places.iter().copied().filter(|place| is_missing(*place)).collect();
    let taken = if missing.is_empty() { None } else { Some(snapshot(spec, round).await?) };
    let view = taken.as_ref().map(|taken| (taken.name.as_str(), taken.start));
    let first = Worker::start(spec, 0, view).await?;
    // A giant's rows may be of several snapshots.
    let of_one = missing.iter().map(|place| &spec.tables[*place]).filter(|table| table.ranges.is_none());
    first.record_shapes(spec, of_one.map(|table| table.source_oid)).await?;
    let keeper = match view {
        Some((name, _)) if spec.jobs > 1 || spec.tables.iter().any(|table| table.ranges.is_some()) => {
            Some(worker::in_snapshot(spec, name).await?)
        }
        _ => None,
    };
    let work = |place: &usize| {
        let CopyTable { bytes_estimate, indexes, .. } = &spec.tables[*place];
        chunk::work(*bytes_estimate, indexes.len())
    };
    let all: u64 = missing.iter().map(work).fold(0, u64::saturating_add);
    let mut plans = Vec::with_capacity(places.len());
    for place in places {
        let (table, is_missing) = (&spec.tables[*place], missing.contains(place));
        let worth =
            is_missing && (table.ranges.is_some() || chunk::pays(table.bytes_estimate, all, spec.jobs));
        plans.push(plan(run, *place, is_missing, (&first, keeper.as_ref().filter(|_| worth))).await?);
    }
    let pieces: usize = plans.iter().map(Plan::jobs).sum();
    let mut workers = vec![first];
    for number in 1..spec.jobs.min(pieces) {
        workers.push(Worker::start(spec, number, view).await?);
    }
    let work = Arc::new(Work {
        board: Mutex::new(Board::new(plans, spec.jobs)),
        changed: watch::channel(()).0,
        keeper: Mutex::new(keeper),
        closes_at: taken.as_ref().zip(spec.renewal.as_ref()).map(|(taken, by)| taken.since + by.age),
    });
    // Each worker's transaction keeps the snapshot from here on.
    if taken.is_some() {
        drop(taken);
        run.meter.snapshot_taken();
    }
    let copied = run_workers(run, &work, workers, places).await?;
    let left = work.board().left().into_iter().map(|place| places[place]).collect();
    Ok((copied, left))
}

/// What is to be done for a table. One that is divided is emptied here; none is without a session that keeps it.
async fn plan<F: Fn(CopyProgress)>(
    run: &Run<F>,
    place: usize,
    is_missing: bool,
    (worker, keeper): (&Worker, Option<&Session>),
) -> Result<Plan, StreamError> {
    let table = &run.spec.tables[place];
    let mut reading = if is_missing { Reading::Whole } else { Reading::Nothing };
    if let Some((keeper, by)) = keeper.zip(table.ranges.as_ref()) {
        let ranges = giant::ranges(run, (worker, keeper), (table, by)).await?;
        if !ranges.is_empty() {
            reading = Reading::Ranges(ranges);
            return Ok(Plan { bytes: table.bytes_estimate, reading, builds: table.indexes.len() });
        }
    }
    // What is small by the estimate is not worth a lock.
    if let Some(keeper) = keeper.filter(|_| table.bytes_estimate >= run.spec.chunk_bytes) {
        let chunks = fill::chunks(&run.spec, keeper, table).await?;
        if !chunks.is_empty() {
            worker.open(run, table, chunks.len()).await?;
            reading = Reading::Chunks(chunks);
        }
    }
    Ok(Plan { bytes: table.bytes_estimate, reading, builds: table.indexes.len() })
}

async fn run_workers<F>(
    run: &Arc<Run<F>>,
    work: &Arc<Work>,
    workers: Vec<Worker>,
    places: &[usize],
) -> Result<Vec<Copied>, StreamError>
where
    F: Fn(CopyProgress) + Send + Sync + 'static,
{
    let places: Arc<[usize]> = places.into();
    let mut tasks = JoinSet::new();
    for worker in workers {
        tasks.spawn(work_through(Arc::clone(run), Arc::clone(work), worker, Arc::clone(&places)));
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

/// One worker's life: job after job, until nothing is left that could become one.
async fn work_through<F: Fn(CopyProgress)>(
    run: Arc<Run<F>>,
    work: Arc<Work>,
    mut worker: Worker,
    places: Arc<[usize]>,
) -> Result<Vec<Copied>, StreamError> {
    let mut changed = work.changed.subscribe();
    let mut copied = Vec::new();
    loop {
        // Seen before the board is: a change in between is not missed.
        changed.borrow_and_update();
        let next = work.next();
        if work.board().is_handed_out() && !matches!(next, Next::Do(board::Job::Copy { .. })) {
            // The snapshot holds back the source's vacuum.
            worker.source = None;
        }
        match next {
            Next::Do(job) => {
                let record = worker.perform(&run, job.on(&places)).await?;
                work.done(job);
                if let Some(record) = record {
                    run.meter.table_done(record.rows);
                    copied.push(record);
                }
            }
            Next::Wait => {
                tokio::select! {
                    _ = changed.changed() => {}
                    () = run.spec.cancelled.cancelled() => return Err(StreamError::Cancelled),
                }
            }
            Next::Over => return Ok(copied),
        }
    }
}
