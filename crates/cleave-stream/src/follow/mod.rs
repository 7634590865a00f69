//! Following one slot: a reader and an applier with a bounded channel between them, kept going by a supervisor.
//!
//! - [`spec`], [`status`]: what goes in and what can be seen.
//! - `checks`: what must hold at each connect. `crate::apply`: the target's side.
//! - `reader`: the slot's side; `slices`: catching up through SQL; `release`: the slot meanwhile; `streaming`: the
//!   walsender; `spool`: transactions in progress.
//! - `source_watch`: heartbeats and the slot's state. `supervisor`: connecting, retrying, stopping.

mod checks;
mod messages;
mod reader;
mod release;
mod slices;
mod source_watch;
mod spec;
mod spool;
mod status;
mod streaming;
mod supervisor;

pub(crate) mod item;

pub use spec::{ColumnRoute, FollowOptions, FollowSpec, Identity, Route};
pub(crate) use status::Reporter;
pub use status::{FollowCounters, FollowState, FollowStatus};
pub use supervisor::{Follow, FollowHandle};
