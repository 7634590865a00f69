//! `cleave cutover` and `cleave rollback`.

use crate::Report;
use serde::{Deserialize, Serialize};

/// How a switch went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CutoverReport {
    /// The service.
    pub service: String,
    /// Which way.
    pub direction: SwitchDirection,
    /// How it ended.
    pub outcome: CutoverOutcome,
    /// How long writers waited.
    pub pause_ms: u64,
    /// How long they might have waited: `write_pause`.
    pub budget_ms: u64,
    /// The steps and how long each took, in order.
    pub steps: Vec<StepTime>,
    /// The service's epoch now.
    pub epoch: i64,
    /// The database that accepts its writes now.
    pub home: String,
    /// Why it was refused or undid itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The other services of the same switch, which went with it or stayed with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<SwitchedWith>,
}

/// A service that was switched together with another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchedWith {
    /// The service.
    pub service: String,
    /// Its epoch now.
    pub epoch: i64,
    /// The database that accepts its writes now.
    pub home: String,
}

impl Report for CutoverReport {
    const KIND: &'static str = "cutover";
}

/// Which way a switch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SwitchDirection {
    /// To the new home.
    Cutover,
    /// Back to the old one.
    Rollback,
}

/// How a switch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutoverOutcome {
    /// The home has changed.
    Switched,
    /// It undid itself; the home is what it was.
    Aborted,
    /// A gate refused; nothing was touched.
    Refused,
    /// `--dry-run`: every gate was checked, nothing was touched.
    Rehearsed,
}

/// A step and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// Its name: `fence`, `drain`, `switch`.
    pub name: String,
    /// How long it took.
    pub ms: u64,
}
