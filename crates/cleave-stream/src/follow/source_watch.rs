//! A session of its own on the source: heartbeats, so that positions move when only foreign traffic flows, a look at the
//! tables' columns with each, and one at the slot and at the tables' partitions now and then.

use super::{FollowSpec, status::Reporter};
use crate::{
    Route, Side, StreamError,
    apply::{Look, look_locked},
    error::On,
};
use cleave_model::{Direction, Oid, labels};
use cleave_pg::{During, PgError, Session, slots, wal};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

/// Between two looks at the slot, and at partitions.
const SLOT_INTERVAL: Duration = Duration::from_secs(5);
/// Heartbeats between two looks at the tables' columns.
const COLUMNS_BEATS: u32 = 5;

/// Another one means that a column or a table's file may be another.
const DIGEST: &str = "
    select pg_catalog.sum(a.xmin::pg_catalog.text::bigint)::pg_catalog.text || ' ' || pg_catalog.count(*) || ' '
           || pg_catalog.sum(c.relfilenode::bigint)
    from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    where c.oid = any($1)";

/// Rows that came or went with a partition were never written by anybody, so no slot tells of them. A partition that
/// was just made is empty: its first row is published, and has no route.
const PARTITIONS: &str = "
    select pg_catalog.format('%I.%I', n.nspname, c.relname), 'came with rows after the stream was made'
    from (select distinct pg_catalog.pg_partition_root(oid) as root from pg_catalog.unnest($1::oid[]) as of_route (oid)) as roots,
         pg_catalog.pg_partition_tree(roots.root) as t
         join pg_catalog.pg_class c on c.oid = t.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where t.isleaf and c.relkind = 'r'
      and not exists (select from pg_catalog.unnest($1::oid[] || $2::oid[]) as known (oid) where known.oid = t.relid)
      and pg_catalog.pg_relation_size(t.relid) > 0
    union all
    select k.name, case when c.oid is null then 'was dropped' else 'was detached from its table' end
    from rows from (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::bool[]))
           as k (oid, name, is_partition)
         left join pg_catalog.pg_class c on c.oid = k.oid
    where c.oid is null or k.is_partition and not c.relispartition
    order by 1 limit 1";

const PARTITIONS_OF_TARGET: &str = "
    select c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relispartition
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1::oid[])";

/// The stream's tables, and which of them the target has as partitions: there they stay what they were.
#[derive(Debug)]
pub(super) struct Partitions {
    sources: Vec<u32>,
    left_out: Vec<u32>,
    names: Vec<String>,
    are_partitions: Vec<bool>,
}

impl Partitions {
    /// Reads the target.
    pub(super) async fn read(spec: &FollowSpec, target: &Session) -> Result<Self, StreamError> {
        let oids: Vec<u32> = spec.routes.iter().map(|route| route.target_oid.0).collect();
        let what = "looking at the target's partitions";
        let rows = target.query(PARTITIONS_OF_TARGET, &[&oids]).await.during(what).on(Side::Target)?;
        let left_out = spec.left_out.iter().map(|oid| oid.0).collect();
        let mut read = Self { sources: vec![], left_out, names: vec![], are_partitions: vec![] };
        for row in rows {
            let oid: u32 = row.get(0);
            let of = |route: &&Route| route.target_oid.0 == oid;
            let Some(route) = spec.routes.iter().find(of) else { continue };
            read.sources.push(route.source_oid.0);
            read.names.push(row.get(1));
            read.are_partitions.push(row.get(2));
        }
        Ok(read)
    }

    /// Fails if a table of the stream has come, gone, or is no longer part of what it was part of.
    async fn check(&self, source: &Session) -> Result<(), StreamError> {
        let arguments: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&self.sources, &self.left_out, &self.names, &self.are_partitions];
        let what = "looking at the partitions";
        let found = source.query_opt(PARTITIONS, &arguments).await.during(what).on(Side::Source)?;
        let Some(found) = found else { return Ok(()) };
        Err(StreamError::PartitionsChanged { table: found.get(0), change: found.get(1) })
    }
}

/// Runs until the session fails, or the tables are not what they were.
pub(super) async fn run(
    spec: &FollowSpec,
    session: &Session,
    partitions: &Partitions,
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
                    match look_locked(session, &tables).await {
                        Ok(look) => looks.send_replace(Some(Arc::new(look))),
                        // Somebody alters one of them now: the next look sees it.
                        Err(StreamError::Server { source, .. }) if is_for_later(&source) => continue,
                        Err(error) => return Err(error),
                    };
                    seen = Some(now);
                }
            }
            _ = slot.tick() => {
                let health = slots::health(session, &spec.slot).await.on(Side::Source)?;
                reporter.change(|status| status.slot = health);
                partitions.check(session).await?;
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

/// The lock was not to be had in time, or a table had another name by then.
fn is_for_later(error: &PgError) -> bool {
    error.is_lock_timeout() || matches!(error.sqlstate(), Some("42P01" | "3F000"))
}
