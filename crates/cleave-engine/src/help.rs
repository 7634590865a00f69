//! What helps when a server says no, or says nothing.

use crate::EngineError;
use cleave_api::{ExitCode, NextStep, Problem, Risk};
use cleave_journal::JournalError;
use cleave_model::{Direction, ServiceName};
use cleave_pg::PgError;
use cleave_stream::StreamError;
use cleave_verify::VerifyError;

const AGAIN: &str = "when the server answers again, run the same command: it goes on from here";
const URL: &str = "check this database's URL in cleave.toml; `cleave doctor` tries both sides";
const RIGHTS: &str =
    "`cleave doctor` names the rights that are missing and prints the script that grants them";
const PATTERN: &str = "write schema.table as the catalog has it, with * for any run of characters";
const REFUSED: &str = "the follower is as it was; remove what stands against the row there, or copy anew with `cleave cancel` and `cleave apply`";
const CHOOSE: &str = "--tables chooses what is compared";
const DIRECT: &str =
    "name the server's own host and port in cleave.toml; applications may go on through the pooler";
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
        PgError::Pooled { .. } => problem.hint(DIRECT).next(doctor()),
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
        StreamError::LoadUnknown { right, .. } => problem
            .hint(format!("grant {right} to the role, or leave out the copy_max_ limits of this server")),
        StreamError::FailoverRefused { .. } => {
            problem.hint("`cleave cancel`, then `cleave apply` copies anew")
        }
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
        VerifyError::NoSuchTable { .. } => problem.exit(ExitCode::Usage).hint(PATTERN),
        VerifyError::OneSided { .. } => problem.exit(ExitCode::Usage).hint(CHOOSE),
        VerifyError::RepairRefused { .. } => problem.hint(REFUSED),
        VerifyError::ColumnsDiffer { .. } | VerifyError::NothingToCompare => problem.exit(ExitCode::Usage),
        VerifyError::Cancelled => problem.exit(ExitCode::Interrupted),
        _ => problem,
    }
}

/// The loss of the lease behind a stream's end: the engine's end too.
pub(crate) fn lease_lost(error: &StreamError) -> Option<EngineError> {
    match error {
        StreamError::Journal(JournalError::LeaseLost { epoch }) => {
            Some(JournalError::LeaseLost { epoch: *epoch }.into())
        }
        _ => None,
    }
}

/// What helps when a stream has stopped for good.
pub(crate) fn for_stopped(error: &StreamError, direction: Direction, service: &ServiceName) -> String {
    let anew = format!("`cleave cancel {service}`, then `cleave apply {service}` copies anew");
    match error {
        StreamError::SlotLost { .. } if direction == Direction::Forward => {
            format!(
                "nothing was applied; before a cutover, `cleave resume {service} --recopy '*.*'` copies all tables anew with a new slot"
            )
        }
        StreamError::SystemChanged { .. }
        | StreamError::FailoverRefused { .. }
        | StreamError::SourceSetBack { .. }
        | StreamError::SlotLost { .. }
        | StreamError::SlotAhead { .. }
        | StreamError::PositionInvalid { .. } => format!("nothing was applied; {anew}"),
        StreamError::TableChanged { .. } => {
            format!("changes written since then are in the log in the new form; {anew}")
        }
        StreamError::PartitionsChanged { .. } => format!(
            "put the partitions back as they were, then `cleave resume {service}`; or, to take them as they are, {anew}"
        ),
        StreamError::StrayWrite { .. } if direction == Direction::Back => {
            format!("the home is not touched by it; {anew}")
        }
        StreamError::StrayWrite { .. } => format!(
            "the home is not touched by it; there is no rollback any more: `cleave complete {service}` ends the move"
        ),
        _ => format!("settle it on the target, then `cleave resume {service}`"),
    }
}

fn doctor() -> NextStep {
    NextStep::cleave(["doctor"], "it looks at both servers", Risk::Read)
}
