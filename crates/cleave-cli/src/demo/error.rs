//! Why a demonstration could not be brought to its end.

use crate::failure::Failure;
use cleave_api::{ExitCode, NextStep, Problem, Risk};
use cleave_engine::EngineError;
use std::path::PathBuf;

/// What stopped the demonstration. The throw-away servers are gone when this is shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// `C0920`, `C0921`: servers, writer or oracle.
    #[error(transparent)]
    Sandbox(#[from] cleave_sandbox::Error),
    /// The engine's own code.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// `C0921`: a statement of the sample monolith failed.
    #[error("cannot {action}")]
    Statement {
        /// What it was for.
        action: &'static str,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// `C0921`: the embedded sample monolith does not fit this version of the demonstration.
    #[error("the sample monolith's {file} is malformed: {reason}")]
    Malformed {
        /// Which of its files.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// `C0921`: something that was waited for did not come.
    #[error("{what} did not happen within {seconds} s")]
    Late {
        /// What.
        what: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// `C0922`: a switch undid itself every time.
    #[error("the {what} undid itself {attempts} times, the last time because: {reason}")]
    NotSwitched {
        /// `cutover` or `rollback`.
        what: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// Why, the last time.
        reason: String,
    },
    /// `C0923`: the report cannot be written.
    #[error("the report cannot be written to {}", path.display())]
    Report {
        /// Where to.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

impl DemoError {
    fn problem(&self) -> Problem {
        match self {
            Self::Engine(error) => error.problem(),
            Self::Sandbox(error @ cleave_sandbox::Error::NoInstallation { .. }) => {
                let next = NextStep {
                    argv: vec!["cargo".to_owned(), "xtask".to_owned(), "servers".to_owned()],
                    reason: "fetches the PostgreSQL servers; `make demo` does it by itself".to_owned(),
                    risk: Risk::Reversible,
                };
                Problem::from_error("C0920", error).next(next)
            }
            Self::NotSwitched { .. } => Problem::from_error("C0922", self).exit(ExitCode::Aborted),
            Self::Report { .. } => Problem::from_error("C0923", self),
            Self::Sandbox(_) | Self::Statement { .. } | Self::Malformed { .. } | Self::Late { .. } => {
                Problem::from_error("C0921", self)
            }
        }
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        error.problem().into()
    }
}
