//! Lets both servers rest: while a copy runs they are asked how busy they are, and its workers wait while one of them is
//! beyond a limit. They stop where they are, inside a table too, and go on by themselves.

use super::{CopySpec, progress::Meter};
use crate::{CopyProgress, Side, StreamError, error::On};
use cleave_model::format_bytes;
use cleave_pg::{During, Session, connect};
use std::{fmt, time::Duration};
use tokio::{sync::watch, time::sleep};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Whoever reads now: a slot without a reader does not come nearer however long anybody waits, and pausing makes the slot
/// that waits for this copy to end keep more, not less. `$1` and `$2` say which of both is wanted. Nothing of Cleave counts.
const SOURCE_LOAD: &str = "
    with behind(bytes) as (
        select pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(s.confirmed_flush_lsn, s.restart_lsn))
        from pg_replication_slots s join pg_stat_activity a on a.pid = s.active_pid
        where $1 and a.application_name not like 'cleave %'
        union all
        select pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, sent_lsn))
        from pg_stat_replication
        where $1 and application_name not like 'cleave %')
    select pg_has_role('pg_read_all_stats', 'usage'),
        coalesce((select max(bytes) from behind), 0)::int8,
        case when $2 then (
            select count(*) from pg_stat_activity
            where state = 'active' and backend_type = 'client backend' and application_name not like 'cleave %')
        else 0 end";

/// What slots hold back, and finished segments that wait for the archive. Segments that only wait to be used again do not
/// count: their number does not go down.
const TARGET_LOG: &str = "
    select greatest(
        coalesce((select max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) from pg_replication_slots), 0),
        (select count(*) from pg_ls_archive_statusdir() where name like '%.ready')
            * (select setting::int8 from pg_settings where name = 'wal_segment_size'))::int8";

const MAY_SEE_TARGET_LOG: &str =
    "select has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'execute')";

/// What the two servers must not exceed while tables are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadLimits {
    /// Bytes of log that a standby, or a slot that somebody reads, may be behind the source.
    pub lag_bytes_max: Option<u64>,
    /// Sessions that may be executing a statement on the source.
    pub sessions_max: Option<u32>,
    /// Bytes of log that the target may keep for its slots or its archive.
    pub target_log_bytes_max: Option<u64>,
}

impl LoadLimits {
    fn watches_source(&self) -> bool {
        self.lag_bytes_max.is_some() || self.sessions_max.is_some()
    }
}

/// Why a copy waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// So many bytes of the source's log are not yet everywhere.
    Lag(u64),
    /// So many sessions are executing a statement on the source.
    Sessions(u64),
    /// So many bytes of log are kept on the target.
    TargetLog(u64),
}

impl Busy {
    /// True if both wait for the same thing, whatever the numbers.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lag(bytes) => {
                write!(f, "a standby or subscriber of the source is {} behind", format_bytes(*bytes))
            }
            Self::Sessions(number) => write!(f, "{number} sessions work on the source"),
            Self::TargetLog(bytes) => {
                write!(f, "the target keeps {} of log for its slots or its archive", format_bytes(*bytes))
            }
        }
    }
}

/// Holds the workers.
pub(super) struct Brake(watch::Sender<Option<Busy>>);

impl Brake {
    /// A brake that is off.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Returns once both servers are below their limits.
    pub(super) async fn rested(&self) {
        if self.0.borrow().is_some() {
            // The sender lives as long as this.
            let mut seen = self.0.subscribe();
            let _off = seen.wait_for(Option::is_none).await;
        }
    }

    fn set<F: Fn(CopyProgress)>(&self, busy: Option<Busy>, meter: &Meter<F>) {
        if self.0.send_replace(busy) != busy {
            meter.waits(busy);
        }
    }
}

/// Sessions of its own on the servers that have a limit.
pub(super) struct Lookout {
    limits: LoadLimits,
    source: Option<Session>,
    target: Option<Session>,
}

impl Lookout {
    /// Connects where there is something to look at; `None` without limits. Refuses a role that would see nothing and take
    /// that for calm.
    pub(super) async fn start(spec: &CopySpec) -> Result<Option<Self>, StreamError> {
        let limits = spec.load;
        if limits == LoadLimits::default() {
            return Ok(None);
        }
        let (mut source, mut target) = (None, None);
        if limits.watches_source() {
            source = Some(connect(&spec.source, "watch load").await.on(Side::Source)?);
        }
        if limits.target_log_bytes_max.is_some() {
            let session = connect(&spec.target, "watch load").await.on(Side::Target)?;
            let row = session.query_one(MAY_SEE_TARGET_LOG, &[]).await;
            let may: bool =
                row.and_then(|row| row.try_get(0)).during("looking at its rights").on(Side::Target)?;
            if !may {
                return Err(StreamError::LoadUnknown { side: Side::Target, right: "pg_monitor" });
            }
            target = Some(session);
        }
        Ok(Some(Self { limits, source, target }))
    }

    /// Sets the brake as the servers are now.
    pub(super) async fn look<F: Fn(CopyProgress)>(
        &self,
        brake: &Brake,
        meter: &Meter<F>,
    ) -> Result<(), StreamError> {
        let busy = match self.source_busy().await? {
            None => self.target_busy().await?,
            busy => busy,
        };
        brake.set(busy, meter);
        Ok(())
    }

    /// Looks again and again. Ends when a server does not answer: what is not known is no reason to go on.
    pub(super) async fn run<F: Fn(CopyProgress)>(&self, brake: &Brake, meter: &Meter<F>) -> StreamError {
        loop {
            sleep(LOOK).await;
            if let Err(error) = self.look(brake, meter).await {
                return error;
            }
        }
    }

    async fn source_busy(&self) -> Result<Option<Busy>, StreamError> {
        let Some(source) = &self.source else { return Ok(None) };
        let LoadLimits { lag_bytes_max, sessions_max, .. } = self.limits;
        let row = source.query_one(SOURCE_LOAD, &[&lag_bytes_max.is_some(), &sessions_max.is_some()]).await;
        let read = row.and_then(|row| {
            Ok((row.try_get::<_, bool>(0)?, row.try_get::<_, i64>(1)?, row.try_get::<_, i64>(2)?))
        });
        let (may, lag, sessions) = read.during("looking at how busy it is").on(Side::Source)?;
        if !may {
            return Err(StreamError::LoadUnknown { side: Side::Source, right: "pg_read_all_stats" });
        }
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        let (lag, sessions) = (count(lag), count(sessions));
        Ok(if lag_bytes_max.is_some_and(|most| lag > most) {
            Some(Busy::Lag(lag))
        } else if sessions_max.is_some_and(|most| sessions > u64::from(most)) {
            Some(Busy::Sessions(sessions))
        } else {
            None
        })
    }

    async fn target_busy(&self) -> Result<Option<Busy>, StreamError> {
        let (Some(target), Some(most)) = (&self.target, self.limits.target_log_bytes_max) else {
            return Ok(None);
        };
        let row = target.query_one(TARGET_LOG, &[]).await;
        let kept: i64 =
            row.and_then(|row| row.try_get(0)).during("looking at the log that it keeps").on(Side::Target)?;
        let kept = u64::try_from(kept).unwrap_or(0);
        Ok((kept > most).then_some(Busy::TargetLog(kept)))
    }
}
