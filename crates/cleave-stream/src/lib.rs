//! Copy, follow and apply: how the rows of a service get to another database and stay the same there.
//!
//! - [`copy_tables`]: the rows that are there, in one snapshot, byte for byte.
//! - [`Follow`]: the changes that commit afterwards, each exactly once, in the order of their commits.
//! - [`create_slot_with_snapshot`], [`write_first_position`]: where the one ends and the other starts.
//!
//! A change's effect and the stream's position commit in one target transaction (`cleave.position`); a slot is
//! confirmed only up to what is stored. What may be applied is decided by the owner row on the target, read in that
//! same transaction. Which tables to copy and follow, and when, is the engine's to say.

mod apply;
mod cancel;
mod copy;
mod error;
mod follow;
mod session;
mod slot;

pub use cancel::{Cancelled, Canceller, cancellation};
pub use copy::{
    Busy, CopyFormat, CopyIndex, CopyProgress, CopyRanges, CopySpec, CopyTable, LoadLimits, SnapshotRenewal,
    SnapshotSource, copy_tables,
};
pub use error::{FailedRow, Operation, Side, StreamError};
pub use follow::{
    ColumnRoute, Follow, FollowCounters, FollowHandle, FollowOptions, FollowSpec, FollowState, FollowStatus,
    Identity, Route,
};
pub use session::connect_writer;
pub use slot::{SnapshotSlot, create_slot_with_snapshot, write_first_position};
