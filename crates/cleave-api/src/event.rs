//! What happens while a command runs: one enum feeds the terminal, JSON lines and whatever records it.

use crate::{CONTRACT_VERSION, CopyProgress, NextStep, Problem};
use serde::Serialize;

/// An event as a line of `--format jsonl`. The last line of a run is an [`crate::Output`] instead.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventLine<'e> {
    cleave: &'static str,
    kind: &'static str,
    data: &'e Event,
}

impl<'e> From<&'e Event> for EventLine<'e> {
    fn from(data: &'e Event) -> Self {
        Self { cleave: CONTRACT_VERSION, kind: "event", data }
    }
}

impl EventLine<'_> {
    /// The line, without its end.
    ///
    /// # Errors
    /// As [`crate::Output::json`].
    pub fn json_line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Something worth telling at once. As JSON: `{"event":"step_finished","service":"films",...}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step of the journal began.
    StepStarted {
        /// The service.
        service: String,
        /// The step's name in the journal.
        step: String,
        /// What it does, in a line.
        summary: String,
    },
    /// A step is done.
    StepFinished {
        /// The service.
        service: String,
        /// The step's name in the journal.
        step: String,
        /// What it did, in a line.
        summary: String,
        /// How long it took.
        elapsed_ms: u64,
    },
    /// A copy went on.
    CopyProgress {
        /// The service.
        service: String,
        /// The table being read now, where it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        table: Option<String>,
        /// How far it is.
        progress: CopyProgress,
    },
    /// Finite work other than a copy went on: rows compared, indexes built.
    Progress {
        /// The service.
        service: String,
        /// What is being done: `verify`.
        what: String,
        /// Done so far.
        done: u64,
        /// In all, where that is known.
        total: Option<u64>,
        /// What is counted: `rows`.
        unit: String,
    },
    /// A line for people.
    Note {
        /// The service, if it is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// The line.
        message: String,
    },
    /// Something is wrong.
    Problem {
        /// The service, if it is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// What.
        problem: Problem,
    },
    /// What to run next.
    Next {
        /// The command and why.
        next: NextStep,
    },
}
