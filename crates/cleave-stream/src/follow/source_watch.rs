//! A session of its own on the source: heartbeats, so that positions move when only foreign traffic flows, a look at the
//! tables' columns with each, and one at the slot now and then.

use super::{FollowSpec, status::Reporter};
use crate::{
    Side, StreamError,
    apply::{Look, look},
    error::On,
};
use cleave_model::{Direction, Oid, labels};
use cleave_pg::{During, Session, slots, wal};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

/// Between two looks at the slot.
const SLOT_INTERVAL: Duration = Duration::from_secs(5);
/// Heartbeats between two looks at the tables' columns.
const COLUMNS_BEATS: u32 = 5;

/// Another one means that a column or a table's file may be another.
const DIGEST: &str = "
    select pg_catalog.sum(a.xmin::pg_catalog.text::bigint)::pg_catalog.text || ' ' || pg_catalog.count(*) || ' '
           || pg_catalog.sum(c.relfilenode::bigint)
    from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    where c.oid = any($1)";

/// Runs until the session fails.
pub(super) async fn run(
    spec: &FollowSpec,
    session: &Session,
    reporter: &Reporter,
    looks: &watch::Sender<Option<Arc<Look>>>,
) -> Result<std::convert::Infallible, StreamError> {
    let period = spec.options.heartbeat_interval.max(Duration::from_millis(10));
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut column = interval(period * COLUMNS_BEATS);
    column.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    let mut slot = interval(SLOT_INTERVAL);
    slot.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tables: Vec<Oid> = match spec.direction {
        Direction::Forward => spec.routes.iter().map(|route| route.source_oid).collect(),
        Direction::Back => Vec::new(),
    };
    loop {
        tokio::select! {
            _ = heartbeat.tick() => beat(spec, session).await?,
            _ = column.tick(), if !tables.is_empty() => {
                let now = digest(session, &tables).await?;
                if seen.as_ref() != Some(&now) {
                    looks.send_replace(Some(Arc::new(look(&**session, &tables).await?)));
                    seen = Some(now);
                }
            }
            _ = slot.tick() => {
                let health = slots::health(session, &spec.slot).await.on(Side::Source)?;
                reporter.change(|status| status.slot = health);
            }
        }
    }
}

async fn beat(spec: &FollowSpec, session: &Session) -> Result<(), StreamError> {
    let said = wal::emit_message(session, labels::MESSAGE_HEARTBEAT, &spec.stream()).await;
    said.map(drop).on(Side::Source)
}

async fn digest(session: &Session, tables: &[Oid]) -> Result<Option<String>, StreamError> {
    let oids: Vec<u32> = tables.iter().map(|oid| oid.0).collect();
    let row = session.query_one(DIGEST, &[&oids]).await;
    row.and_then(|row| row.try_get(0)).during("looking at the tables' columns").on(Side::Source)
}
