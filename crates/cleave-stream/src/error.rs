//! Errors of copying and following.

use cleave_journal::JournalError;
use cleave_model::{Lsn, Oid, QualifiedName};
use cleave_pg::PgError;
use std::fmt;
use thiserror::Error;

/// Which end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where changes come from.
    Source,
    /// Where they are applied.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// What was being done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A new row.
    Insert,
    /// Other values.
    Update,
    /// A row less.
    Delete,
    /// All rows less.
    Truncate,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        })
    }
}

/// The key of a row that could not be changed: for who asks, never for a log. Its `Debug` shows no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FailedRow {
    /// Column and value; `None` is null.
    pub key: Vec<(String, Option<String>)>,
}

impl fmt::Debug for FailedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FailedRow({} columns)", self.key.len())
    }
}

/// What can go wrong between two databases. Codes `C05xx`. Never a row value.
#[derive(Debug, Error)]
pub enum StreamError {
    /// `C0501`: the source is not the cluster or timeline that the position belongs to.
    #[error(
        "the source of {stream} is system {found_system} on timeline {found_timeline}, but the stream's position \
         belongs to system {expected_system} on timeline {expected_timeline}"
    )]
    SystemChanged {
        /// `service/direction`.
        stream: String,
        /// System identifier of the position.
        expected_system: u64,
        /// Timeline of the position.
        expected_timeline: u32,
        /// What the source says now.
        found_system: u64,
        /// What the source says now.
        found_timeline: u32,
    },
    /// `C0502`: the slot is gone, or the server has removed log that it needs.
    #[error("replication slot {slot} {problem}")]
    SlotLost {
        /// The slot.
        slot: String,
        /// What is wrong, as a sentence's end: "does not exist on the source".
        problem: String,
    },
    /// `C0503`: changes were confirmed that this target does not have.
    #[error(
        "replication slot {slot} is confirmed up to {confirmed}, but the target has applied only up to {position}"
    )]
    SlotAhead {
        /// The slot.
        slot: String,
        /// `confirmed_flush_lsn` on the source.
        confirmed: Lsn,
        /// `cleave.position` on the target.
        position: Lsn,
    },
    /// `C0504`: the stream has no position, or one of another slot.
    #[error("the position of {stream} {problem}")]
    PositionInvalid {
        /// `service/direction`.
        stream: String,
        /// What is wrong, as a sentence's end.
        problem: String,
    },
    /// `C0505`: somebody wrote where only copies are.
    #[error(
        "a write reached a copy: {table} of the {direction} stream's source, which is not the home of {service}"
    )]
    StrayWrite {
        /// The service.
        service: String,
        /// `forward` or `back`.
        direction: String,
        /// The table on the stream's source.
        table: QualifiedName,
    },
    /// `C0506`: a table is not what it was when the stream was made.
    #[error("table {table} has changed: {difference}")]
    TableChanged {
        /// The table on the source.
        table: QualifiedName,
        /// What differs, naming the column.
        difference: String,
    },
    /// `C0540`: a table's columns have changed, and the stream begins again where it is, to read them as they are.
    #[error("the columns of {table} have changed; the stream reads on {}", if *followed { "with the new ones" } else { "as text" })]
    ColumnsChanged {
        /// The table on the source.
        table: QualifiedName,
        /// The target has them too.
        followed: bool,
    },
    /// `C0541`: the target did not take a change of columns.
    #[error("the target could not be changed as the source's table {table} was: {statement}")]
    AlterRefused {
        /// The table on the source.
        table: QualifiedName,
        /// What was run.
        statement: String,
        /// The server's reason.
        #[source]
        source: Box<PgError>,
    },
    /// `C0507`: the publication has a table that the stream does not know.
    #[error("table {table} is published to this stream, but is not part of its service")]
    UnroutedTable {
        /// The table on the source.
        table: QualifiedName,
    },
    /// `C0508`: the row that a change is about is not on the target.
    #[error("{operation} of {table} met {rows} rows instead of 1")]
    RowMissing {
        /// The table on the target.
        table: QualifiedName,
        /// What was to be done.
        operation: Operation,
        /// Rows met.
        rows: u64,
        /// The row, where one change is to blame.
        row: Option<FailedRow>,
    },
    /// `C0509`: the target refused a change.
    #[error("could not {operation} a row of {table}")]
    ChangeRefused {
        /// The table on the target.
        table: QualifiedName,
        /// What was to be done.
        operation: Operation,
        /// The row, where one change is to blame.
        row: Option<FailedRow>,
        /// Why.
        #[source]
        source: Box<PgError>,
    },
    /// `C0510`: what the source sends cannot be understood.
    #[error("the source's stream cannot be read: {problem}")]
    Protocol {
        /// What came.
        problem: String,
    },
    /// `C0511`: a table that is to be filled has rows already.
    #[error("table {table} on the target is not empty, and its rows are not ours")]
    TargetNotEmpty {
        /// The table on the target.
        table: QualifiedName,
    },
    /// `C0512`: a table could not be copied.
    #[error("could not copy {table}")]
    CopyFailed {
        /// The table on the source.
        table: QualifiedName,
        /// Why, and on which side.
        #[source]
        source: Box<PgError>,
    },
    /// `C0513`: the exported snapshot is gone.
    #[error("snapshot {snapshot} is not there any more")]
    SnapshotGone {
        /// Its name.
        snapshot: String,
    },
    /// `C0514`: the target's table is not what the route says.
    #[error("the target of {source_oid:?} does not fit: {problem}")]
    RouteInvalid {
        /// The table on the source.
        source_oid: Oid,
        /// What does not fit.
        problem: String,
    },
    /// `C0515`: a server cannot be reached, or a statement failed there.
    #[error("the {side} of the stream failed")]
    Server {
        /// Where.
        side: Side,
        /// What was being done, and why it failed.
        #[source]
        source: PgError,
    },
    /// The journal's own codes.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// `C0516`: a task of the stream ended in a way that it cannot.
    #[error("a task of the stream ended unexpectedly: {0}")]
    Task(String),
    /// `C0518`: the source's log ends before what the target has of it.
    #[error(
        "the source of {stream} has been set back: its log ends at {found}, but the target has applied it up to {position}"
    )]
    SourceSetBack {
        /// `service/direction`.
        stream: String,
        /// End of the source's log.
        found: Lsn,
        /// `cleave.position` on the target.
        position: Lsn,
    },
    /// `C0530`: transactions in progress are larger than may be kept of them, or the disk is full.
    #[error("no room to keep transactions in progress: {reason}")]
    SpoolFull {
        /// What the limit is, or what the system said.
        reason: String,
    },
    /// `C0532`: the source was promoted, and its slot does not go on where the target is.
    #[error("the source of {stream} was promoted, and the stream cannot go on there: {reason}")]
    FailoverRefused {
        /// `service/direction`.
        stream: String,
        /// What is missing.
        reason: String,
    },
    /// `C0533`: the source's address leads to a standby.
    #[error("the source of {stream} is a standby that has not been promoted")]
    SourceIsStandby {
        /// `service/direction`.
        stream: String,
    },
    /// `C0560`: a table of the stream came, or went, with rows that no slot tells of.
    #[error("the tables of the stream are not what they were: {table} {change}")]
    PartitionsChanged {
        /// The table or partition.
        table: String,
        /// As a sentence's end: "was detached from its table".
        change: String,
    },
    /// `C0531`: a copy is to wait for what the role may not see.
    #[error("the role on the {side} may not see how busy it is")]
    LoadUnknown {
        /// Where.
        side: Side,
        /// The predefined role that may.
        right: &'static str,
    },
    /// `C0553`: the ranges in which a giant was copied do not fit it any more.
    #[error("the ranges in which {table} was copied do not fit it any more: {problem}")]
    GiantChanged {
        /// The table on the source.
        table: QualifiedName,
        /// What does not fit.
        problem: String,
    },
    /// `C0554`: too many rows of a giant moved between ranges that were copied at different times.
    #[error("too many rows of {table} moved to other ranges of its key while it was copied")]
    GiantRestless {
        /// The table on the source.
        table: QualifiedName,
    },
    /// `C0517`: told to stop before the work was done.
    #[error("stopped on request")]
    Cancelled,
}

