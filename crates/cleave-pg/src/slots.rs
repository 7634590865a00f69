//! Replication slots through SQL (manual 54.20, `pg_replication_slots`, and 9.28.6). Slots whose snapshot is needed
//! are created on a [`crate::replication::ReplicationSession`] instead.

use crate::{During, PgError, wal::lsn};
use cleave_model::{Lsn, quote_literal};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_postgres::{Client, Row, types::PgLsn};

/// How often a slot is looked at while it is waited for.
const GLANCE: Duration = Duration::from_millis(20);

/// A logical slot and how it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Unique in the cluster.
    pub name: String,
    /// Output plugin.
    pub plugin: String,
    /// The database it reads.
    pub database: String,
    /// Gone with the connection that made it.
    pub temporary: bool,
    /// The walsender that reads it.
    pub active_pid: Option<i32>,
    /// The server keeps the log from here on.
    pub restart_lsn: Option<Lsn>,
    /// Everything before it was confirmed by the reader.
    pub confirmed_flush: Option<Lsn>,
    /// Whether the log it needs is there.
    pub wal_status: WalStatus,
    /// How much more may be written before the slot is lost; `None` without `max_slot_wal_keep_size`. Negative once it
    /// is over.
    pub safe_wal_bytes: Option<i64>,
    /// The log that the server keeps for it.
    pub retained_bytes: u64,
    /// Why it can no longer be read: `wal_removed`, `rows_removed`, `wal_level_insufficient`, `idle_timeout`.
    pub invalidation: Option<String>,
    /// Standbys that synchronize slots keep a copy of it. False before 17.
    pub failover: bool,
    /// It is such a copy, or was one before this server was promoted.
    pub synced: bool,
}

/// `wal_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalStatus {
    /// Within `max_wal_size`.
    Reserved,
    /// Beyond it, and kept.
    Extended,
    /// Will be lost at the next checkpoint unless the reader catches up.
    Unreserved,
    /// Gone: the slot cannot be read.
    Lost,
}

const SLOTS: &str = "
    select s.slot_name::text, s.plugin::text, s.database::text, s.temporary, s.active_pid, s.restart_lsn,
           s.confirmed_flush_lsn, s.wal_status, s.safe_wal_size,
           greatest(pg_wal_lsn_diff(
               case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
               s.restart_lsn), 0)::bigint as retained,
           coalesce(to_jsonb(s) ->> 'invalidation_reason',
                    case when to_jsonb(s) ->> 'conflicting' = 'true' then 'rows_removed'
                         when s.wal_status = 'lost' then 'wal_removed' end) as invalidation,
           coalesce((to_jsonb(s) ->> 'failover')::bool, false) as failover,
           coalesce((to_jsonb(s) ->> 'synced')::bool, false) as synced
    from pg_replication_slots s
    where s.slot_type = 'logical'";

/// All logical slots of the session's database.
///
/// # Errors
/// A failed query.
pub async fn list(client: &Client) -> Result<Vec<Slot>, PgError> {
    let what = "listing the replication slots";
    let sql = format!("{SLOTS} and s.database = current_database() order by s.slot_name");
    let rows = client.query(&sql, &[]).await.during(what)?;
    rows.iter().map(slot).collect::<Result<_, _>>().during(what)
}

/// One logical slot of any database, or `None` if there is none of that name.
///
/// # Errors
/// A failed query.
pub async fn health(client: &Client, name: &str) -> Result<Option<Slot>, PgError> {
    let what = format!("looking at the slot {name}");
    let sql = format!("{SLOTS} and s.slot_name = $1::text");
    let row = client.query_opt(&sql, &[&name]).await.during(&what)?;
    row.as_ref().map(slot).transpose().during(&what)
}

/// A walsender, as `pg_stat_replication` shows it (manual 27.2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// `startup`, `catchup`, `streaming`, `stopping`; `None` where the role may not see another role's.
    pub state: Option<String>,
    /// The last position that it has sent.
    pub sent: Option<Lsn>,
    /// Since the reader's last answer, by the server's clock.
    pub last_answer_ms: Option<u64>,
}

/// The walsender of a process; `None` if it is none: a slot is also read by SQL.
///
/// # Errors
/// A failed query.
pub async fn sender(client: &Client, pid: i32) -> Result<Option<Sender>, PgError> {
    let what = "looking at a walsender";
    let sql = "select state, sent_lsn,
                      greatest(extract(epoch from clock_timestamp() - reply_time) * 1000, 0)::bigint
               from pg_stat_replication where pid = $1";
    let sender = |row: &Row| {
        let age: Option<i64> = row.try_get(2)?;
        Ok(Sender {
            state: row.try_get(0)?,
            sent: row.try_get::<_, Option<PgLsn>>(1)?.map(lsn),
            last_answer_ms: age.and_then(|age| u64::try_from(age).ok()),
        })
    };
    client.query_opt(sql, &[&pid]).await.and_then(|row| row.as_ref().map(sender).transpose()).during(what)
}

