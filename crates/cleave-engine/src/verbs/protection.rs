//! Backup and standbys of the new home, among the gates: what it will hold alone from the switch on must not be easier to lose.

use crate::{EngineError, Site, context::MoveContext, runner::Runner};
use cleave_pg::{During, PgError};
use cleave_plan::cutover::Round;
use cleave_plan::{Protection, protection_lacks};

/// All of it is shown to every role but how far standbys are behind.
const PROTECTION: &str = "
    with sender as (
        select r.application_name = 'pg_receivewal' as receives, r.state,
               pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.replay_lsn)::bigint as behind
        from pg_catalog.pg_stat_replication r
        where not exists (select from pg_catalog.pg_replication_slots s
                          where s.active_pid = r.pid and s.slot_type = 'logical')
          and coalesce(r.application_name, '') <> 'pg_basebackup'),
    standby as (
        select behind from sender where not receives and coalesce(state, 'streaming') in ('streaming', 'catchup'))
    select pg_catalog.current_setting('archive_mode') <> 'off'
             or exists (select from sender where receives) as archives,
           (select last_failed_wal from pg_catalog.pg_stat_archiver
            where pg_catalog.current_setting('archive_mode') <> 'off'
              and last_failed_time > coalesce(last_archived_time, '-infinity')) as fails_at,
           (select count(*) from standby) as standbys,
           (select min(behind) from standby) as behind,
           pg_catalog.current_setting('synchronous_standby_names') <> '' as synchronous,
           pg_catalog.current_setting('fsync') = 'on' and pg_catalog.current_setting('full_page_writes') = 'on'
             as survives";

impl Runner {
    /// Refuses a new home that is protected less than the old one, unless the operator has said that it may be. On the way
    /// back it is said and nothing more: who goes back has a reason.
    ///
    /// Gives what the operator accepts.
    pub(super) async fn protection_gate(
        &self,
        round: Round,
        move_: &MoveContext,
    ) -> Result<Vec<String>, EngineError> {
        let (old, new) = match round {
            Round::Cutover => (&move_.m, &move_.n),
            Round::Rollback => (&move_.n, &move_.m),
        };
        let lacks = protection_lacks(&read(old).await?, &read(new).await?);
        if lacks.is_empty() {
            return Ok(lacks);
        }
        let message = format!("{} {}", new.name, lacks.join("; it "));
        if round == Round::Rollback || self.wishes.accept_less_protection {
            self.events.note(Some(&self.service), message);
            return Ok(lacks);
        }
        Err(EngineError::gate("C0732", message)
            .hint("see to it there; or, if it is meant to be so, say --accept-less-protection"))
    }
}

async fn read(site: &Site) -> Result<Protection, EngineError> {
    let during = "reading how the server is protected";
    let session = site.connect("gates").await?;
    let row = session.query_one(PROTECTION, &[]).await.during(during)?;
    let read = || -> Result<Protection, tokio_postgres::Error> {
        Ok(Protection {
            archives: row.try_get("archives")?,
            archiving_fails_at: row.try_get("fails_at")?,
            standbys: u32::try_from(row.try_get::<_, i64>("standbys")?).unwrap_or(u32::MAX),
            standby_lag_bytes: row
                .try_get::<_, Option<i64>>("behind")?
                .map(|behind| behind.max(0).unsigned_abs()),
            synchronous: row.try_get("synchronous")?,
            survives_crashes: row.try_get("survives")?,
        })
    };
    let protection: Result<Protection, PgError> = read().during(during);
    Ok(protection?)
}
