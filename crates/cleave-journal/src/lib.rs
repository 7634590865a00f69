//! The `cleave` schema inside users' databases: journal, owner, lease, positions, copied tables, operations, comparisons, work.
//!
//! This crate owns the schema's DDL (`schema.sql`) and every statement that touches it, but for the triggers that
//! cleave-ddl writes. Functions take a client or an open transaction, so that a caller can put the journal row into
//! the transaction that does the work (DESIGN: "a transactional step writes its journal row in the transaction that
//! does the work, and checks the lease's epoch in it").

mod applying;
mod bridge_use;
mod copied;
mod detached;
mod entry;
mod error;
mod lease;
mod moves;
mod operation;
mod owner;
mod position;
mod ranges;
mod schema;
mod shape;
mod verifying;
mod work;

pub use applying::ApplierStatements;
pub use bridge_use::{BridgeUse, BridgeUser, bridge_use, forget_bridge_use, keep_bridge_use};
pub use copied::{
    Copied, Copying, begin_chunks, copied_tables, finish_chunk, record_copied, tables_in_chunks,
};
pub use detached::{
    DetachedTable, detached_tables, forget_part, record_detached, rejoin, reopen_copy, retell_detached,
};
pub use entry::{Digest, Entry, EntryEvent, append, digest, entries, step_is_done};
pub use error::JournalError;
pub use lease::{LEASE_TTL, Lease, LeaseHolder};
pub use moves::{MoveRow, MoveState, Verification, VerificationOutcome};
pub use operation::{
    Operation, OperationState, finish_operation, next_operation, operation, request_operation,
};
pub use owner::{
    Owner, clear_pending, delete_owner, insert_owner, owner, owner_for_share, set_owner, set_pending,
};
pub use position::{
    StreamPosition, advance_position, change_timeline, delete_position, delete_stream, insert_position,
    position,
};
pub use ranges::{
    CopiedRow, Division, Ends, KeyRange, begin_ranges, copied_rows, finish_range, is_partly_copied,
    key_ranges, record_rows,
};
pub use schema::{SCHEMA_VERSION, install, installed_version, uninstall};
pub use shape::{Followed, Shape, ShapeColumn, follow_shape, record_shapes, shapes};
pub use verifying::{VerifiedPart, Verifying, VerifyingFile, VerifyingHead};
pub use work::{WorkItem, open_work, resolve_work};
