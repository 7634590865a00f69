//! `COPY` as bytes: out of one session and into another without a look at the rows.
//!
//! Memory is bounded by the driver's channels (one message each way) and its write buffer: a slow target slows the
//! source down.

use crate::{During, PgError};
use bytes::{Bytes, BytesMut};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio_postgres::{Client, CopyInSink, CopyOutStream};

/// Rows are gathered to this size before they are handed on: the server sends one message per row.
const PART_BYTES: usize = 64 << 10;

/// What a [`Pump`] moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pumped {
    /// Rows, as the target counted them.
    pub rows: u64,
    /// Bytes in the format of the COPY.
    pub bytes: u64,
}

/// The data of a `COPY ... TO STDOUT`, message by message.
pub struct CopyOut {
    stream: Pin<Box<CopyOutStream>>,
    what: String,
}

/// Takes the data of a `COPY ... FROM STDIN`. Dropped before [`CopyIn::finish`], it makes the statement fail.
pub struct CopyIn {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    what: String,
}

/// Starts a `COPY ... TO STDOUT`; `what` says in errors what is being done.
///
/// # Errors
/// The statement fails.
pub async fn copy_out(client: &Client, sql: &str, what: &str) -> Result<CopyOut, PgError> {
    let stream = client.copy_out(sql).await.during(what)?;
    Ok(CopyOut { stream: Box::pin(stream), what: what.to_owned() })
}

/// Starts a `COPY ... FROM STDIN`; `what` says in errors what is being done.
///
/// # Errors
/// The statement fails.
pub async fn copy_in(client: &Client, sql: &str, what: &str) -> Result<CopyIn, PgError> {
    let sink = client.copy_in(sql).await.during(what)?;
    Ok(CopyIn { sink: Box::pin(sink), what: what.to_owned() })
}

impl Stream for CopyOut {
    type Item = Result<Bytes, PgError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.stream.as_mut().poll_next(context);
        next.map(|item| item.map(|bytes| bytes.during(&self.what)))
    }
}

impl Sink<Bytes> for CopyIn {
    type Error = PgError;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), PgError>> {
        self.sink.as_mut().poll_ready(context).map(|done| done.during(&self.what))
    }

    fn start_send(mut self: Pin<&mut Self>, bytes: Bytes) -> Result<(), PgError> {
        let Self { sink, what } = &mut *self;
        sink.as_mut().start_send(bytes).during(what)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), PgError>> {
        self.sink.as_mut().poll_flush(context).map(|done| done.during(&self.what))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), PgError>> {
        self.sink.as_mut().poll_close(context).map(|done| done.during(&self.what))
    }
}

impl CopyIn {
    /// Ends the data and returns how many rows the server took.
    ///
    /// # Errors
    /// What the server has against the rows.
    pub async fn finish(mut self) -> Result<u64, PgError> {
        self.sink.as_mut().finish().await.during(&self.what)
    }
}

/// Moves the data of one COPY into another, part by part, so that the caller can count and wait in between.
#[derive(Debug)]
pub struct Pump {
    from: CopyOut,
    into: CopyIn,
    gathered: BytesMut,
    bytes: u64,
    has_ended: bool,
}

impl Pump {
    /// Between two COPYs that have begun.
    pub fn new(from: CopyOut, into: CopyIn) -> Self {
        Self { from, into, gathered: BytesMut::with_capacity(2 * PART_BYTES), bytes: 0, has_ended: false }
    }

    /// Moves the next part, of about 64 kB, and returns its bytes; `None` when all has been moved.
    ///
    /// # Errors
    /// Of either side; the other COPY is broken off when the pump is dropped.
    pub async fn step(&mut self) -> Result<Option<u64>, PgError> {
        // A COPY must not be asked again after its end.
        while !self.has_ended && self.gathered.len() < PART_BYTES {
            match self.from.next().await {
                Some(message) => self.gathered.extend_from_slice(&message?),
                None => self.has_ended = true,
            }
        }
        if self.gathered.is_empty() {
            return Ok(None);
        }
        let part = self.gathered.split().freeze();
        self.gathered.reserve(2 * PART_BYTES);
        let bytes = part.len() as u64;
        self.into.feed(part).await?;
        self.bytes += bytes;
        Ok(Some(bytes))
    }

    /// Ends the data after the last part.
    ///
    /// # Errors
    /// What the target has against the rows.
    pub async fn finish(self) -> Result<Pumped, PgError> {
        Ok(Pumped { rows: self.into.finish().await?, bytes: self.bytes })
    }
}

impl std::fmt::Debug for CopyOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyOut").field("what", &self.what).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CopyIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyIn").field("what", &self.what).finish_non_exhaustive()
    }
}
