//! A session of its own on the source: heartbeats, so that positions move when only foreign traffic flows, and a look
//! at the slot now and then.

use super::{FollowSpec, SlotStatus, status::Reporter};
use crate::{Side, StreamError, error::On};
use cleave_model::labels;
use cleave_pg::{During, Session};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

/// Between two looks at the slot.
const SLOT_INTERVAL: Duration = Duration::from_secs(5);

/// Runs until the session fails.
pub(super) async fn run(
    spec: &FollowSpec,
    session: &Session,
    reporter: &Reporter,
) -> Result<std::convert::Infallible, StreamError> {
    let period = spec.options.heartbeat_interval.max(Duration::from_millis(10));
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut slot = interval(SLOT_INTERVAL);
    slot.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = heartbeat.tick() => beat(spec, session).await?,
            _ = slot.tick() => {
                let seen = look(spec, session).await?;
                reporter.change(|status| status.slot = seen);
            }
        }
    }
}

async fn beat(spec: &FollowSpec, session: &Session) -> Result<(), StreamError> {
    session
        .execute(
            "select pg_catalog.pg_logical_emit_message(true, $1, $2::text)",
            &[&labels::MESSAGE_HEARTBEAT, &spec.stream()],
        )
        .await
        .during("writing a heartbeat")
        .on(Side::Source)?;
    Ok(())
}

async fn look(spec: &FollowSpec, session: &Session) -> Result<Option<SlotStatus>, StreamError> {
    let row = session
        .query_opt(
            "select coalesce(wal_status, ''),
                    pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::bigint, safe_wal_size
             from pg_catalog.pg_replication_slots where slot_name = $1",
            &[&spec.slot],
        )
        .await
        .during(format!("looking at the slot {}", spec.slot))
        .on(Side::Source)?;
    Ok(row.map(|row| SlotStatus {
        wal_status: row.get(0),
        retained_bytes: row.get::<_, Option<i64>>(1).map_or(0, |bytes| u64::try_from(bytes).unwrap_or(0)),
        safe_wal_size: row.get(2),
    }))
}
