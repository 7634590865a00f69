//! What a target transaction will have done when it commits: kept in memory until then.

use crate::{FollowOptions, follow::item::Switch};
use cleave_model::{Lsn, QualifiedName};
use cleave_proto::Timestamp;
use std::time::Instant;

/// A run of whole source transactions, and the one being read.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Commit LSN of the transaction being read.
    pub(super) current: Option<Lsn>,
    /// End of the last whole transaction.
    pub(super) end: Option<Lsn>,
    /// When it committed on the source.
    pub(super) commit_time: Timestamp,
    /// The table of its first change.
    pub(super) first_table: Option<QualifiedName>,
    /// Whole transactions.
    pub(super) transactions: usize,
    /// Row changes.
    pub(super) rows: u64,
    /// Bytes of their values.
    pub(super) bytes: usize,
    /// Markers met. The transaction that has one ends the batch.
    pub(super) markers: Vec<String>,
    /// The switch met.
    pub(super) switch: Option<Switch>,
    /// When its first change came.
    pub(super) since: Option<Instant>,
}

impl Batch {
    /// A source transaction starts.
    pub(super) fn begin(&mut self, commit_lsn: Lsn) {
        self.current = Some(commit_lsn);
        self.since.get_or_insert_with(Instant::now);
    }

    /// It is complete.
    pub(super) fn end_transaction(&mut self, end: Lsn, commit_time: Timestamp) {
        self.current = None;
        self.end = Some(end);
        self.commit_time = commit_time;
        self.transactions += 1;
    }

    /// True between source transactions.
    pub(super) fn is_whole(&self) -> bool {
        self.current.is_none()
    }

    /// True if the target transaction must commit now: somebody waits for what it says, or it is big enough.
    pub(super) fn is_due(&self, options: &FollowOptions) -> bool {
        !self.markers.is_empty()
            || self.switch.is_some()
            || self.transactions >= options.batch_transactions_max
            || self.bytes >= options.batch_bytes_max
            || self.since.is_some_and(|since| since.elapsed() >= options.batch_age_max)
    }
}
