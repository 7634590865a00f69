//! What can go wrong between us and a server, with the stable codes C0101 to C0114, and C0887 for a pooler in between.
//!
//! An error says what was being done, with which server, and what the server said. It never carries a password, a
//! row value or a query's text: DETAIL and CONTEXT of the server's reports are left out, as they quote rows.

mod during;
mod server;

pub use during::During;
pub use server::ServerError;

use std::{io, time::Duration};

/// A failure of a connection or of something done through one. `docs/explain` has a page per code.
#[derive(Debug, thiserror::Error)]
pub enum PgError {
    /// No connection could be made.
    #[error("cannot reach {server}: {source}")]
    Unreachable {
        /// Host and port, or the socket.
        server: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A time limit of ours passed.
    #[error("{what} took longer than {limit_ms} ms")]
    Timeout {
        /// What was being done: `connecting to db1:5432`.
        what: String,
        /// The limit, in milliseconds.
        limit_ms: u64,
    },
    /// The server refused the password, or asked for one that the URL does not have.
    #[error("{server} does not accept the password of role {user}: {reason}")]
    WrongPassword {
        /// Host and port, or the socket.
        server: String,
        /// The role.
        user: String,
        /// What the server said.
        reason: String,
    },
    /// The role does not exist, may not log in, or no line of `pg_hba.conf` lets it in.
    #[error("{server} does not let role {user} in: {error}")]
    NotAdmitted {
        /// Host and port, or the socket.
        server: String,
        /// The role.
        user: String,
        /// What the server said.
        error: Box<ServerError>,
    },
    /// TLS was refused, or the server's certificate could not be verified.
    #[error("no encrypted connection to {server}: {reason}")]
    Tls {
        /// Host and port.
        server: String,
        /// Which part failed.
        reason: String,
    },
    /// The database in the URL does not exist.
    #[error("{server} has no such database: {error}")]
    NoSuchDatabase {
        /// Host and port, or the socket.
        server: String,
        /// What the server said.
        error: Box<ServerError>,
    },
    /// No connection is free, or no walsender.
    #[error("{server} has no connection left: {error}")]
    TooManyConnections {
        /// Host and port, or the socket.
        server: String,
        /// What the server said.
        error: Box<ServerError>,
    },
    /// The connection ended: the network, the server, or an administrator.
    #[error("the connection was lost while {what}: {reason}")]
    ConnectionLost {
        /// What was being done.
        what: String,
        /// What the server or the operating system said.
        reason: String,
        /// The server's SQLSTATE, if it could still say something.
        sqlstate: Option<String>,
    },
    /// A URL or connection string that cannot be used.
    #[error("the connection string is not usable: {reason}")]
    InvalidEndpoint {
        /// What is wrong, without quoting the text, as it may hold a password.
        reason: String,
    },
    /// The server sent what the protocol does not allow there, or a value of another type than asked for.
    #[error("unexpected answer while {what}: {reason}")]
    Protocol {
        /// What was being done.
        what: String,
        /// What was unexpected.
        reason: String,
    },
    /// A statement failed.
    #[error("{what} failed: {error}")]
    Query {
        /// What was being done.
        what: String,
        /// What the server said.
        error: Box<ServerError>,
    },
    /// The role lacks a right.
    #[error("{what} needs a right that the role lacks: {error}")]
    MissingPrivilege {
        /// What was being done.
        what: String,
        /// What the server said.
        error: Box<ServerError>,
    },
    /// The server does not know a statement that the session has just prepared, or knows another under that name: a
    /// pooler gives each transaction whatever process is free.
    #[error("{what} failed: a connection pooler hands the session on to other processes: {error}")]
    Pooled {
        /// What was being done.
        what: String,
        /// What the server said.
        error: Box<ServerError>,
    },
    /// The server is up but takes no connections yet, or no longer.
    #[error("{server} is not ready: {error}")]
    NotReady {
        /// Host and port, or the socket.
        server: String,
        /// What the server said.
        error: Box<ServerError>,
    },
    /// A slot was not created, as older transactions did not end in time. Nothing is left of it.
    #[error(
        "the slot {slot} was not ready within {limit_ms} ms: it waits for transactions that are older than it"
    )]
    SlotNotReady {
        /// The slot's name.
        slot: String,
        /// The limit, in milliseconds.
        limit_ms: u64,
    },
}

