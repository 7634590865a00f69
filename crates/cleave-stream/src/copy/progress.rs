//! How far a copy is.

use super::Busy;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A report of a running copy. Counts include what earlier runs have copied.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CopyProgress {
    /// Tables in all.
    pub tables_total: usize,
    /// Tables whose copy is committed.
    pub tables_done: usize,
    /// Bytes passed on, of unfinished tables too.
    pub bytes: u64,
    /// Bytes expected in all.
    pub bytes_estimate: u64,
    /// Rows of tables whose copy is committed.
    pub rows: u64,
    /// Bytes per second of this run.
    pub bytes_per_second: f64,
    /// Indexes to be built, of tables that are there too.
    pub indexes_total: usize,
    /// Indexes that are built.
    pub indexes_done: usize,
    /// Every worker has taken the snapshot: its exporter may go.
    pub snapshot_taken: bool,
    /// Why all workers wait, if they do.
    pub waits: Option<Busy>,
}

/// Between two reports that nothing but bytes has caused.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// Counts of all workers.
pub(super) struct Meter<F> {
    report: F,
    tables_total: usize,
    bytes_estimate: u64,
    bytes_before: u64,
    tables_done: AtomicUsize,
    bytes: AtomicU64,
    rows: AtomicU64,
    indexes_total: usize,
    indexes_done: AtomicUsize,
    snapshot_taken: AtomicBool,
    waits: Mutex<Option<Busy>>,
    started: Instant,
    reported: Mutex<Instant>,
}

impl<F: Fn(CopyProgress)> Meter<F> {
    /// `total` says what there is in all; `done` are tables, rows and bytes that were copied earlier.
    pub(super) fn new(report: F, total: CopyProgress, done: (usize, u64, u64)) -> Self {
        let CopyProgress { tables_total, bytes_estimate, indexes_total, .. } = total;
        let (tables, rows, bytes) = done;
        let now = Instant::now();
        Self {
            report,
            tables_total,
            bytes_estimate,
            bytes_before: bytes,
            tables_done: AtomicUsize::new(tables),
            bytes: AtomicU64::new(bytes),
            rows: AtomicU64::new(rows),
            indexes_total,
            indexes_done: AtomicUsize::new(0),
            snapshot_taken: AtomicBool::new(false),
            waits: Mutex::new(None),
            started: now,
            reported: Mutex::new(now),
        }
    }

    /// Bytes of a table that is in work.
    pub(super) fn passed(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let due = {
            let mut last = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            let due = last.elapsed() >= REPORT_INTERVAL;
            if due {
                *last = Instant::now();
            }
            due
        };
        if due {
            self.report();
        }
    }

    /// A table's copy is committed.
    pub(super) fn table_done(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.tables_done.fetch_add(1, Ordering::Relaxed);
        self.report();
    }

    /// An index is there.
    pub(super) fn index_done(&self) {
        self.indexes_done.fetch_add(1, Ordering::Relaxed);
        self.report();
    }

    /// All workers wait, or go on.
    pub(super) fn waits(&self, busy: Option<Busy>) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = busy;
        self.report();
    }

    /// Every worker has the snapshot.
    pub(super) fn snapshot_taken(&self) {
        self.snapshot_taken.store(true, Ordering::Relaxed);
        self.report();
    }

    fn report(&self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        (self.report)(CopyProgress {
            tables_total: self.tables_total,
            tables_done: self.tables_done.load(Ordering::Relaxed),
            bytes,
            bytes_estimate: self.bytes_estimate,
            rows: self.rows.load(Ordering::Relaxed),
            indexes_total: self.indexes_total,
            indexes_done: self.indexes_done.load(Ordering::Relaxed),
            bytes_per_second: bytes.saturating_sub(self.bytes_before) as f64 / seconds,
            snapshot_taken: self.snapshot_taken.load(Ordering::Relaxed),
            waits: *self.waits.lock().unwrap_or_else(PoisonError::into_inner),
        });
    }
}
