//! Following one slot: a reader and an applier with a bounded channel between them, kept going by a supervisor.
//!
//! - [`spec`], [`status`]: what goes in and what can be seen.
//! - `checks`: what must hold at each connect. `reader`: the slot's side. `crate::apply`: the target's side.
//! - `source_watch`: heartbeats and the slot's state. `supervisor`: connecting, retrying, stopping.

mod checks;
mod messages;
mod reader;
mod source_watch;
mod spec;
mod status;
mod supervisor;

pub(crate) mod item;

pub use spec::{ColumnRoute, FollowOptions, FollowSpec, Identity, Route};
pub(crate) use status::Reporter;
pub use status::{FollowCounters, FollowState, FollowStatus};
pub use supervisor::{Follow, FollowHandle};
