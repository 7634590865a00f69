//! The verbs, one file each: what a command does once this engine holds the leases.

mod apply;
mod cancel;
mod comparing;
mod complete;
mod fellows;
mod gates;
mod pause;
mod protection;
mod repair;
mod switch;
mod together;
mod verify;
mod warm_up;
mod watch;

pub use apply::Until;
pub(crate) use apply::refusal;
pub(crate) use fellows::refuse_kinds;
pub(crate) use together::together;
pub(crate) use verify::progress as verify_progress;
pub(crate) use watch::Watch;
