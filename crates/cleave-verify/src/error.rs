//! Why a comparison could not be made, with the stable codes C0601 to C0619. A difference is no error.

use cleave_model::{Ident, QualifiedName};
use cleave_pg::PgError;
use std::fmt;

/// One of the two databases compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The system of record.
    Home,
    /// What follows it.
    Follower,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Home => "home",
            Self::Follower => "follower",
        })
    }
}

/// Why a comparison could not be made. No message holds a row value.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The table does not exist, or is something else.
    #[error("the {side} has no table {table}")]
    TableMissing {
        /// Where.
        side: Side,
        /// The table's name there.
        table: QualifiedName,
    },
    /// The table lacks a column.
    #[error("table {table} on the {side} has no column {column}")]
    ColumnMissing {
        /// Where.
        side: Side,
        /// The table's name there.
        table: QualifiedName,
        /// The column's name there.
        column: Ident,
    },
    /// The role may not read the table, or not all of its rows.
    #[error("the role on the {side} may not read table {table}: {source}")]
    NoPrivilege {
        /// Where.
        side: Side,
        /// The table's name there.
        table: QualifiedName,
        /// What the server said.
        source: Box<PgError>,
    },
    /// The connection could not be made, or ended.
    #[error("no connection to the {side}: {source}")]
    Connection {
        /// Where.
        side: Side,
        /// What happened.
        source: Box<PgError>,
    },
    /// The stream that keeps the follower current does not run; reported by [`Settle`](crate::Settle).
    #[error("the follower is not being kept current: {reason}")]
    StreamStopped {
        /// Why, without row values.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("the comparison was cancelled")]
    Cancelled,
    /// A statement failed for another reason.
    #[error("cannot compare table {table} on the {side}: {source}")]
    Query {
        /// Where.
        side: Side,
        /// The table's name there.
        table: QualifiedName,
        /// What the server said.
        source: Box<PgError>,
    },
    /// A name or pattern that was asked for.
    #[error("neither side has a table that fits {pattern}")]
    NoSuchTable {
        /// As it was given.
        pattern: String,
    },
    /// Tables without a counterpart of the same name.
    #[error("{}", one_sided(tables))]
    OneSided {
        /// Which, and the side that has them.
        tables: Vec<(QualifiedName, Side)>,
    },
    /// Tables of one name with other columns.
    #[error("table {table} has other columns on the other side: {}", columns(only_home, only_follower))]
    ColumnsDiffer {
        /// The table.
        table: QualifiedName,
        /// Columns that only the home has.
        only_home: Vec<Ident>,
        /// Columns that only the follower has.
        only_follower: Vec<Ident>,
    },
    /// The follower does not take a row of the home.
    #[error("table {table} on the follower refuses rows of the home: {source}")]
    RepairRefused {
        /// The table's name there.
        table: QualifiedName,
        /// What the server said.
        source: Box<PgError>,
    },
    /// Not even a small part of a table could be read in the time that a snapshot may last.
    #[error("table {table} cannot be read in parts of {} s each on the {side}", limit.as_secs_f64())]
    TooLong {
        /// Where.
        side: Side,
        /// The table's name there.
        table: QualifiedName,
        /// How long a snapshot may last.
        limit: std::time::Duration,
    },
    /// The role may not know what the server's other sessions do.
    #[error("the role on the home may not see how busy it is")]
    LoadUnknown,
    /// A mapping that does not fit the tables.
    #[error("the mapping does not fit: {reason}")]
    Mapping {
        /// What does not.
        reason: String,
    },
    /// How far the comparison has come could not be kept.
    #[error("how far the comparison has come cannot be kept: {reason}")]
    NotKept {
        /// Why, without row values.
        reason: String,
    },
    /// There is no table at all.
    #[error("there is no table to compare")]
    NothingToCompare,
}

/// Tables named in a message; the others are counted.
const NAMED_MAX: usize = 10;

fn one_sided(tables: &[(QualifiedName, Side)]) -> String {
    let named: Vec<String> =
        tables.iter().take(NAMED_MAX).map(|(table, side)| format!("{table} (only on the {side})")).collect();
    let more = match tables.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("tables without a counterpart: {}{more}", named.join(", "))
}

fn columns(only_home: &[Ident], only_follower: &[Ident]) -> String {
    let named = |columns: &[Ident], side: Side| {
        let names: Vec<String> =
            columns.iter().map(|column| format!("{column} (only on the {side})")).collect();
        names
    };
    [named(only_home, Side::Home), named(only_follower, Side::Follower)].concat().join(", ")
}

impl VerifyError {
    /// The stable code, `C0601` to `C0619`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TableMissing { .. } => "C0601",
            Self::ColumnMissing { .. } => "C0602",
            Self::NoPrivilege { .. } => "C0603",
            Self::Connection { .. } => "C0604",
            Self::StreamStopped { .. } => "C0605",
            Self::Cancelled => "C0606",
            Self::Query { .. } => "C0607",
            Self::NoSuchTable { .. } => "C0608",
            Self::OneSided { .. } => "C0609",
            Self::ColumnsDiffer { .. } => "C0610",
            Self::NothingToCompare => "C0611",
            Self::RepairRefused { .. } => "C0612",
            Self::TooLong { .. } => "C0615",
            Self::LoadUnknown => "C0616",
            Self::Mapping { .. } => "C0617",
            Self::NotKept { .. } => "C0619",
        }
    }

    /// True if the same comparison may succeed when it is tried again as it is.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connection { source, .. } | Self::Query { source, .. } => source.is_retryable(),
            _ => false,
        }
    }

    /// What the server says where a statement took longer than it may; the same where somebody cancels it.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Query { source, .. } if source.sqlstate() == Some("57014"))
    }

    /// A failure where nothing can be made smaller.
    pub(crate) fn or_too_long(self, limit: std::time::Duration) -> Self {
        match self {
            Self::Query { side, table, source } if source.sqlstate() == Some("57014") => {
                Self::TooLong { side, table, limit }
            }
            other => other,
        }
    }

    /// Sorts a failure of a statement on a table.
    pub(crate) fn of_table(side: Side, table: &QualifiedName, source: PgError) -> Self {
        let (table, source) = (table.clone(), Box::new(source));
        match source.sqlstate() {
            _ if source.is_connection_lost() => Self::Connection { side, source },
            Some("42P01" | "3F000") => Self::TableMissing { side, table },
            Some("42501") => Self::NoPrivilege { side, table, source },
            _ => Self::Query { side, table, source },
        }
    }
}
