//! Compares the tables of two live databases row by row, without false alarms while both are written to.
//!
//! [`verify`] reads each table once on each side as hashes per bucket, reads the rows of buckets that differ, and
//! re-reads the rows that differ by key until each is equal, proven different, or out of rounds (unproven).
//! `docs/design/verify.md` argues why a lagging row is never called different and a real difference never missed.
//! The caller supplies what makes the two sides comparable: [`Settle`] waits until the follower has caught up.

mod buckets;
mod canonical;
mod checkpoint;
mod connection;
mod error;
mod judge;
mod mapping;
mod matching;
mod order;
mod outcome;
mod pair;
mod parts;
mod progress;
mod recheck;
mod relation;
mod repair;
mod rows;
mod run;
mod spec;
mod sql;
mod suspects;
mod tally;
mod throttle;
mod values;
mod writers;

pub use checkpoint::{Checkpoints, Keep, Reached};
pub use error::{Side, VerifyError};
pub use mapping::{Mapping, TableMapping};
pub use matching::match_tables;
pub use outcome::{ColumnValues, Difference, DifferenceKind, RowKey, TableOutcome, Values, VerifyOutcome};
pub use progress::VerifyProgress;
pub use repair::{Before, Repair, Repaired};
pub use rows::RowsCheck;
pub use run::verify;
pub use spec::{BoxedFuture, Found, Settle, VerifyLimits, VerifySpec, VerifyTable};
pub use throttle::{Busy, LoadLimits};
