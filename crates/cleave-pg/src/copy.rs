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
const CHUNK_BYTES: usize = 64 << 10;

/// What a [`pump`] moved.
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

/// Moves everything from one COPY to the other. `on_progress` is told the bytes moved so far, about every 64 kB.
///
/// # Errors
/// Of either side; the other COPY is then broken off.
pub async fn pump(
    mut from: CopyOut,
    mut into: CopyIn,
    mut on_progress: impl FnMut(u64),
) -> Result<Pumped, PgError> {
    let mut bytes = 0;
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
    while let Some(message) = from.next().await {
        chunk.extend_from_slice(&message?);
        if chunk.len() >= CHUNK_BYTES {
            bytes += chunk.len() as u64;
            into.feed(chunk.split().freeze()).await?;
            on_progress(bytes);
        }
    }
    if !chunk.is_empty() {
        bytes += chunk.len() as u64;
        into.feed(chunk.freeze()).await?;
        on_progress(bytes);
    }
    Ok(Pumped { rows: into.finish().await?, bytes })
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
