//! PostgreSQL's replication and COPY formats: bytes in, values out.
//!
//! - [`replication`]: what travels in CopyData messages after `START_REPLICATION` (manual 55.4, "Streaming
//!   Replication Protocol").
//! - [`pgoutput`]: the logical replication messages inside them (manual 55.5 and 55.9).
//! - [`transaction`]: the order in which those messages may come, and the relations they speak of.
//! - [`copy`]: the text and binary formats of `COPY` (manual, `COPY`, "File Formats").
//!
//! Section numbers are those of the manual of 17; in that of 18 the chapter has number 54.
//!
//! Pure: no I/O, no clock, no environment, and no panic on any input. Every count and length is checked against
//! the bytes that are left before anything is allocated for it, so memory is bounded by the input's size. Row
//! values are slices of the input and never appear in an error.

mod error;
mod reader;
mod timestamp;

pub mod copy;
pub mod pgoutput;
pub mod replication;
pub mod transaction;

pub use error::{DecodeError, DecodeProblem};
pub use timestamp::Timestamp;
