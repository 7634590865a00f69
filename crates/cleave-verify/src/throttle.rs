//! Lets the home rest: before each part of a table it is asked how far its standbys and slots are behind and how many
//! sessions work, and reading waits while one is beyond its limit.

use crate::{VerifyError, VerifyLimits, VerifyProgress, connection::Connection};
use cleave_model::QualifiedName;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Whoever reads now: a slot without a reader does not come nearer however long anybody waits. `$1` and `$2` say which
/// of both is wanted; sessions of Cleave do not count.
const LOAD: &str = "\
    with now(lsn) as (
        select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end),
    behind(bytes) as (
        select pg_wal_lsn_diff(n.lsn, coalesce(s.confirmed_flush_lsn, s.restart_lsn))
        from pg_replication_slots s, now n where s.active
        union all
        select pg_wal_lsn_diff(n.lsn, r.replay_lsn) from pg_stat_replication r, now n)
    select case when $1 then coalesce((select max(bytes) from behind), 0) else 0 end::int8,
        case when $2 then (select count(*) from pg_stat_activity
            where state = 'active' and pid <> pg_backend_pid()
                and coalesce(backend_type, 'client backend') = 'client backend'
                and coalesce(application_name, '') not like 'cleave %') else 0 end::int8,
        pg_has_role('pg_read_all_stats', 'usage')";

/// What the home must not exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadLimits {
    /// Bytes that a standby or a slot with a reader may be behind.
    pub lag_bytes_max: Option<u64>,
    /// Sessions that may be executing a statement.
    pub sessions_max: Option<u32>,
}

/// Why reading waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// So many bytes are not yet everywhere.
    Lag(u64),
    /// So many sessions are executing a statement.
    Sessions(u64),
}

/// Returns once the home is below the limits. An end of the comparison ends this too.
pub(crate) async fn rested(
    home: &Connection,
    table: &QualifiedName,
    limits: VerifyLimits,
    progress: &(dyn Fn(VerifyProgress) + Sync),
) -> Result<(), VerifyError> {
    let wanted = limits.load;
    if wanted == LoadLimits::default() {
        return Ok(());
    }
    let mut told = false;
    while let Some(busy) = busy(home, table, wanted).await? {
        if !told {
            progress(VerifyProgress::Waiting { table: table.clone(), busy });
            told = true;
        }
        sleep(LOOK).await;
    }
    Ok(())
}

async fn busy(
    home: &Connection,
    table: &QualifiedName,
    limits: LoadLimits,
) -> Result<Option<Busy>, VerifyError> {
    let wanted = [limits.lag_bytes_max.is_some(), limits.sessions_max.is_some()];
    let rows = home.rows(table, LOAD, &[&wanted[0], &wanted[1]]).await?;
    let row = rows.first().ok_or_else(|| home.unexpected(table, "the load of the server is missing"))?;
    let (lag, sessions): (i64, i64) = (home.value(table, row, 0)?, home.value(table, row, 1)?);
    if !home.value(table, row, 2)? {
        return Err(VerifyError::LoadUnknown);
    }
    let (lag, sessions) = (u64::try_from(lag).unwrap_or(0), sessions.unsigned_abs());
    Ok(if limits.lag_bytes_max.is_some_and(|most| lag > most) {
        Some(Busy::Lag(lag))
    } else if limits.sessions_max.is_some_and(|most| sessions > u64::from(most)) {
        Some(Busy::Sessions(sessions))
    } else {
        None
    })
}
