//! What must hold each time a stream connects, before a change is read: the source is the one the position belongs
//! to, and the slot has not gone ahead of the target.

use super::FollowSpec;
use crate::{Side, StreamError, error::On};
use cleave_journal::StreamPosition;
use cleave_model::{Lsn, Position};
use cleave_pg::{
    During, Session,
    replication::{ReplicationSession, SystemIdentity},
    slots,
};

/// The stored position, if it belongs to this slot of this source, perhaps on an earlier timeline.
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
    if found.system_identifier != position.system_identifier || found.timeline < position.timeline {
        return Err(changed(spec, position, found));
    }
    // Only flushed log is ever sent, so a crash cannot take back what we have: a backup was restored. The server would
    // not tell: it would send nothing until its log reaches our position again, and leave out all before.
    if found.lsn < position.lsn {
        return Err(StreamError::SourceSetBack { stream, found: found.lsn, position: position.lsn });
    }
    Ok(position)
}

fn changed(spec: &FollowSpec, position: Position, found: &SystemIdentity) -> StreamError {
    StreamError::SystemChanged {
        stream: spec.stream(),
        expected_system: position.system_identifier,
        expected_timeline: position.timeline,
        found_system: found.system_identifier,
        found_timeline: found.timeline,
    }
}

/// The source may be a standby that was promoted: then the slot must be the copy of a failover slot, and the new timeline
/// must have all of the log that the target has applied. What the slot gives again is left out by its position, as ever.
pub(super) async fn timeline(
    spec: &FollowSpec,
    position: Position,
    found: &SystemIdentity,
    (replication, source): (&mut ReplicationSession, &Session),
) -> Result<(), StreamError> {
    let slot = slots::health(source, &spec.slot).await.on(Side::Source)?;
    if slot.as_ref().is_some_and(|slot| slot.synced) && is_standby(source).await? {
        return Err(StreamError::SourceIsStandby { stream: spec.stream() });
    }
    if found.timeline == position.timeline {
        return Ok(());
    }
    let Some(slot) = slot.filter(|slot| slot.failover) else {
        return Err(changed(spec, position, found));
    };
    let refused = |reason: String| Err(StreamError::FailoverRefused { stream: spec.stream(), reason });
    if !slot.synced || slot.temporary {
        return refused(format!("slot {} was not yet synchronized when the standby was promoted", spec.slot));
    }
    let history = replication.timeline_history(found.timeline).await.on(Side::Source)?;
    // Rows that were copied at a later point than the position are of the old log too.
    let copied = spec.routes.iter().map(|route| route.start).max().unwrap_or_default();
    let had = position.lsn.max(copied);
    let left = history.iter().find(|(timeline, _)| *timeline == position.timeline);
    match left {
        Some((_, end)) if had <= *end => Ok(()),
        Some((_, end)) => refused(format!(
            "the target has what timeline {} had at {had}, but the promoted standby has it only up to {end}",
            position.timeline
        )),
        None => refused(format!(
            "timeline {} does not come from timeline {}, which the position belongs to",
            found.timeline, position.timeline
        )),
    }
}

async fn is_standby(source: &Session) -> Result<bool, StreamError> {
    let row = source.query_one("select pg_catalog.pg_is_in_recovery()", &[]).await;
    row.and_then(|row| row.try_get(0)).during("asking whether it is a standby").on(Side::Source)
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
