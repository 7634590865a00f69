//! Making a slot together with the snapshot at its consistent point, and the first position of a stream.

use crate::{Side, StreamError, error::On};
use cleave_journal::insert_position;
use cleave_model::{Lsn, Position};
use cleave_pg::{
    Endpoint, connect_replication,
    replication::{ReplicationSession, SlotLifetime, SlotSnapshot},
};
use std::time::Duration;
use tokio_postgres::GenericClient;

/// A new slot and the session that keeps its snapshot alive: the snapshot ends when this is dropped.
#[derive(Debug)]
pub struct SnapshotSlot {
    /// System identifier, timeline and consistent point: what the stream's first position row says.
    pub position: Position,
    /// Name for `set transaction snapshot`.
    pub snapshot: String,
    session: ReplicationSession,
}

impl SnapshotSlot {
    /// Every transaction that commits after it is delivered; everything before it is in the snapshot.
    pub fn consistent_point(&self) -> Lsn {
        self.position.lsn
    }

    /// The walsender that holds the snapshot.
    pub fn backend_pid(&self) -> i32 {
        self.session.backend_pid()
    }
}

/// Creates a slot and exports the snapshot at its consistent point. Waits for every transaction with an xid that runs
/// at the source, at most `limit`; past it nothing is left behind.
///
/// # Errors
/// [`StreamError::Server`]: the source cannot be reached, the slot exists, no slot is free, or the limit passed.
pub async fn create_slot_with_snapshot(
    source: &Endpoint,
    name: &str,
    lifetime: SlotLifetime,
    limit: Duration,
) -> Result<SnapshotSlot, StreamError> {
    let mut session = connect_replication(source, "snapshot").await.on(Side::Source)?;
    let identity = session.identify_system().await.on(Side::Source)?;
    let created = session.create_slot(name, lifetime, SlotSnapshot::Export, limit).await.on(Side::Source)?;
    let snapshot = created.snapshot.ok_or_else(|| StreamError::Protocol {
        problem: format!("slot {name} was created without a snapshot"),
    })?;
    let position = Position {
        system_identifier: identity.system_identifier,
        timeline: identity.timeline,
        lsn: created.consistent_point,
    };
    Ok(SnapshotSlot { position, snapshot, session })
}

/// Writes the first position of a stream on its target, in place of an earlier slot's, before it is followed.
///
/// # Errors
/// [`StreamError::Journal`].
pub async fn write_first_position(
    target: &impl GenericClient,
    stream: &str,
    slot: &str,
    position: Position,
) -> Result<(), StreamError> {
    Ok(insert_position(target, stream, slot, position).await?)
}
