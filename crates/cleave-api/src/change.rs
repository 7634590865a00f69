//! `cleave apply`, `complete`, `cancel`, `pause`, `resume`: what a verb left behind.

use crate::{Report, ServiceState};
use serde::Serialize;

/// What a verb that changes something did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeReport {
    /// The service.
    pub service: String,
    /// The verb: `apply`.
    pub verb: String,
    /// True for `--dry-run`: the lines say what would be done.
    pub dry_run: bool,
    /// Where the service stands now.
    pub state: ServiceState,
    /// The database that accepts its writes now.
    pub home: String,
    /// The service's epoch now.
    pub epoch: i64,
    /// What was done, line by line: `dropped slot cleave_films_back_1`.
    pub done: Vec<String>,
}

impl Report for ChangeReport {
    const KIND: &'static str = "change";
}
