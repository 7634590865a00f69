//! Why bytes could not be read: which message, where in it, what was wrong. Never what a row holds.

use thiserror::Error;

/// Bytes that are not what the manual says they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message} at byte {offset}: {problem}")]
pub struct DecodeError {
    /// The message or format that was being read, as the manual names it.
    pub message: &'static str,
    /// Where reading stopped: bytes from the start of the message (for COPY: of the whole stream).
    pub offset: u64,
    /// What was wrong there.
    pub problem: DecodeProblem,
}

/// What was wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeProblem {
    /// The message ends inside a field.
    #[error("needs {needed} more bytes, {left} are left")]
    Truncated {
        /// Bytes the field takes.
        needed: u64,
        /// Bytes that are there.
        left: u64,
    },
    /// A text without its terminating zero byte.
    #[error("a text has no end")]
    UnendedText,
    /// A name that is not UTF-8. Cleave's connections ask for UTF-8, so the database must be `SQL_ASCII` or broken.
    #[error("a name is not UTF-8")]
    NotUtf8,
    /// Bytes after the last field.
    #[error("{left} bytes are left after the last field")]
    Trailing {
        /// How many.
        left: u64,
    },
    /// A first byte that starts no message we know.
    #[error("0x{tag:02x} starts no known message")]
    UnknownMessage {
        /// The byte.
        tag: u8,
    },
    /// A message of a later protocol version than the one that was asked for.
    #[error("the message does not belong to protocol version {version}")]
    NotInVersion {
        /// The version asked for in `proto_version`.
        version: u32,
    },
    /// A stream block was opened inside another, or closed outside one.
    #[error("a stream block starts inside another or ends outside one")]
    StreamNesting,
    /// A one-byte field with a value that the manual does not list.
    #[error("{field} is 0x{value:02x}, which has no meaning")]
    UnknownValue {
        /// The field, as the manual names it.
        field: &'static str,
        /// Its value.
        value: u8,
    },
    /// A number outside its range, such as a negative length.
    #[error("{field} is {value}, which is out of range")]
    OutOfRange {
        /// The field, as the manual names it.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// A count of elements for which there are not enough bytes, whatever they hold.
    #[error("{count} {elements} cannot stand in {left} bytes")]
    CountTooLarge {
        /// What is counted, in the plural.
        elements: &'static str,
        /// The count.
        count: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// The first 11 bytes are not those of `COPY ... (format binary)`.
    #[error("the COPY binary signature is missing")]
    NoCopySignature,
    /// A critical flag in a COPY binary header, which a reader must not ignore.
    #[error("the critical flags 0x{flags:08x} of the COPY header are not known")]
    CriticalCopyFlags {
        /// The upper 16 bits of the flags field.
        flags: u32,
    },
    /// A COPY row longer than its reader's limit.
    #[error("a row is longer than the limit of {limit_bytes} bytes")]
    RowTooLong {
        /// The limit.
        limit_bytes: u64,
    },
    /// Data after the end-of-data marker of a COPY stream.
    #[error("data follows the end of the COPY stream")]
    AfterEnd,
    /// The COPY stream stops before its end marker or in the middle of a row.
    #[error("the COPY stream stops before its end")]
    UnendedCopy,
    /// A COPY text that the server would not have written: a raw carriage return, or a backslash before nothing.
    #[error("{what} in a COPY text row")]
    MalformedText {
        /// What was found.
        what: &'static str,
    },
}
