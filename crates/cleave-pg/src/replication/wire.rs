//! Frames of the server's side of the protocol (manual 55.7), read without copying.

use crate::PgError;
use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::message::backend::Message;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Tag and length.
const HEADER_BYTES: usize = 5;
/// The server cannot build a message over 1 GB (`MaxAllocSize`); a larger length is not the protocol.
const FRAME_BYTES_MAX: usize = 1 << 30;
const READ_BYTES_MIN: usize = 64 << 10;
/// A frame's buffer grows in steps as its bytes come, not by what its header announces.
const READ_BYTES_MAX: usize = 4 << 20;

const COPY_DATA: u8 = b'd';
const COPY_BOTH_RESPONSE: u8 = b'W';

/// One message of the server.
pub(super) enum Frame {
    /// `CopyData`: a slice of the read buffer, which lives as long as the slice does.
    CopyData(Bytes),
    /// `CopyBothResponse`, which the driver's crate does not know.
    CopyBoth,
    /// Anything else.
    Message(Message),
}

/// Cuts a byte stream into frames.
pub(super) struct FrameReader<R> {
    source: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: BytesMut::with_capacity(READ_BYTES_MIN) }
    }

    /// The next frame, or `None` at the end of the stream. Can be dropped at any time without losing bytes.
    pub(super) async fn next(&mut self, what: &str) -> Result<Option<Frame>, PgError> {
        loop {
            let missing = match self.whole_frame(what)? {
                Ok(length) => return self.take(length, what).map(Some),
                Err(missing) => missing,
            };
            self.buffer.reserve(missing.clamp(READ_BYTES_MIN, READ_BYTES_MAX));
            let read = self.source.read_buf(&mut self.buffer).await;
            match read.map_err(|error| PgError::lost(what, error.to_string()))? {
                0 if self.buffer.is_empty() => return Ok(None),
                0 => return Err(PgError::lost(what, "the connection ended in the middle of a message")),
                _ => {}
            }
        }
    }

    /// Length of the frame at the start of the buffer, or how many bytes it still lacks.
    fn whole_frame(&self, what: &str) -> Result<Result<usize, usize>, PgError> {
        let Some(mut header) = self.buffer.get(1..HEADER_BYTES) else {
            return Ok(Err(HEADER_BYTES - self.buffer.len()));
        };
        let length = header.get_u32() as usize;
        if !(4..=FRAME_BYTES_MAX).contains(&length) {
            return Err(PgError::protocol(what, format!("a message says it has {length} bytes")));
        }
        let total = length + 1;
        Ok(if self.buffer.len() < total { Err(total - self.buffer.len()) } else { Ok(total) })
    }

    fn take(&mut self, length: usize, what: &str) -> Result<Frame, PgError> {
        let mut frame = self.buffer.split_to(length);
        match frame[0] {
            COPY_DATA => Ok(Frame::CopyData(frame.freeze().slice(HEADER_BYTES..))),
            COPY_BOTH_RESPONSE => Ok(Frame::CopyBoth),
            _ => match Message::parse(&mut frame) {
                Ok(Some(message)) => Ok(Frame::Message(message)),
                Ok(None) => Err(PgError::protocol(what, "a message that is shorter than it says")),
                Err(error) => Err(PgError::protocol(what, error.to_string())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, FrameReader};

    async fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut reader = FrameReader::new(bytes);
        let mut found = Vec::new();
        while let Some(frame) = reader.next("testing").await.map_err(|error| error.to_string())? {
            match frame {
                Frame::CopyData(data) => found.push(data.to_vec()),
                Frame::CopyBoth => found.push(b"both".to_vec()),
                Frame::Message(_) => found.push(b"message".to_vec()),
            }
        }
        Ok(found)
    }

    #[tokio::test]
    async fn frames_are_cut_by_their_lengths() {
        let bytes = b"d\0\0\0\x07abcW\0\0\0\x07\0\0\0c\0\0\0\x04d\0\0\0\x04";
        let expected = vec![b"abc".to_vec(), b"both".to_vec(), b"message".to_vec(), Vec::new()];
        assert_eq!(read(bytes).await, Ok(expected));
    }

    #[tokio::test]
    async fn a_length_that_no_server_sends_and_a_cut_message_are_errors() {
        for bad in [&b"d\xff\xff\xff\xff"[..], b"d\0\0\0\x03", b"d\0\0\0\x07ab", b"d\0", b"\x01\0\0\0\x04"] {
            assert!(read(bad).await.is_err(), "{bad:?}");
        }
    }
}
