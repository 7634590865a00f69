//! What flows after `START_REPLICATION`: the server's messages one way, our status the other.

use super::wire::{Frame, FrameReader};
use crate::{PgError, ServerError, transport::Stream};
use bytes::{BufMut, BytesMut};
use cleave_proto::replication::{ReplicationMessage, StandbyStatusUpdate};
use postgres_protocol::message::{backend::Message, frontend};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};

/// A slot being read. [`ReplicationStream::split`] gives the halves to two tasks, so that status goes out while the
/// reading side waits for a slow target.
#[derive(Debug)]
pub struct ReplicationStream {
    reader: ReplicationReader,
    writer: ReplicationWriter,
}

/// The server's messages.
pub struct ReplicationReader {
    frames: FrameReader<ReadHalf<Stream>>,
    what: String,
    walsender_pid: i32,
    ending: Arc<AtomicBool>,
    ended: bool,
}

/// Our messages.
pub struct ReplicationWriter {
    sink: WriteHalf<Stream>,
    /// Bytes of messages that are not written yet: a send that is dropped half-way is finished by the next.
    pending: BytesMut,
    what: String,
    ending: Arc<AtomicBool>,
}

impl ReplicationStream {
    pub(super) fn new(
        frames: FrameReader<ReadHalf<Stream>>,
        sink: WriteHalf<Stream>,
        slot: &str,
        walsender_pid: i32,
    ) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let what = format!("reading the slot {slot}");
        let reader =
            ReplicationReader { frames, what, walsender_pid, ending: Arc::clone(&ending), ended: false };
        let what = format!("sending the status of the slot {slot}");
        Self { reader, writer: ReplicationWriter { sink, pending: BytesMut::new(), what, ending } }
    }

    /// The walsender's process at the server.
    pub fn walsender_pid(&self) -> i32 {
        self.reader.walsender_pid
    }

    /// See [`ReplicationReader::next`].
    ///
    /// # Errors
    /// As there.
    pub async fn next(&mut self) -> Result<Option<ReplicationMessage>, PgError> {
        self.reader.next().await
    }

    /// See [`ReplicationWriter::send_status`].
    ///
    /// # Errors
    /// As there.
    pub async fn send_status(&mut self, status: &StandbyStatusUpdate) -> Result<(), PgError> {
        self.writer.send_status(status).await
    }

    /// Two halves that can be used at the same time.
    pub fn split(self) -> (ReplicationReader, ReplicationWriter) {
        (self.reader, self.writer)
    }

    /// Ends the stream so that the slot is free at once: `CopyDone`, then what is still under way is read and dropped.
    ///
    /// # Errors
    /// The server does not answer within `limit`.
    pub async fn finish(mut self, limit: Duration) -> Result<(), PgError> {
        self.writer.send_copy_done().await?;
        let what = self.reader.what.clone();
        crate::transport::within(limit, &what, async {
            while self.reader.next().await?.is_some() {}
            Ok(())
        })
        .await
    }
}

impl ReplicationReader {
    /// The next message; `None` only after our own `CopyDone`. Can be dropped at any time without losing a message,
    /// so it can stand in a `select!`. `XLogData` shares its bytes with the read buffer: do not keep it long.
    ///
    /// # Errors
    /// What the server reports in the middle of the stream, with its SQLSTATE; [`PgError::ConnectionLost`] when it
    /// ends the stream by itself, which it does when it shuts down.
    pub async fn next(&mut self) -> Result<Option<ReplicationMessage>, PgError> {
        while !self.ended {
            let frame = self.frames.next(&self.what).await?;
            match frame {
                Some(Frame::CopyData(payload)) => {
                    let message = ReplicationMessage::decode(payload);
                    return message
                        .map(Some)
                        .map_err(|error| PgError::protocol(&self.what, error.to_string()));
                }
                Some(Frame::Message(Message::ErrorResponse(body))) => {
                    self.ended = true;
                    return Err(PgError::from_server(&self.what, ServerError::from_fields(body.fields())));
                }
                Some(Frame::Message(Message::ReadyForQuery(_))) | None => {
                    self.ended = true;
                }
                Some(Frame::Message(
                    Message::CopyDone
                    | Message::CommandComplete(_)
                    | Message::NoticeResponse(_)
                    | Message::ParameterStatus(_),
                )) => {}
                Some(Frame::Message(_) | Frame::CopyBoth) => return Err(super::unexpected(&self.what)),
            }
        }
        if self.ending.load(Ordering::Acquire) {
            return Ok(None);
        }
        Err(PgError::lost(&self.what, "the server ended the stream"))
    }
}

impl ReplicationWriter {
    /// Tells the server how far we are. `flushed` lets it forget the log before that position: send only what every
    /// sink has durably stored.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn send_status(&mut self, status: &StandbyStatusUpdate) -> Result<(), PgError> {
        let payload = status.encode();
        let length = u32::try_from(payload.len() + 4).map_err(|_| super::unexpected(&self.what))?;
        self.pending.put_u8(b'd');
        self.pending.put_u32(length);
        self.pending.put_slice(&payload);
        self.write_pending().await
    }

    /// Asks the server to end the stream; the reader then comes to its end.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn send_copy_done(&mut self) -> Result<(), PgError> {
        self.ending.store(true, Ordering::Release);
        frontend::copy_done(&mut self.pending);
        self.write_pending().await
    }

    async fn write_pending(&mut self) -> Result<(), PgError> {
        let written = async {
            while !self.pending.is_empty() {
                if self.sink.write_buf(&mut self.pending).await? == 0 {
                    return Err(std::io::ErrorKind::WriteZero.into());
                }
            }
            self.sink.flush().await
        };
        written.await.map_err(|error| PgError::lost(&self.what, error.to_string()))
    }
}

impl std::fmt::Debug for ReplicationReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicationReader").field("what", &self.what).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ReplicationWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicationWriter").field("what", &self.what).finish_non_exhaustive()
    }
}