/// True if a slot of that name exists in the cluster, of whatever kind.
///
/// # Errors
/// A failed query.
pub async fn exists(client: &Client, name: &str) -> Result<bool, PgError> {
    let what = format!("looking for the slot {name}");
    let sql = "select exists (select from pg_replication_slots where slot_name = $1::text)";
    client.query_one(sql, &[&name]).await.and_then(|row| row.try_get(0)).during(&what)
}

/// Creates a logical slot and returns its consistent point. The server waits for every transaction that has an id, in
/// any database; past `limit` it stops and leaves no slot. The session must not be in a transaction.
///
/// # Errors
/// [`PgError::SlotNotReady`] past the limit; 53400 if no slot is free; 42710 if the name is taken; 55000 with a `wal_level` below logical.
pub async fn create_logical(client: &mut Client, name: &str, limit: Duration) -> Result<Lsn, PgError> {
    create(client, name, "'pgoutput'", limit).await
}

/// The same for a slot that standbys keep a copy of. From 17 on.
///
/// # Errors
/// As [`create_logical`].
pub async fn create_failover(client: &mut Client, name: &str, limit: Duration) -> Result<Lsn, PgError> {
    create(client, name, "'pgoutput', failover => true", limit).await
}

async fn create(client: &mut Client, name: &str, kind: &str, limit: Duration) -> Result<Lsn, PgError> {
    let what = format!("creating the slot {name}");
    // Without an xid of its own a transaction does not wait for itself; its end takes the limit back in any case.
    let transaction = client.transaction().await.during(&what)?;
    let limit_ms = limit.as_millis().clamp(1, i32::MAX as u128);
    transaction.batch_execute(&format!("set local statement_timeout = {limit_ms}")).await.during(&what)?;
    let sql = format!("select lsn from pg_create_logical_replication_slot($1::text, {kind})");
    let created = transaction.query_one(&sql, &[&name]).await.and_then(|row| row.try_get(0)).during(&what);
    let created = created.map_err(|error| match error.is_canceled() {
        true => PgError::slot_not_ready(name, limit),
        false => error,
    })?;
    transaction.commit().await.during(&what)?;
    Ok(lsn(created))
}

/// Copies a logical slot to a temporary one of this session, which starts where the other is confirmed. Returns false
/// if no slot is free, or if this role may not.
///
/// # Errors
/// There is no such slot, or it can no longer be read.
pub async fn copy_temporary(client: &Client, from: &str, to: &str) -> Result<bool, PgError> {
    let what = format!("copying the slot {from}");
    let sql = "select pg_copy_logical_replication_slot($1::text, $2::text, true)";
    match client.execute(sql, &[&from, &to]).await.during(&what) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.sqlstate(), Some("53400" | "42501")) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Copies a logical slot to one that stays, which starts where the other is confirmed. It is not kept by standbys, whatever the
/// other is.
///
/// # Errors
/// 53400 if no slot is free, 42501 if this role may not, 42710 if the name is taken; there is no such slot, or it can no longer be read.
pub async fn copy(client: &Client, from: &str, to: &str) -> Result<(), PgError> {
    let sql = "select pg_copy_logical_replication_slot($1::text, $2::text, false)";
    client.execute(sql, &[&from, &to]).await.during(format!("copying the slot {from}")).map(|_| ())
}

/// True if [`advance`] keeps what the slot still needs. Before the minor releases of May 2025 the server let go of rows of
/// its catalog too early (commit "Fix xmin advancement during fast_forward decoding").
pub const fn advance_is_safe(server_version_num: u32) -> bool {
    let first = match server_version_num / 10_000 {
        14 => 140_018,
        15 => 150_013,
        16 => 160_009,
        17 => 170_005,
        _ => 180_000,
    };
    server_version_num >= first
}

/// Confirms a slot that nobody reads up to `to`, which must be at its confirmed position or beyond. The server reads the
/// log in between without decoding it; afterwards it may keep less of it.
///
/// # Errors
/// 55006 while somebody reads it; 55000 if it can no longer be read; 42501 without the right to replicate.
pub async fn advance(client: &Client, name: &str, to: Lsn) -> Result<(), PgError> {
    let sql = "select pg_replication_slot_advance($1::text, $2)";
    let done = client.execute(sql, &[&name, &PgLsn::from(to.0)]).await;
    done.map(|_| ()).during(format!("moving the slot {name} forward"))
}

