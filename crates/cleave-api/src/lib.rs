//! The public contract: what Cleave prints as JSON, the events it reports, and its exit codes.
//!
//! Values here are what scripts and dashboards may rely on; every other type of the workspace may change at will. Only
//! this crate derives `Serialize` for the outside. Readers must ignore fields they do not know; a change that breaks
//! them raises the major number in [`CONTRACT_VERSION`].
//!
//! Conventions: times are RFC 3339 texts in UTC, durations end in `_ms`, sizes in `_bytes`; enums are lower-case words.
//! No value here holds a row's values (but keys in a [`Difference`]) or a password.
//!
//! Pure: no I/O, no clock.

mod assess_services;
mod assessment;
mod boundary;
mod change;
mod cleanup;
mod config;
mod cutover;
mod demo;
mod doctor;
mod envelope;
mod event;
mod exit;
mod graph;
mod history;
mod plan;
mod problem;
mod proof;
mod readiness;
mod split;
mod status;
mod verify;

pub use assess_services::{
    AsideTable, BoundaryPrice, CutKey, CutObject, CutUse, EvidenceSummary, HubTable, PolymorphicReference,
    ProposedOwner, ProposedService, ProposedSplit, ProposedTable, ServicePull, ServicesAlternative,
    ServicesReport, TableNeighbour, TableReport, TableTie, UnsureTable,
};
pub use assessment::AssessmentPage;
pub use boundary::{BoundaryCrossing, BoundaryOutcome, BoundaryParty, BoundaryReport};
pub use change::ChangeReport;
pub use cleanup::{CleanupFate, CleanupItem, CleanupReport};
pub use config::{ConfigReport, ConfiguredService, Explanation};
pub use cutover::{CutoverOutcome, CutoverReport, StepTime, SwitchDirection, SwitchedWith};
pub use demo::{DemoReport, PauseSummary};
pub use doctor::{DoctorReport, Finding};
pub use envelope::{CONTRACT_VERSION, Output, Report};
pub use event::{Event, EventLine};
pub use exit::ExitCode;
pub use graph::{GraphGroup, GraphReport, GraphTie};
pub use history::{History, HistoryEntry, HistoryEvent};
pub use plan::{
    ChangeSide, Crossing, CrossingKind, FunctionChange, LockUse, MissingRole, PlanReport, PlanStep,
    PlanWorkload, PlannedTable, SpanningTransaction, StatementAtRisk,
};
pub use problem::{NextStep, Problem, Risk, Severity, SourceSpan};
pub use proof::{
    Proof, ProofCheck, ProofCopy, ProofDatabase, ProofHome, ProofJournal, ProofSwitch, ProofVerification,
};
pub use readiness::{ReadinessReport, SizeFacts};
pub use split::{SplitPartReport, SplitReport, SplitRows};
pub use status::{
    BridgeStatus, BridgeUserStatus, CopyProgress, MoveKind, ReplicationStatus, ServiceState, ServiceStatus,
    StatusReport, StreamDirection, StreamStatus, VerificationState, VerificationStatus, WalStatus,
};
pub use verify::{Difference, DifferenceKind, RepairSummary, TableVerdict, ValuePair, VerifyReport};
