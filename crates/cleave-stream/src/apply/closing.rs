//! How a target transaction ends: the position moves, and the commit waits for the disk or leaves that to a later one.

use super::{applier::Applier, batch::Batch, writer::Writer};
use crate::{Side, StreamError, error::On};
use cleave_journal::ApplierStatements;
use cleave_model::{Lsn, labels};
use cleave_pg::{During, Session, wal};
use std::{sync::Arc, time::Instant};
use tokio_postgres::Client;

/// Whether a commit waits until it is on the target's disk. One that does takes all earlier ones along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushing {
    Waits,
    IsLeft,
}

/// The end of a target transaction.
#[derive(Clone)]
pub(super) struct Closing {
    pub(super) session: Arc<Session>,
    pub(super) journal: ApplierStatements,
    pub(super) stream: String,
    /// As it stands in `cleave.position`.
    pub(super) from: Lsn,
    pub(super) to: Lsn,
    pub(super) marker: Option<String>,
    pub(super) flushing: Flushing,
}

impl Closing {
    /// Moves the position. Sent at once when first polled.
    pub(super) async fn advance(&self) -> Result<(), StreamError> {
        let client: &Client = &self.session;
        let marker = self.marker.as_deref();
        Ok(self.journal.advance_position(client, &self.stream, self.from, self.to, marker).await?)
    }

    /// Commits, once everything before is known to have succeeded.
    pub(super) async fn commit(&self) -> Result<(), StreamError> {
        cleave_failpoint::hit_async("apply.commit.before").await;
        let sql = match self.flushing {
            Flushing::Waits => "commit",
            Flushing::IsLeft => "set local synchronous_commit = off; commit",
        };
        self.session.batch_execute(sql).await.during("committing what was applied").on(Side::Target)?;
        cleave_failpoint::hit_async("apply.commit.after").await;
        Ok(())
    }

    /// Both, one after the other.
    pub(super) async fn run(self) -> Result<(), StreamError> {
        self.advance().await?;
        self.commit().await
    }
}

impl<W: Writer> Applier<W> {
    /// Waits for the commit that is on its way, and until what was committed is on the disk, unless a transaction is open.
    pub(super) async fn settle(&mut self) -> Result<(), StreamError> {
        self.closed().await?;
        if self.unflushed && self.armed.is_none() {
            flush_commits(&self.session, &self.stream).await?;
            self.is_flushed();
        }
        Ok(())
    }

    /// Waits for the commit that is on its way.
    pub(super) async fn closed(&mut self) -> Result<(), StreamError> {
        if self.closing.is_some() {
            self.writer.started().await?;
        }
        if let Some((batch, flushing)) = self.closing.take() {
            self.committed(batch, flushing);
        }
        Ok(())
    }

    /// What ends the batch's transaction.
    pub(super) fn closing(&self, batch: &Batch, end: Lsn, flushing: Flushing) -> Closing {
        Closing {
            session: Arc::clone(&self.session),
            journal: self.journal.clone(),
            stream: self.stream.clone(),
            from: self.position,
            to: end,
            marker: batch.markers.last().cloned(),
            flushing,
        }
    }

    /// Sends the rest of the batch, its position and the commit on their way, and is ready for the next batch.
    pub(super) async fn close(&mut self, flushing: Flushing) -> Result<(), StreamError> {
        let Some(end) = self.batch.end else { return Ok(()) };
        let batch = std::mem::take(&mut self.batch);
        let closing = self.closing(&batch, end, flushing);
        self.writer.start_and(closing.run()).await?;
        self.armed = None;
        self.position = end;
        self.closing = Some((batch, flushing));
        Ok(())
    }

    pub(super) fn committed(&mut self, batch: Batch, flushing: Flushing) {
        // Whoever waits for a marker must find the position with it.
        match flushing {
            Flushing::Waits => self.is_flushed(),
            Flushing::IsLeft => self.unflushed = true,
        }
        self.report(batch);
    }

    /// Everything that was committed is on the target's disk.
    pub(super) fn is_flushed(&mut self) {
        self.unflushed = false;
        self.flushed_since = Instant::now();
        let position = self.position;
        self.flushed.send_replace(position);
        self.reporter.change(|status| status.position = Some(position));
    }
}

/// Waits until everything that a session has seen committed is on the target's disk: by a message of its own, which tells
/// nobody anything. The session must not be in a transaction.
pub(crate) async fn flush_commits(session: &Client, stream: &str) -> Result<(), StreamError> {
    wal::emit_message(session, labels::MESSAGE_HEARTBEAT, stream).await.map(drop).on(Side::Target)
}
