//! `COPY ... (format text)` with its default delimiter (tab) and null (`\N`), as the server writes it: one row a
//! line, backslash escapes, UTF-8 or another encoding in which no byte of a longer character is ASCII.

use super::{CopyRow, chunks::Chunks};
use crate::{DecodeError, DecodeProblem};
use bytes::{BufMut, Bytes, BytesMut};

const FORMAT: &str = "COPY text";
const NULL: &[u8] = br"\N";
/// Ends the data in files and old protocols; the server no longer sends it, but still accepts it.
const END_OF_DATA: &[u8] = br"\.";

/// Appends one row with its newline, escaped as the server does it.
pub fn put_row(out: &mut BytesMut, fields: &[Option<&[u8]>]) {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.put_u8(b'\t');
        }
        match field {
            None => out.put_slice(NULL),
            Some(field) => put_escaped(out, field),
        }
    }
    out.put_u8(b'\n');
}

fn put_escaped(out: &mut BytesMut, field: &[u8]) {
    out.reserve(field.len());
    for &byte in field {
        let letter = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            b'\\' => b'\\',
            plain => {
                out.put_u8(plain);
                continue;
            }
        };
        out.put_slice(&[b'\\', letter]);
    }
}

/// Takes a stream in chunks, gives rows.
#[derive(Debug)]
pub struct TextRows {
    chunks: Chunks,
    /// Unread bytes that are known to hold no end of a row.
    scanned: usize,
    /// The last of them is a backslash that takes the next byte with it.
    escaping: bool,
    done: bool,
}

impl TextRows {
    /// A parser at the start of a stream. A row that takes more than `row_bytes_max` is an error, and bounds what is
    /// buffered.
    pub fn new(row_bytes_max: usize) -> Self {
        Self { chunks: Chunks::new(FORMAT, row_bytes_max), scanned: 0, escaping: false, done: false }
    }

    /// Adds what has arrived.
    pub fn push(&mut self, chunk: Bytes) {
        self.chunks.push(chunk);
    }

    /// The next row that is complete; none if more bytes are needed, or after the end-of-data marker. A table without
    /// columns gives rows of one empty field, as the format cannot tell the two apart.
    ///
    /// # Errors
    /// Text that the server would not have written, a row over the limit, data after the end-of-data marker.
    pub fn next_row(&mut self) -> Result<Option<CopyRow>, DecodeError> {
        if self.done {
            let clean = self.chunks.unread().is_empty();
            return if clean { Ok(None) } else { Err(self.chunks.error(0, DecodeProblem::AfterEnd)) };
        }
        let Some(length) = self.line()? else { return Ok(None) };
        self.chunks.check_row_bytes(length)?;
        if self.chunks.unread().get(..length) == Some(END_OF_DATA) {
            self.chunks.take(length + 1);
            self.done = true;
            return self.next_row();
        }
        let row = {
            let line = self.chunks.unread().get(..length).unwrap_or_default();
            check_line(line)
                .map_err(|(at, what)| self.chunks.error(at, DecodeProblem::MalformedText { what }))?;
            self.chunks.take(length + 1).slice(..length)
        };
        Ok(Some(fields(&row)))
    }

    /// The stream has ended: nothing of a row may be left.
    ///
    /// # Errors
    /// A stream that was cut, or data after the end-of-data marker.
    pub fn finish(self) -> Result<(), DecodeError> {
        let left = self.chunks.unread().len();
        match (left, self.done) {
            (0, _) => Ok(()),
            (_, true) => Err(self.chunks.error(0, DecodeProblem::AfterEnd)),
            (_, false) => Err(self.chunks.error(left, DecodeProblem::UnendedCopy)),
        }
    }

    /// The length of the first unread line without its newline. A newline behind a backslash is data.
    fn line(&mut self) -> Result<Option<usize>, DecodeError> {
        let unread = self.chunks.unread();
        for (at, &byte) in unread.iter().enumerate().skip(self.scanned) {
            if self.escaping {
                self.escaping = false;
            } else if byte == b'\\' {
                self.escaping = true;
            } else if byte == b'\n' {
                self.scanned = 0;
                return Ok(Some(at));
            }
        }
        self.scanned = unread.len();
        self.chunks.check_row_bytes(self.scanned)?;
        Ok(None)
    }
}

/// What the server never writes in a line: a raw carriage return, or the end-of-data marker beside data.
fn check_line(line: &[u8]) -> Result<(), (usize, &'static str)> {
    let mut escaping = false;
    for (at, &byte) in line.iter().enumerate() {
        match byte {
            b'.' if escaping => return Err((at, "an end-of-data marker")),
            b'\r' if !escaping => return Err((at, "a raw carriage return")),
            _ => {}
        }
        escaping = byte == b'\\' && !escaping;
    }
    if escaping { Err((line.len(), "a backslash before nothing")) } else { Ok(()) }
}

/// Splits a line at its tabs.
fn fields(line: &Bytes) -> CopyRow {
    let mut fields = Vec::with_capacity(1 + line.iter().filter(|&&byte| byte == b'\t').count());
    let (mut start, mut escaping) = (0, false);
    for (at, &byte) in line.iter().enumerate() {
        if byte == b'\t' && !escaping {
            fields.push(unescape(line.slice(start..at)));
            start = at + 1;
        }
        escaping = byte == b'\\' && !escaping;
    }
    fields.push(unescape(line.slice(start..)));
    CopyRow { fields }
}

/// One field's value, none for null. Null is told before the escapes are read: `\\N` is the text `\N`.
fn unescape(raw: Bytes) -> Option<Bytes> {
    if raw == NULL {
        return None;
    }
    let Some(plain) = raw.iter().position(|&byte| byte == b'\\') else { return Some(raw) };
    let mut out = Vec::with_capacity(raw.len());
    let (head, mut rest) = raw.split_at(plain);
    out.extend_from_slice(head);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&letter, tail)) = rest.split_first() else { break };
        rest = tail;
        let (value, taken) = escape(letter, rest);
        out.push(value);
        rest = rest.get(taken..).unwrap_or_default();
    }
    Some(out.into())
}

/// The byte that a backslash and `letter` stand for, and how many further bytes belong to it.
fn escape(letter: u8, rest: &[u8]) -> (u8, usize) {
    match letter {
        b'b' => (0x08, 0),
        b'f' => (0x0c, 0),
        b'n' => (b'\n', 0),
        b'r' => (b'\r', 0),
        b't' => (b'\t', 0),
        b'v' => (0x0b, 0),
        b'0'..=b'7' => {
            let digits = rest.iter().take(2).take_while(|digit| matches!(digit, b'0'..=b'7'));
            let first = (letter - b'0', 0);
            digits.fold(first, |(value, taken), digit| ((value << 3) | (digit - b'0'), taken + 1))
        }
        b'x' => {
            let digits = rest.iter().take(2).map_while(|&digit| char::from(digit).to_digit(16));
            let (value, taken) =
                digits.fold((0, 0), |(value, taken), digit| (value << 4 | digit as u8, taken + 1));
            // Without a digit it is the letter itself.
            if taken == 0 { (b'x', 0) } else { (value, taken) }
        }
        other => (other, 0),
    }
}
