//! `cleave assess --html`.

use crate::Report;
use serde::Serialize;

/// The page that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AssessmentPage {
    /// The file.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Findings on it.
    pub findings: u64,
    /// Ways to part the tables on it.
    pub alternatives: u64,
    /// What crosses between services.
    pub crossings: u64,
    /// Tables on it.
    pub tables: u64,
}

impl Report for AssessmentPage {
    const KIND: &'static str = "assessment_page";
}
