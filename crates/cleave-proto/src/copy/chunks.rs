//! What has arrived of a COPY stream and is not yet read.

use crate::{DecodeError, DecodeProblem};
use bytes::{Bytes, BytesMut};

/// Unread bytes, kept in the chunk they came in where one chunk has them all.
#[derive(Debug)]
pub(super) struct Chunks {
    format: &'static str,
    unread: Bytes,
    /// Holds the unread bytes instead once a row spans chunks.
    joined: BytesMut,
    /// Bytes of the stream before the unread ones.
    offset: u64,
    row_bytes_max: usize,
}

impl Chunks {
    pub(super) fn new(format: &'static str, row_bytes_max: usize) -> Self {
        Self { format, unread: Bytes::new(), joined: BytesMut::new(), offset: 0, row_bytes_max }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.unread().is_empty() {
            self.joined.clear();
            self.unread = chunk;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&self.unread);
            self.unread = Bytes::new();
        }
        self.joined.extend_from_slice(&chunk);
    }

    pub(super) fn unread(&self) -> &[u8] {
        if self.joined.is_empty() { &self.unread } else { &self.joined }
    }

    /// Takes the first `count` unread bytes, or all if there are fewer.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        let count = count.min(self.unread().len());
        self.offset += count as u64;
        if self.joined.is_empty() {
            return self.unread.split_to(count);
        }
        let taken = self.joined.split_to(count).freeze();
        // What is left came in the last chunk with the row's end: from here on it is shared like a chunk.
        self.unread = std::mem::take(&mut self.joined).freeze();
        taken
    }

    /// An error `at` bytes behind the first unread one.
    pub(super) fn error(&self, at: usize, problem: DecodeProblem) -> DecodeError {
        DecodeError { message: self.format, offset: self.offset + at as u64, problem }
    }

    /// Refuses a row that takes, or is known to need, more than the limit.
    pub(super) fn check_row_bytes(&self, needed: usize) -> Result<(), DecodeError> {
        if needed <= self.row_bytes_max {
            return Ok(());
        }
        Err(self.error(0, DecodeProblem::RowTooLong { limit_bytes: self.row_bytes_max as u64 }))
    }
}
