//! What a comparison tells while it runs.

use crate::{Busy, TableOutcome};
use cleave_model::QualifiedName;

/// An event of a running comparison. Tables are named as on the home; several may be under way at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyProgress {
    /// The comparison begins.
    Planned {
        /// Rows of all tables, as the home's statistics estimate them.
        estimated_rows: u64,
    },
    /// Both sides of a table are being read.
    Started {
        /// The table.
        table: QualifiedName,
        /// Rows, as the home's statistics estimate them.
        estimated_rows: u64,
    },
    /// Both sides of a part of a table have been read once.
    Scanned {
        /// The table.
        table: QualifiedName,
        /// Rows on the home, of the part.
        rows: u64,
        /// Rows of the home in parts of the table whose hashes differ: these are read again, one by one.
        suspicious_rows: u64,
    },
    /// What an earlier comparison has proven is not read again.
    Resumed {
        /// The table.
        table: QualifiedName,
        /// Rows.
        rows: u64,
    },
    /// Reading waits until the home has less to do.
    Waiting {
        /// The table whose turn it is.
        table: QualifiedName,
        /// Why.
        busy: Busy,
    },
    /// Rows that differ are being read again by key.
    Rechecking {
        /// The table.
        table: QualifiedName,
        /// Rows not yet decided, of those under way.
        rows: u64,
        /// From 1.
        round: u32,
    },
    /// A table is done.
    Finished {
        /// Its result.
        outcome: TableOutcome,
    },
}
