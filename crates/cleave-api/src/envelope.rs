//! What stands around every JSON document.

use crate::{NextStep, Problem};
use serde::Serialize;

/// Version of the contract: the minor number grows with new fields, the major with changes that break readers.
pub const CONTRACT_VERSION: &str = "1.0";

/// A value that can be the data of an [`Output`].
pub trait Report: Serialize {
    /// What the document is: `status`, `plan`, and so on.
    const KIND: &'static str;
}

/// One JSON document, as `--format json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Output<T> {
    /// [`CONTRACT_VERSION`].
    pub cleave: &'static str,
    /// What `data` is: [`Report::KIND`], or `error` where there is none.
    pub kind: &'static str,
    /// The report; null if the command failed before it had one.
    pub data: Option<T>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What to run next.
    pub next_steps: Vec<NextStep>,
}

impl<T: Report> Output<T> {
    /// A report.
    pub fn new(data: T) -> Self {
        Self {
            cleave: CONTRACT_VERSION,
            kind: T::KIND,
            data: Some(data),
            problems: Vec::new(),
            next_steps: Vec::new(),
        }
    }

    /// Adds problems.
    pub fn with_problems(mut self, problems: impl IntoIterator<Item = Problem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// Adds next steps.
    pub fn with_next(mut self, next: impl IntoIterator<Item = NextStep>) -> Self {
        self.next_steps.extend(next);
        self
    }
}

impl<T: Serialize> Output<T> {
    /// The document, indented.
    ///
    /// # Errors
    /// None that a report of this crate can cause: their keys are strings and their numbers finite.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// The document on one line.
    ///
    /// # Errors
    /// As [`Output::json`].
    pub fn json_line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl Report for () {
    const KIND: &'static str = "error";
}

impl Output<()> {
    /// A command that failed before it had a report. The problems' own next steps become the document's.
    pub fn failed(problems: Vec<Problem>) -> Self {
        let next_steps = problems.iter().filter_map(|problem| problem.next.clone()).collect();
        Self { cleave: CONTRACT_VERSION, kind: <()>::KIND, data: None, problems, next_steps }
    }
}
