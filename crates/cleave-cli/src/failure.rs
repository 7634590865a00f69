//! Why a verb failed: one or more problems.

use crate::load;
use cleave_api::{ExitCode, Problem, Severity};
use cleave_engine::EngineError;

/// The problems that ended a verb. Never empty.
#[derive(Clone, Debug)]
pub struct Failure {
    problems: Vec<Problem>,
}

impl Failure {
    /// The problems, in the order they are shown.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The exit code of the first error.
    pub fn exit(&self) -> ExitCode {
        let first = self.problems.iter().find(|problem| problem.severity == Severity::Error);
        first.map_or(ExitCode::Failed, |problem| problem.exit)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl Failure {
    /// Several problems at once.
    pub fn all(problems: Vec<Problem>) -> Self {
        debug_assert!(!problems.is_empty(), "a failure has a reason");
        Self { problems }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Config { errors, .. } => load::failure(&errors),
            other => other.problem().into(),
        }
    }
}
