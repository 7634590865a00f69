//! Errors of the journal.

use thiserror::Error;

/// What can go wrong between Cleave and its own schema. Codes `C04xx`.
#[derive(Debug, Error)]
pub enum JournalError {
    /// `C0401`: another engine holds the lease.
    #[error("another operator holds the lease: {label} (for {expires_in_ms} ms more)")]
    LeaseHeld {
        /// Who it says it is: `host, pid 123, since ...`.
        label: String,
        /// Until the lease runs out, if it is not renewed.
        expires_in_ms: u64,
    },
    /// `C0402`: the lease was taken over, nothing was changed.
    #[error("this operator's lease (epoch {epoch}) has been taken over by another; nothing was changed")]
    LeaseLost {
        /// The epoch that was held.
        epoch: i64,
    },
    /// `C0403`: the schema was made by a newer version.
    #[error("schema `cleave` has version {found}, this program knows up to {known}")]
    NewerSchema {
        /// Version in the database.
        found: i32,
        /// Version of this program.
        known: i32,
    },
    /// `C0404`: a row that must be there is not, or says what it cannot say.
    #[error("the journal is inconsistent: {what}")]
    Inconsistent {
        /// Which row, and what is wrong with it.
        what: String,
    },
    /// `C0405`: a statement on the `cleave` schema failed.
    #[error("could not {what}")]
    Query {
        /// What was tried, as a verb phrase.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: tokio_postgres::Error,
    },
}

impl JournalError {
    /// The stable code of `cleave explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LeaseHeld { .. } => "C0401",
            Self::LeaseLost { .. } => "C0402",
            Self::NewerSchema { .. } => "C0403",
            Self::Inconsistent { .. } => "C0404",
            Self::Query { .. } => "C0405",
        }
    }

    /// The server's error code, if a server answered.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Query { source, .. } => source.code().map(tokio_postgres::error::SqlState::code),
            _ => None,
        }
    }
}

/// Adds what was tried to a driver error.
pub(crate) trait During<T> {
    /// `what` is a verb phrase: "read the owner row".
    fn during(self, what: &'static str) -> Result<T, JournalError>;
}

impl<T> During<T> for Result<T, tokio_postgres::Error> {
    fn during(self, what: &'static str) -> Result<T, JournalError> {
        self.map_err(|source| JournalError::Query { what, source })
    }
}
