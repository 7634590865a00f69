//! `cleave plan` of a split.

use crate::{Crossing, LockUse, PlanStep, Problem, Report};
use serde::Serialize;

/// What a split will do, before anything is made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitReport {
    /// The split.
    pub split: String,
    /// The database.
    pub database: String,
    /// The table: `public.address`.
    pub table: String,
    /// The column that tells its rows apart.
    pub key: String,
    /// Rows, as the statistics have it.
    pub rows: u64,
    /// Size with indexes.
    pub bytes: u64,
    /// The parts.
    pub parts: Vec<SplitPartReport>,
    /// Whose rows are whose; null if they could not be counted.
    pub counts: Option<SplitRows>,
    /// What becomes of rows that several services reach: `copy` or `refuse`.
    pub shared: String,
    /// What becomes of rows that none reaches: `refuse`, `keep` or a service.
    pub orphans: String,
    /// What `complete` leaves under the old name: `nothing`, `the rest` or `a view`.
    pub old_name: String,
    /// Views and functions that read the table.
    pub crossings: Vec<Crossing>,
    /// What will be done, in order.
    pub steps: Vec<PlanStep>,
    /// Locks that will be taken.
    pub locks: Vec<LockUse>,
    /// How long writers may wait for one of them.
    pub write_pause_ms: u64,
    /// What was found, errors first. An error among them: the split cannot be done.
    pub findings: Vec<Problem>,
}

impl Report for SplitReport {
    const KIND: &'static str = "split_plan";
}

impl Report for Vec<SplitReport> {
    const KIND: &'static str = "split_plan";
}

/// A part of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitPartReport {
    /// The service that owns it.
    pub service: String,
    /// Where it will stand: `customers.address`.
    pub place: String,
    /// The role that will own it.
    pub owner: String,
    /// The columns that reach its rows.
    pub reached_by: Vec<String>,
    /// Rows that they reach; null if they could not be counted.
    pub rows: Option<u64>,
}

/// How many rows have one owner, several, none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitRows {
    /// True if a sample was counted.
    pub estimated: bool,
    /// Rows looked at.
    pub rows: u64,
    /// Reached by one service.
    pub one: u64,
    /// Reached by several.
    pub several: u64,
    /// Reached by none.
    pub none: u64,
}
