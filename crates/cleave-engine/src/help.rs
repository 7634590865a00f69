//! What helps when a server says no, or says nothing.

use cleave_api::{NextStep, Problem, Risk};
use cleave_journal::JournalError;
use cleave_pg::PgError;
use cleave_stream::StreamError;
use cleave_verify::VerifyError;

const AGAIN: &str = "when the server answers again, run the same command: it goes on from here";
const URL: &str = "check this database's URL in cleave.toml; `cleave doctor` tries both sides";
const RIGHTS: &str =
    "`cleave doctor` names the rights that are missing and prints the script that grants them";
const CONNECTIONS: &str = "raise max_connections on this server, or end sessions that nobody needs";

/// Adds hint and next command to the problem of a server's error.
pub(crate) fn against(error: &PgError, problem: Problem) -> Problem {
    match error {
        PgError::Unreachable { .. } | PgError::Timeout { .. } => problem.hint(AGAIN).next(doctor()),
        PgError::ConnectionLost { .. } | PgError::NotReady { .. } => problem.hint(AGAIN),
        PgError::WrongPassword { .. }
        | PgError::NotAdmitted { .. }
        | PgError::NoSuchDatabase { .. }
        | PgError::Tls { .. }
        | PgError::InvalidEndpoint { .. } => problem.hint(URL).next(doctor()),
        PgError::MissingPrivilege { .. } => problem.hint(RIGHTS).next(doctor()),
        PgError::TooManyConnections { .. } => problem.hint(CONNECTIONS),
        PgError::SlotNotReady { .. } => problem
            .hint("end old transactions (`cleave doctor` names them), then run the command again")
            .next(doctor()),
        PgError::Protocol { .. } | PgError::Query { .. } => problem,
    }
}

/// The same for an error of the journal, in words instead of the driver's.
pub(crate) fn against_journal(error: &JournalError, problem: Problem) -> Problem {
    let JournalError::Query { what, source } = error else { return problem };
    let error = PgError::from_driver(what, source);
    let cause = match &error {
        PgError::ConnectionLost { reason, .. } => format!("the connection was lost: {reason}"),
        other => other.server_error().map_or_else(|| other.to_string(), ToString::to_string),
    };
    against(&error, Problem { causes: vec![cause], ..problem })
}

/// The same for an error of a stream or a copy.
pub(crate) fn against_stream(error: &StreamError, problem: Problem) -> Problem {
    match error {
        StreamError::Server { source, .. } => against(source, problem),
        StreamError::CopyFailed { source, .. } | StreamError::ChangeRefused { source, .. } => {
            against(source, problem)
        }
        StreamError::Journal(error) => against_journal(error, problem),
        StreamError::SnapshotGone { .. } => problem
            .hint("run the same command again: tables that are not finished are read in a new snapshot"),
        _ => problem,
    }
}

/// The same for an error of a comparison.
pub(crate) fn against_verify(error: &VerifyError, problem: Problem) -> Problem {
    match error {
        VerifyError::NoPrivilege { source, .. } | VerifyError::Connection { source, .. } => {
            against(source, problem)
        }
        _ => problem,
    }
}

fn doctor() -> NextStep {
    NextStep::cleave(["doctor"], "it looks at both servers", Risk::Read)
}
