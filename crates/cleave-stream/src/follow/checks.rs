//! What must hold each time a stream connects, before a change is read: the source is the one the position belongs
//! to, and the slot has not gone ahead of the target.

use super::FollowSpec;
use crate::{Side, StreamError, error::On};
use cleave_journal::StreamPosition;
use cleave_model::{Lsn, Position};
use cleave_pg::{Session, replication::SystemIdentity, slots};

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
    // Only flushed log is ever sent, so a crash cannot take back what we have: a backup was restored. The server would
    // not tell: it would send nothing until its log reaches our position again, and leave out all before.
    if found.lsn < position.lsn {
        return Err(StreamError::SourceSetBack { stream, found: found.lsn, position: position.lsn });
    }
    Ok(position)
}

/// The slot is this database's, can be read, and is not confirmed beyond the position.
pub(super) async fn slot(spec: &FollowSpec, source: &Session, position: Lsn) -> Result<(), StreamError> {
    let lost =
        |problem: &str| Err(StreamError::SlotLost { slot: spec.slot.clone(), problem: problem.into() });
    let Some(found) = slots::health(source, &spec.slot).await.on(Side::Source)? else {
        return lost("does not exist on the source");
    };
    if found.plugin != "pgoutput" || found.database != spec.source.dbname() {
        return lost("was not made by Cleave for this database");
    }
    if let Some(reason) = found.invalidation {
        return lost(&format!("can no longer be read ({reason})"));
    }
    let Some(confirmed) = found.confirmed_flush else { return lost("was never finished") };
    if confirmed > position {
        return Err(StreamError::SlotAhead { slot: spec.slot.clone(), confirmed, position });
    }
    Ok(())
}