impl StreamError {
    /// The stable code of `cleave explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SystemChanged { .. } => "C0501",
            Self::SlotLost { .. } => "C0502",
            Self::SlotAhead { .. } => "C0503",
            Self::PositionInvalid { .. } => "C0504",
            Self::StrayWrite { .. } => "C0505",
            Self::TableChanged { .. } => "C0506",
            Self::ColumnsChanged { .. } => "C0540",
            Self::AlterRefused { .. } => "C0541",
            Self::UnroutedTable { .. } => "C0507",
            Self::RowMissing { .. } => "C0508",
            Self::ChangeRefused { .. } => "C0509",
            Self::Protocol { .. } => "C0510",
            Self::TargetNotEmpty { .. } => "C0511",
            Self::CopyFailed { .. } => "C0512",
            Self::SnapshotGone { .. } => "C0513",
            Self::RouteInvalid { .. } => "C0514",
            Self::Server { .. } => "C0515",
            Self::Journal(journal) => journal.code(),
            Self::Task(_) => "C0516",
            Self::Cancelled => "C0517",
            Self::SourceSetBack { .. } => "C0518",
            Self::SpoolFull { .. } => "C0530",
            Self::PartitionsChanged { .. } => "C0560",
            Self::LoadUnknown { .. } => "C0531",
            Self::FailoverRefused { .. } => "C0532",
            Self::SourceIsStandby { .. } => "C0533",
            Self::GiantChanged { .. } => "C0553",
            Self::GiantRestless { .. } => "C0554",
        }
    }

    /// The table on the target whose change failed, and the row: an error of the table alone, which reconnecting does
    /// not cure.
    pub fn failed_table(&self) -> Option<(&QualifiedName, Option<&FailedRow>)> {
        match self {
            Self::RowMissing { table, row, .. } | Self::ChangeRefused { table, row, .. }
                if !self.is_retryable() =>
            {
                Some((table, row.as_ref()))
            }
            _ => None,
        }
    }

    /// True if going on from the stored position on new connections may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ChangeRefused { source, .. }
            | Self::CopyFailed { source, .. }
            | Self::AlterRefused { source, .. } => may_pass(source),
            Self::Server { source, .. } => may_pass(source),
            Self::Journal(JournalError::Query { what, source }) => {
                may_pass(&PgError::from_driver(what, source))
            }
            // The server keeps them, from the next connection on; the standby may be promoted any time.
            Self::SpoolFull { .. } | Self::SourceIsStandby { .. } | Self::ColumnsChanged { .. } => true,
            _ => false,
        }
    }
}

/// 55006: the slot or origin is still held by a session of ours that the server has not yet given up. 57014: an
/// administrator cancelled the statement. 25P03: a session of ours was too long without a word in a transaction. 53100,
/// 53200: the server's disk or memory is full; 25006: it takes no writes for now. Whoever makes room, or makes it
/// writable again, need not know of Cleave.
const PASSING: [&str; 6] = ["55006", "57014", "25P03", "53100", "53200", "25006"];

fn may_pass(error: &PgError) -> bool {
    error.is_retryable() || error.sqlstate().is_some_and(|code| PASSING.contains(&code))
}

/// Adds the side to an error of a connection.
pub(crate) trait On<T> {
    /// Says which end of the stream it was.
    fn on(self, side: Side) -> Result<T, StreamError>;
}

impl<T> On<T> for Result<T, PgError> {
    fn on(self, side: Side) -> Result<T, StreamError> {
        self.map_err(|source| StreamError::Server { side, source })
    }
}
