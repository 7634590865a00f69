//! What must hold each time a stream connects, before a change is read: the source is the one the position belongs
//! to, and the slot has not gone ahead of the target.

use super::FollowSpec;
use crate::{Side, StreamError, error::On};
use cleave_journal::StreamPosition;
use cleave_model::{Lsn, Position};
use cleave_pg::{During, Session, replication::SystemIdentity};
use tokio_postgres::types::PgLsn;

/// The stored position, if it belongs to this slot of this source.
pub(super) fn position(
    spec: &FollowSpec,
    stored: Option<StreamPosition>,
    found: &SystemIdentity,
) -> Result<Position, StreamError> {
    let stream = spec.stream();
    let Some(StreamPosition { slot, position, .. }) = stored else {
        return Err(StreamError::PositionInvalid { stream, problem: "is missing on the target".into() });
    };
    if slot != spec.slot {
        let problem = format!("belongs to slot {slot}, not to {}", spec.slot);
        return Err(StreamError::PositionInvalid { stream, problem });
    }
    if (found.system_identifier, found.timeline) != (position.system_identifier, position.timeline) {
        return Err(StreamError::SystemChanged {
            stream,
            expected_system: position.system_identifier,
            expected_timeline: position.timeline,
            found_system: found.system_identifier,
            found_timeline: found.timeline,
        });
    }
    Ok(position)
}

/// The slot exists, has its log, and is not confirmed beyond the position.
pub(super) async fn slot(spec: &FollowSpec, source: &Session, position: Lsn) -> Result<(), StreamError> {
    let row = source
        .query_opt(
            "select confirmed_flush_lsn, wal_status, database = pg_catalog.current_database()
             from pg_catalog.pg_replication_slots where slot_name = $1 and plugin = 'pgoutput'",
            &[&spec.slot],
        )
        .await
        .during(format!("looking at the slot {}", spec.slot))
        .on(Side::Source)?;
    let lost = |problem| Err(StreamError::SlotLost { slot: spec.slot.clone(), problem });
    let Some(row) = row else { return lost("does not exist on the source") };
    if !row.get::<_, Option<bool>>(2).unwrap_or(false) {
        return lost("belongs to another database");
    }
    if row.get::<_, Option<&str>>(1) == Some("lost") {
        return lost("has lost log that it needs: max_slot_wal_keep_size was exceeded");
    }
    let Some(confirmed) = row.get::<_, Option<PgLsn>>(0) else {
        return lost("is not a finished logical slot");
    };
    let confirmed = Lsn(confirmed.into());
    if confirmed > position {
        return Err(StreamError::SlotAhead { slot: spec.slot.clone(), confirmed, position });
    }
    Ok(())
}
