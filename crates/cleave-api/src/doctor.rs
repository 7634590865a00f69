//! `cleave doctor`.

use crate::{Report, Severity};
use serde::Serialize;

/// What stands in the way of a move, or is worth knowing before one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// The findings, worst first.
    pub findings: Vec<Finding>,
    /// Checks made, those without a finding included.
    pub checks: u64,
}

impl Report for DoctorReport {
    const KIND: &'static str = "doctor";
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code; `cleave explain CODE` has its page.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// The database.
    pub database: String,
    /// The table, role or setting, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What was seen.
    pub seen: String,
    /// Why it matters.
    pub why: String,
    /// SQL or a setting that fixes it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix_sql: Option<String>,
}
