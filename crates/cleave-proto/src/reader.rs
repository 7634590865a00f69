//! Reads one message front to back, knowing its name and the offset for errors.

use crate::{DecodeError, DecodeProblem, Timestamp};
use bytes::Bytes;
use cleave_model::{Lsn, Oid};

/// A place in one message. Integers are big-endian (manual 55.6, "Message Data Types").
pub(crate) struct Reader {
    message: &'static str,
    bytes: Bytes,
    at: usize,
}

impl Reader {
    pub(crate) fn new(message: &'static str, bytes: Bytes) -> Self {
        Self { message, bytes, at: 0 }
    }

    /// Names the message once its first byte has told which it is.
    pub(crate) fn set_message(&mut self, message: &'static str) {
        self.message = message;
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at the place where reading stands.
    pub(crate) fn error(&self, problem: DecodeProblem) -> DecodeError {
        DecodeError { message: self.message, offset: self.at as u64, problem }
    }

    /// The next `count` bytes, shared with the input.
    pub(crate) fn take(&mut self, count: usize) -> Result<Bytes, DecodeError> {
        let left = self.remaining();
        if count > left {
            return Err(self.error(DecodeProblem::Truncated { needed: count as u64, left: left as u64 }));
        }
        let taken = self.bytes.slice(self.at..self.at + count);
        self.at += count;
        Ok(taken)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> Bytes {
        let rest = self.bytes.slice(self.at..);
        self.at = self.bytes.len();
        rest
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, _)) = self.bytes.get(self.at..).and_then(|rest| rest.split_first_chunk::<N>()) else {
            let left = self.remaining() as u64;
            return Err(self.error(DecodeProblem::Truncated { needed: N as u64, left }));
        };
        let head = *head;
        self.at += N;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn oid(&mut self) -> Result<Oid, DecodeError> {
        Ok(Oid(self.u32()?))
    }

    pub(crate) fn lsn(&mut self) -> Result<Lsn, DecodeError> {
        Ok(Lsn(u64::from_be_bytes(self.array()?)))
    }

    /// A log position that the manual never leaves unset.
    pub(crate) fn set_lsn(&mut self, field: &'static str) -> Result<Lsn, DecodeError> {
        let before = self.at;
        let lsn = self.lsn()?;
        if lsn == Lsn(0) {
            self.at = before;
            return Err(self.error(DecodeProblem::OutOfRange { field, value: 0 }));
        }
        Ok(lsn)
    }

    /// A 32-bit number that the manual never leaves unset.
    pub(crate) fn set_u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let before = self.at;
        let value = self.u32()?;
        if value == 0 {
            self.at = before;
            return Err(self.error(DecodeProblem::OutOfRange { field, value: 0 }));
        }
        Ok(value)
    }

    pub(crate) fn timestamp(&mut self) -> Result<Timestamp, DecodeError> {
        Ok(Timestamp(i64::from_be_bytes(self.array()?)))
    }

    /// One byte of flags of which only those in `known` may be set.
    pub(crate) fn flags(&mut self, field: &'static str, known: u8) -> Result<u8, DecodeError> {
        let value = self.u8()?;
        if value & !known == 0 { Ok(value) } else { Err(self.unknown_value(field, value)) }
    }

    /// One byte that is 0 or 1.
    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.flags(field, 1)? == 1)
    }

    /// An error about the byte just read.
    pub(crate) fn unknown_value(&self, field: &'static str, value: u8) -> DecodeError {
        let problem = DecodeProblem::UnknownValue { field, value };
        DecodeError { message: self.message, offset: (self.at as u64).saturating_sub(1), problem }
    }

    /// A 32-bit length and as many bytes.
    pub(crate) fn counted_bytes(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        let before = self.at;
        let length = self.i32()?;
        let Ok(length) = usize::try_from(length) else {
            self.at = before;
            return Err(self.error(DecodeProblem::OutOfRange { field, value: length.into() }));
        };
        self.take(length)
    }

    /// Refuses a count of elements that cannot fit into what is left, before anything is allocated for them.
    pub(crate) fn check_count(
        &self,
        elements: &'static str,
        count: usize,
        element_bytes_min: usize,
    ) -> Result<(), DecodeError> {
        let left = self.remaining();
        if count <= left / element_bytes_min.max(1) {
            return Ok(());
        }
        let (count, left) = (count as u64, left as u64);
        Err(self.error(DecodeProblem::CountTooLarge { elements, count, left }))
    }

    /// A text up to its zero byte (`String` in the manual).
    pub(crate) fn text(&mut self) -> Result<String, DecodeError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|&byte| byte == 0) else {
            return Err(self.error(DecodeProblem::UnendedText));
        };
        let text = std::str::from_utf8(rest.get(..length).unwrap_or_default());
        let text = text.map_err(|_| self.error(DecodeProblem::NotUtf8))?.to_owned();
        self.at += length + 1;
        Ok(text)
    }

    /// The end: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error(DecodeProblem::Trailing { left: left as u64 })),
        }
    }
}
