//! A session of its own on the source: heartbeats, so that positions move when only foreign traffic flows, and a look
//! at the slot now and then.

use super::{FollowSpec, status::Reporter};
use crate::{Side, StreamError, error::On};
use cleave_model::labels;
use cleave_pg::{Session, slots, wal};
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
                let seen = slots::health(session, &spec.slot).await.on(Side::Source)?;
                reporter.change(|status| status.slot = seen);
            }
        }
    }
}

async fn beat(spec: &FollowSpec, session: &Session) -> Result<(), StreamError> {
    let said = wal::emit_message(session, labels::MESSAGE_HEARTBEAT, &spec.stream()).await;
    said.map(drop).on(Side::Source)
}
