//! `cleave assess`.

use crate::{Finding, Report};
use serde::Serialize;

/// What a database says about itself: how large it is, and whether it is ready to be taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// The database's own name.
    pub database: String,
    /// `PostgreSQL 16.4`.
    pub server: String,
    /// How large it is.
    pub size: SizeFacts,
    /// Findings by weight.
    pub blockers: u64,
    /// Those that want a look first.
    pub warnings: u64,
    /// Those that are worth knowing.
    pub notes: u64,
    /// Checks made, those without a finding included.
    pub checks: u64,
    /// The findings, worst first.
    pub findings: Vec<Finding>,
}

impl Report for ReadinessReport {
    const KIND: &'static str = "readiness";
}

/// How large a database is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SizeFacts {
    /// Tables; a partitioned one counts once.
    pub tables: u64,
    /// Partitions, at all levels.
    pub partitions: u64,
    /// Foreign keys.
    pub foreign_keys: u64,
    /// Views and materialized views.
    pub views: u64,
    /// Functions and procedures.
    pub functions: u64,
    /// Triggers; those of partitions are their parent's.
    pub triggers: u64,
    /// Sequences.
    pub sequences: u64,
    /// Rows by the server's estimate.
    pub rows_estimated: u64,
    /// Tables with their indexes.
    pub bytes: u64,
    /// Bytes of log that the server writes in a second just now; `null` on a standby.
    pub log_bytes_per_second: Option<u64>,
}
