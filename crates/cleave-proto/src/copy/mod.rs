//! The formats of `COPY` (manual, `COPY`, "File Formats"): framing only; what a field means is for its type.
//!
//! The server sends one row per CopyData message today, but the manual does not promise it. So both parsers take
//! the stream in chunks cut anywhere, and hand out rows as they become complete; a chunk that holds whole rows is
//! shared, not copied.

pub mod binary;
mod chunks;
pub mod text;

use bytes::Bytes;
use std::fmt;

/// One row: a field per column, none for null. Its `Debug` tells lengths only, so that no row value reaches a log.
#[derive(Clone, PartialEq, Eq)]
pub struct CopyRow {
    /// The fields in column order.
    pub fields: Vec<Option<Bytes>>,
}

impl fmt::Debug for CopyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self.fields.iter().map(|field| field.as_ref().map(Bytes::len));
        f.write_str("CopyRow of bytes ")?;
        f.debug_list().entries(lengths).finish()
    }
}