/// Has the server write which transactions run, as it does every 15 seconds: only where that stands in the log can
/// decoding begin anew. Returns false if it did not within `limit`.
///
/// From 16 on there is a function for it, which must be granted; else making a slot does the same, and then waits for
/// transactions that run, which is of no interest here.
pub async fn note_running_transactions(client: &Client, limit: Duration) -> bool {
    const GRANTED: &str = "
        select count(*) from pg_proc
        where oid = to_regprocedure('pg_catalog.pg_log_standby_snapshot()') and has_function_privilege(oid, 'execute')";
    let granted = client.query_one(GRANTED, &[]).await.and_then(|row| row.try_get::<_, i64>(0));
    if granted.is_ok_and(|granted| granted > 0) {
        return client.batch_execute("select pg_log_standby_snapshot()").await.is_ok();
    }
    let limit_ms = limit.as_millis().clamp(1, i32::MAX as u128);
    let limited = format!("set statement_timeout = {limit_ms}");
    let make = "select pg_drop_replication_slot(slot_name)
                from pg_create_logical_replication_slot('cleave_note_' || pg_backend_pid(), 'pgoutput', true)";
    let made = match client.batch_execute(&limited).await {
        Ok(()) => client.batch_execute(make).await.is_ok(),
        Err(_) => false,
    };
    client.batch_execute("reset statement_timeout").await.is_ok() && made
}

/// The SQL that reads a slot of this session's database and moves it past what it gives: one output message a row,
/// whole transactions until there are at least `messages`. The rows are kept on the server until the last is there.
pub fn read_sql(name: &str, messages: u32, options: &[(&str, &str)]) -> String {
    let options: Vec<String> =
        options.iter().flat_map(|(option, value)| [quote_literal(option), quote_literal(value)]).collect();
    format!(
        "select data from pg_catalog.pg_logical_slot_get_binary_changes({}, null, {messages}, {})",
        quote_literal(name),
        options.join(", ")
    )
}

/// Drops a slot; one that does not exist is no error. A walsender of Cleave that still reads it is terminated and
/// waited for.
///
/// # Errors
/// 55006: somebody else reads it, or our walsender did not end within `limit`.
pub async fn drop(client: &Client, name: &str, limit: Duration) -> Result<(), PgError> {
    const TERMINATE_OURS: &str = "
        select pg_terminate_backend(a.pid)
        from pg_replication_slots s join pg_stat_activity a on a.pid = s.active_pid
        where s.slot_name = $1::text and a.application_name like 'cleave %'";
    const DROP: &str = "
        select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1::text";
    let what = format!("dropping the slot {name}");
    let deadline = Instant::now() + limit;
    loop {
        let terminated = client.query(TERMINATE_OURS, &[&name]).await.during(&what)?;
        match client.execute(DROP, &[&name]).await.during(&what) {
            Err(error) if error.sqlstate() == Some("42704") => return Ok(()),
            // In use: by ours, which is on its way out, or by one that took its place.
            Err(error) if error.sqlstate() == Some("55006") => {
                let ours = !terminated.is_empty() || is_idle(client, name).await?;
                if !ours || Instant::now() > deadline {
                    return Err(error);
                }
                sleep(GLANCE).await;
            }
            done => return done.map(|_| ()),
        }
    }
}

async fn is_idle(client: &Client, name: &str) -> Result<bool, PgError> {
    Ok(health(client, name).await?.is_none_or(|slot| slot.active_pid.is_none()))
}

fn slot(row: &Row) -> Result<Slot, tokio_postgres::Error> {
    let position = |name| Ok::<_, tokio_postgres::Error>(row.try_get::<_, Option<PgLsn>>(name)?.map(lsn));
    Ok(Slot {
        name: row.try_get("slot_name")?,
        plugin: row.try_get("plugin")?,
        database: row.try_get("database")?,
        temporary: row.try_get("temporary")?,
        active_pid: row.try_get("active_pid")?,
        restart_lsn: position("restart_lsn")?,
        confirmed_flush: position("confirmed_flush_lsn")?,
        wal_status: match row.try_get::<_, Option<&str>>("wal_status")? {
            Some("reserved") => WalStatus::Reserved,
            Some("extended") => WalStatus::Extended,
            Some("unreserved") => WalStatus::Unreserved,
            // Null when the slot has no restart position: there is nothing left to read.
            _ => WalStatus::Lost,
        },
        safe_wal_bytes: row.try_get("safe_wal_size")?,
        retained_bytes: row.try_get::<_, Option<i64>>("retained")?.unwrap_or_default().unsigned_abs(),
        invalidation: row.try_get("invalidation")?,
        failover: row.try_get("failover")?,
        synced: row.try_get("synced")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_moved_only_by_servers_that_keep_what_they_still_need() {
        let (fixed, not) =
            ([140_018, 150_013, 160_009, 170_005, 180_000], [140_017, 150_012, 160_008, 170_004]);
        assert!(fixed.into_iter().all(advance_is_safe));
        assert!(!not.into_iter().any(advance_is_safe));
    }
}
