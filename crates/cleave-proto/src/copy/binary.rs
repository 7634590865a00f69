//! `COPY ... (format binary)`: signature, flags, header extension, rows, trailer.

use super::{CopyRow, chunks::Chunks};
use crate::{DecodeError, DecodeProblem};
use bytes::{BufMut, Bytes, BytesMut};

/// What a COPY binary stream starts with: the signature, no flags, no header extension.
pub const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with: a field count of -1.
pub const TRAILER: [u8; 2] = [0xff, 0xff];

const SIGNATURE_BYTES: usize = 11;
const FORMAT: &str = "COPY binary";

/// Appends one row: 16-bit count, then each field with its 32-bit length, -1 for null. Gives false, and appends
/// nothing, if there are more fields than 32,767 or a field is longer than 2 GB: the format has no way to say it.
#[must_use]
pub fn put_row(out: &mut BytesMut, fields: &[Option<&[u8]>]) -> bool {
    let Ok(count) = i16::try_from(fields.len()) else { return false };
    if fields.iter().flatten().any(|field| i32::try_from(field.len()).is_err()) {
        return false;
    }
    out.put_i16(count);
    for field in fields {
        match field {
            None => out.put_i32(-1),
            Some(field) => {
                out.put_u32(field.len() as u32);
                out.put_slice(field);
            }
        }
    }
    true
}

/// Takes a stream in chunks, gives rows.
#[derive(Debug)]
pub struct BinaryRows {
    chunks: Chunks,
    part: Part,
    /// The next part is not complete before this many bytes are unread: spares reading its start again for each
    /// small chunk.
    needed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Header,
    Rows,
    Done,
}

/// What the unread bytes start with.
enum Found {
    /// Not all of it, at least so many bytes must be there.
    Incomplete(usize),
    /// A part of this length.
    Complete(usize),
}

impl BinaryRows {
    /// A parser at the start of a stream. A row that takes more than `row_bytes_max` is an error, and bounds what is
    /// buffered.
    pub fn new(row_bytes_max: usize) -> Self {
        Self { chunks: Chunks::new(FORMAT, row_bytes_max), part: Part::Header, needed: 0 }
    }

    /// Adds what has arrived.
    pub fn push(&mut self, chunk: Bytes) {
        self.chunks.push(chunk);
    }

    /// The next row that is complete; none if more bytes are needed, or after the trailer.
    ///
    /// # Errors
    /// Bytes that are not the format, a row over the limit, data after the trailer.
    pub fn next_row(&mut self) -> Result<Option<CopyRow>, DecodeError> {
        loop {
            let unread = self.chunks.unread();
            if self.part == Part::Done {
                let clean = unread.is_empty();
                return if clean { Ok(None) } else { Err(self.chunks.error(0, DecodeProblem::AfterEnd)) };
            }
            if unread.len() < self.needed {
                return Ok(None);
            }
            let found = match self.part {
                Part::Header => self.header()?,
                Part::Rows | Part::Done => self.row()?,
            };
            let length = match found {
                Found::Complete(length) => length,
                Found::Incomplete(needed) => {
                    self.chunks.check_row_bytes(needed)?;
                    self.needed = needed;
                    return Ok(None);
                }
            };
            self.chunks.check_row_bytes(length)?;
            self.needed = 0;
            let bytes = self.chunks.take(length);
            if self.part == Part::Header {
                self.part = Part::Rows;
            } else if bytes[..] == TRAILER {
                self.part = Part::Done;
            } else {
                return Ok(Some(fields(&bytes)));
            }
        }
    }

    /// The stream has ended: it must have done so with its trailer.
    ///
    /// # Errors
    /// A stream that was cut, or data after the trailer.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.part {
            Part::Done if self.chunks.unread().is_empty() => Ok(()),
            Part::Done => Err(self.chunks.error(0, DecodeProblem::AfterEnd)),
            Part::Header | Part::Rows => {
                Err(self.chunks.error(self.chunks.unread().len(), DecodeProblem::UnendedCopy))
            }
        }
    }

    fn header(&self) -> Result<Found, DecodeError> {
        let unread = self.chunks.unread();
        let seen = unread.len().min(SIGNATURE_BYTES);
        if unread.get(..seen) != HEADER.get(..seen) {
            return Err(self.chunks.error(0, DecodeProblem::NoCopySignature));
        }
        let (Some(flags), Some(extension)) =
            (i32_at(unread, SIGNATURE_BYTES), i32_at(unread, SIGNATURE_BYTES + 4))
        else {
            return Ok(Found::Incomplete(HEADER.len()));
        };
        // Bits 0 to 15 may be ignored; of the others the manual knows only 16 (rows with OIDs, gone with 12).
        let critical = flags as u32 & 0xffff_0000;
        if critical != 0 {
            return Err(self
                .chunks
                .error(SIGNATURE_BYTES, DecodeProblem::CriticalCopyFlags { flags: critical }));
        }
        let Ok(extension) = usize::try_from(extension) else {
            let problem =
                DecodeProblem::OutOfRange { field: "header extension length", value: extension.into() };
            return Err(self.chunks.error(SIGNATURE_BYTES + 4, problem));
        };
        let length = HEADER.len().saturating_add(extension);
        Ok(if unread.len() < length { Found::Incomplete(length) } else { Found::Complete(length) })
    }

    /// Walks over a row without allocating.
    fn row(&self) -> Result<Found, DecodeError> {
        let unread = self.chunks.unread();
        let Some(count) = i16_at(unread, 0) else { return Ok(Found::Incomplete(2)) };
        if count == -1 {
            return Ok(Found::Complete(2));
        }
        let out_of_range = |field, value| DecodeProblem::OutOfRange { field, value };
        let Ok(count) = usize::try_from(count) else {
            return Err(self.chunks.error(0, out_of_range("field count", count.into())));
        };
        let mut at = 2_usize;
        for index in 0..count {
            // Each of the fields from here on takes at least its length.
            let needed = at.saturating_add(4 * (count - index));
            let Some(length) = i32_at(unread, at) else { return Ok(Found::Incomplete(needed)) };
            let length = match length {
                -1 => 0,
                length => usize::try_from(length)
                    .map_err(|_| self.chunks.error(at, out_of_range("field length", length.into())))?,
            };
            if unread.len() < needed.saturating_add(length) {
                return Ok(Found::Incomplete(needed.saturating_add(length)));
            }
            at += 4 + length;
        }
        Ok(Found::Complete(at))
    }
}

/// Cuts a row that was walked over; every length in it is known to fit.
fn fields(row: &Bytes) -> CopyRow {
    let count = i16_at(row, 0).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let mut fields = Vec::with_capacity(count);
    let mut at = 2;
    while let Some(length) = i32_at(row, at) {
        at += 4;
        let field = usize::try_from(length).ok().map(|length| row.slice(at..at + length));
        at += field.as_ref().map_or(0, Bytes::len);
        fields.push(field);
    }
    CopyRow { fields }
}

fn i16_at(bytes: &[u8], at: usize) -> Option<i16> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|chunk| i16::from_be_bytes(*chunk))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|chunk| i32::from_be_bytes(*chunk))
}
