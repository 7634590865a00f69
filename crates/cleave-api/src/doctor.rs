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
    /// All objects that it is about, the first few of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub objects_more: u64,
    /// What was seen.
    pub seen: String,
    /// Why it matters.
    pub why: String,
    /// SQL or a setting that fixes it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix_sql: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
