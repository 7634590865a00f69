//! Holds the lease, runs streams and executes a plan's steps on real servers.
//!
//! Entry points: [`plan()`], [`apply`], [`execute`] (every other verb), [`run`], [`status()`], [`history`]. State is in
//! the databases: a process that is killed leaves nothing that the next one does not find.

mod assess;
mod bridge_use;
mod cleanup;
mod comparison;
mod context;
mod detached;
mod doctor;
mod engine;
mod error;
mod events;
mod fences;
mod followed;
mod help;
mod hooks;
mod init;
mod lease;
mod operations;
mod planning;
mod pooler;
mod proof;
mod pulse;
mod recommendation;
mod recopy;
mod references;
mod runner;
mod schema_move;
mod secret;
mod service;
mod split;
mod status;
mod steps;
mod streams;
mod supervision;
mod survey;
mod switch;
mod topology;
mod upgrade;
mod verbs;
mod verdict;
mod wishes;
mod workload;

pub use assess::{assess, boundary, boundary_of};
pub use cleanup::cleanup;
pub use cleave_stream::LoadLimits;
pub use cleave_verify::{Mapping, TableMapping};
pub use comparison::{Comparison, KeepText, KeptComparison, compare};
pub use doctor::{MoveSide, doctor, doctor_at, isolation, privilege_script, privilege_scripts};
pub use engine::{Answer, Engine, Verb, apply, execute, run, run_telling, upgrade};
pub use error::EngineError;
pub use events::{Events, StepClock};
pub use init::{draft, init};
pub use operations::HANDED_OVER_MAX;
pub use planning::plan;
pub use proof::{check_proof, proof};
pub use pulse::{Beat, Phase, Pulse, StreamBeat};
pub use recommendation::{Look, Looked, look, services_report, services_toml, table_report};
pub use service::serve;
pub use split::{plan_split, plan_split_for};
pub use status::{history, status, timestamp};
pub use survey::{survey, survey_without_services};
pub use topology::{Site, Topology};
pub use verbs::Until;
pub use verdict::{FoundDifference, VerifyOptions};
pub use wishes::Wishes;
pub use workload::{WorkloadOptions, WorkloadReading, plan_workload, read_workload};

use cleave_api::{CutoverOutcome, ExitCode, VerificationState};

/// Exit code of a switch: an aborted one is told from a refused one.
pub fn exit_of_switch(outcome: CutoverOutcome) -> ExitCode {
    match outcome {
        CutoverOutcome::Switched | CutoverOutcome::Rehearsed => ExitCode::Done,
        CutoverOutcome::Aborted => ExitCode::Aborted,
        CutoverOutcome::Refused => ExitCode::Refused,
    }
}

/// Exit code of a comparison.
pub fn exit_of_verification(state: VerificationState) -> ExitCode {
    match state {
        VerificationState::Clean => ExitCode::Done,
        _ => ExitCode::Different,
    }
}
