//! The order of messages: whole transactions, and changes of known relations only.
//!
//! A [`TransactionTracker`] takes the decoded messages of one connection one by one and gives each back as an
//! [`Event`] in which changes carry their relation. It buffers nothing: a transaction may be of any size. What is
//! kept is one description per relation (and per transaction in progress), so memory is bounded by what is
//! published, not by traffic. Whatever comes out of order is an [`OrderError`], after which the connection must be
//! given up; a new connection needs a new tracker, as the server introduces every relation again.

mod error;
mod event;
mod relations;
mod tracker;

pub use error::OrderError;
pub use event::{Event, Transaction};
pub use relations::RelationStatus;
pub use tracker::TransactionTracker;
