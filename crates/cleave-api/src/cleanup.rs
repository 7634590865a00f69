//! `cleave cleanup`.

use crate::Report;
use serde::Serialize;

/// What moves have left in the databases, and what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CleanupReport {
    /// What was found, by database.
    pub items: Vec<CleanupItem>,
    /// Databases that could not be looked at, and why.
    pub unseen: Vec<String>,
    /// True if what Cleave can drop was dropped.
    pub executed: bool,
}

impl Report for CleanupReport {
    const KIND: &'static str = "cleanup";
}

/// One thing that Cleave has made, or that was made for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CleanupItem {
    /// The database, as cleave.toml names it.
    pub database: String,
    /// What it is: `slot cleave_films_back_1`.
    pub object: String,
    /// What becomes of it.
    pub fate: CleanupFate,
    /// Why.
    pub why: String,
    /// What drops it or changes it back; none for what is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CleanupFate {
    /// Cleave drops it, if told to.
    Droppable,
    /// It was dropped.
    Dropped,
    /// Dropping it failed; `why` says how.
    Failed,
    /// A person has to decide.
    ForAPerson,
    /// A move still needs it.
    InUse,
}
