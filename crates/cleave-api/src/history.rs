//! `cleave history`.

use crate::Report;
use serde::Serialize;

/// What was done, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct History {
    /// The journal's entries.
    pub entries: Vec<HistoryEntry>,
}

impl Report for History {
    const KIND: &'static str = "history";
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistoryEntry {
    /// Number of the entry in its database's journal.
    pub id: i64,
    /// When.
    pub at: String,
    /// The database whose journal it is.
    pub database: String,
    /// The service.
    pub service: String,
    /// Number of the service's move.
    pub move_id: i64,
    /// The step.
    pub step: String,
    /// What happened to it.
    pub event: HistoryEvent,
    /// The details that the step wrote down; no row values.
    pub detail: serde_json::Value,
}

/// What happened to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryEvent {
    /// It began.
    Begin,
    /// It is done.
    Done,
    /// It was undone.
    Undone,
    /// It failed.
    Failed,
    /// Something worth writing down.
    Note,
}

impl HistoryEvent {
    /// The word in JSON and text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Failed => "failed",
            Self::Note => "note",
        }
    }
}
