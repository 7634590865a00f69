//! Compares the tables of two live databases row by row, without false alarms while both are written to.
//!
//! [`verify`] reads each table once on each side as hashes per bucket, reads the rows of buckets that differ, and
//! re-reads the rows that differ by key until each is equal, proven different, or out of rounds (unproven).
//! `docs/design/verify.md` argues why a lagging row is never called different and a real difference never missed.
//! The caller supplies what makes the two sides comparable: [`Settle`] waits until the follower has caught up.

mod buckets;
mod canonical;
mod connection;
mod error;
mod judge;
mod matching;
mod outcome;
mod pair;
mod progress;
mod ranges;
mod recheck;
mod relation;
mod repair;
mod run;
mod spec;
mod sql;
mod suspects;
mod tally;
mod values;
mod writers;

pub use error::{Side, VerifyError};
pub use matching::match_tables;
pub use outcome::{ColumnValues, Difference, DifferenceKind, RowKey, TableOutcome, Values, VerifyOutcome};
pub use progress::VerifyProgress;
pub use repair::{Before, Repair, Repaired};
pub use run::verify;
pub use spec::{BoxedFuture, Found, Settle, VerifyLimits, VerifySpec, VerifyTable};