impl PgError {
    /// The stable code, `C0101` to `C0114` or `C0887`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "C0101",
            Self::Timeout { .. } => "C0102",
            Self::WrongPassword { .. } => "C0103",
            Self::NotAdmitted { .. } => "C0104",
            Self::Tls { .. } => "C0105",
            Self::NoSuchDatabase { .. } => "C0106",
            Self::TooManyConnections { .. } => "C0107",
            Self::ConnectionLost { .. } => "C0108",
            Self::InvalidEndpoint { .. } => "C0109",
            Self::Protocol { .. } => "C0110",
            Self::Query { .. } => "C0111",
            Self::MissingPrivilege { .. } => "C0112",
            Self::NotReady { .. } => "C0113",
            Self::SlotNotReady { .. } => "C0114",
            Self::Pooled { .. } => "C0887",
        }
    }

    /// What the server reported, where it reported anything.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::NotAdmitted { error, .. }
            | Self::NoSuchDatabase { error, .. }
            | Self::TooManyConnections { error, .. }
            | Self::Query { error, .. }
            | Self::MissingPrivilege { error, .. }
            | Self::Pooled { error, .. }
            | Self::NotReady { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The server's SQLSTATE (manual, appendix A).
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::ConnectionLost { sqlstate, .. } => sqlstate.as_deref(),
            _ => self.server_error().map(|error| error.sqlstate.as_str()),
        }
    }

    /// True if there is no connection now, and a new one may be had: the outcome of a commit that was under way is
    /// not known.
    pub fn is_connection_lost(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Timeout { .. }
                | Self::ConnectionLost { .. }
                | Self::NotReady { .. }
        )
    }

    /// True if the same again may succeed without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        self.is_connection_lost()
            || self.is_lock_timeout()
            || self.is_serialization_failure()
            || matches!(self, Self::TooManyConnections { .. } | Self::SlotNotReady { .. })
    }

    /// True for 55P03: a lock was not to be had within `lock_timeout`, or at once with `NOWAIT`.
    pub fn is_lock_timeout(&self) -> bool {
        self.sqlstate() == Some("55P03")
    }

    /// True for 40001 and 40P01 (deadlock): the transaction may be run again as it was.
    pub fn is_serialization_failure(&self) -> bool {
        matches!(self.sqlstate(), Some("40001" | "40P01"))
    }

    /// True for 57014: a cancel request or `statement_timeout`.
    pub fn is_canceled(&self) -> bool {
        self.sqlstate() == Some("57014")
    }

    pub(crate) fn slot_not_ready(slot: &str, limit: Duration) -> Self {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Self::SlotNotReady { slot: slot.to_owned(), limit_ms }
    }

    pub(crate) fn protocol(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Protocol { what: what.into(), reason: reason.into() }
    }

    pub(crate) fn no_password(server: &str, user: &str) -> Self {
        let reason = "the server asks for a password and the connection string has none".to_owned();
        Self::WrongPassword { server: server.to_owned(), user: user.to_owned(), reason }
    }

    /// Counts as lost, so that the next host is tried.
    pub(crate) fn other_kind(what: impl Into<String>) -> Self {
        Self::lost(what, "target_session_attrs asks for a server of another kind")
    }

    pub(crate) fn lost(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::ConnectionLost { what: what.into(), reason: reason.into(), sqlstate: None }
    }

    /// Sorts a report of the server that came in the course of a session.
    pub(crate) fn from_server(what: &str, error: ServerError) -> Self {
        let what = what.to_owned();
        if error.ends_session() {
            let ServerError { sqlstate, message, .. } = error;
            return Self::ConnectionLost { what, reason: message, sqlstate: Some(sqlstate) };
        }
        let error = Box::new(error);
        match error.sqlstate.as_str() {
            "42501" => Self::MissingPrivilege { what, error },
            "26000" | "42P05" => Self::Pooled { what, error },
            _ => Self::Query { what, error },
        }
    }

    /// Sorts a report of the server that came before the session was ready.
    pub(crate) fn from_startup(server: &str, user: &str, error: ServerError) -> Self {
        let (server, user) = (server.to_owned(), user.to_owned());
        match error.sqlstate.as_str() {
            "28P01" => Self::WrongPassword { server, user, reason: error.message },
            // 0LP01 and 42501: "permission denied for database", "must be ... to start walsender".
            "28000" | "42501" => Self::NotAdmitted { server, user, error: Box::new(error) },
            "3D000" => Self::NoSuchDatabase { server, error: Box::new(error) },
            "53300" => Self::TooManyConnections { server, error: Box::new(error) },
            "57P01" | "57P02" | "57P03" => Self::NotReady { server, error: Box::new(error) },
            _ => Self::from_server(&format!("connecting to {server}"), error),
        }
    }
}
