//! What applications do, put together from what servers say: rows of `pg_stat_statements`, lines of log files, changes
//! from the write-ahead log.
//!
//! Streaming: memory is bounded by the number of different statements and sessions, not by the length of a log. No
//! value of a row is kept; statements lose their constants before they are kept or shown.

mod collector;
mod decoded;
mod functions;
pub mod log;
mod sessions;

pub use collector::{Collector, SearchPaths, Seen};
pub use decoded::table_names;
pub use functions::{FunctionTables, function_tables};
pub use sessions::Sessions;
