//! How a target transaction ends: the position moves, and the commit waits for the disk or leaves that to a later one.

use crate::{Side, StreamError, error::On};
use cleave_journal::ApplierStatements;
use cleave_model::{Lsn, labels};
use cleave_pg::{During, Session, wal};
use std::sync::Arc;
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

/// Waits until everything that a session has seen committed is on the target's disk: by a message of its own, which tells
/// nobody anything. The session must not be in a transaction.
pub(crate) async fn flush_commits(session: &Client, stream: &str) -> Result<(), StreamError> {
    wal::emit_message(session, labels::MESSAGE_HEARTBEAT, stream).await.map(drop).on(Side::Target)
}
