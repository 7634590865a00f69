//! The steps of `apply`, one file each. Every step can be repeated: it finds out what is there and does the rest.

mod copy;
pub(crate) mod failover;
pub(crate) mod finish;
mod ladder;
mod late;
mod prepare;
mod retention;
mod slot;
mod way_back;

pub(crate) use copy::{copy, copy_again, is_copied, waits_for};
pub(crate) use finish::finish;
pub(crate) use ladder::with_ladder;
pub(crate) use late::indexes as late_indexes;
pub(crate) use prepare::{prepare_source, prepare_target};
pub(crate) use slot::{DROP_LIMIT, forward_slot};
pub(crate) use way_back::way_back;
