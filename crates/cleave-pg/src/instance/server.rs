//! What belongs to the whole server.

use crate::{During, PgError};
use cleave_model::instance::{
    Archive, DatabaseSize, HostRule, Instance, OpenTransaction, PreparedTransaction, SlotUse, Standby,
};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::{Client, Row};

/// Lines of any list: a server with more has been told enough about.
const LINES_MAX: i64 = 200;

/// Rows of a query, each read by `read`.
pub(super) async fn rows<T>(
    client: &Client,
    what: &str,
    sql: &str,
    read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
) -> Result<Vec<T>, PgError> {
    let what = format!("reading {what}");
    let rows = client.query(sql, &[]).await.during(&what)?;
    rows.iter().map(read).collect::<Result<_, _>>().during(&what)
}

/// A count that cannot be negative.
pub(super) fn count(row: &Row, column: &str) -> Result<u64, tokio_postgres::Error> {
    Ok(row.try_get::<_, Option<i64>>(column)?.unwrap_or_default().max(0).unsigned_abs())
}

pub(super) async fn settings(client: &Client) -> Result<BTreeMap<String, String>, PgError> {
    let sql = "select name, reset_val from pg_settings where reset_val is not null";
    let read = rows(client, "settings", sql, |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?;
    Ok(read.into_iter().collect())
}

pub(super) async fn databases(client: &Client) -> Result<Vec<DatabaseSize>, PgError> {
    let sql = format!(
        "select d.datname::text as name,
                case when has_database_privilege(d.oid, 'connect') then pg_database_size(d.oid) end as bytes,
                coalesce(s.tup_inserted + s.tup_updated + s.tup_deleted, 0)::bigint as rows_written
         from pg_database d left join pg_stat_database s on s.datid = d.oid
         where d.datallowconn and not d.datistemplate
         order by 3 desc, 1 limit {LINES_MAX}"
    );
    rows(client, "databases", &sql, |row| {
        let bytes = row.try_get::<_, Option<i64>>("bytes")?.map(|bytes| bytes.max(0).unsigned_abs());
        Ok(DatabaseSize { name: row.try_get("name")?, bytes, rows_written: count(row, "rows_written")? })
    })
    .await
}

pub(super) async fn slots(client: &Client) -> Result<Vec<SlotUse>, PgError> {
    let sql = format!(
        "select slot_name::text as name, database::text, active, wal_status,
                case when not pg_is_in_recovery() then
                     (pg_current_wal_lsn() - restart_lsn)::bigint end as retained
         from pg_replication_slots where not temporary order by 5 desc nulls last, 1 limit {LINES_MAX}"
    );
    rows(client, "slots", &sql, |row| {
        Ok(SlotUse {
            name: row.try_get("name")?,
            database: row.try_get("database")?,
            active: row.try_get("active")?,
            retained_bytes: count(row, "retained")?,
            wal_status: row.try_get("wal_status")?,
        })
    })
    .await
}

/// A base backup or another reader of the log is no transaction of an application.
pub(super) async fn transactions(client: &Client) -> Result<Vec<OpenTransaction>, PgError> {
    let long = Duration::from_millis(Instance::LONG_MS);
    let found = crate::locks::long_transactions(client, long).await?;
    let found = found.into_iter().filter(|open| open.kind != crate::locks::HolderKind::Walsender);
    Ok(found
        .map(|open| OpenTransaction {
            pid: open.pid,
            database: open.database,
            role: open.user,
            application: open.application,
            state: open.state,
            age_ms: open.age_ms,
            has_xid: open.has_xid,
        })
        .collect())
}

pub(super) async fn prepared(client: &Client) -> Result<Vec<PreparedTransaction>, PgError> {
    let found = crate::locks::prepared_transactions(client).await?;
    let prepared = |open: crate::locks::PreparedTransaction| PreparedTransaction {
        name: open.name,
        owner: open.owner,
        database: open.database,
        age_ms: open.age_ms,
    };
    Ok(found.into_iter().map(prepared).collect())
}

/// Physical ones: a logical reader has a slot with a plugin, or is one of ours.
pub(super) async fn standbys(client: &Client) -> Result<Vec<Standby>, PgError> {
    let sql = format!(
        "select coalesce(r.application_name, '') as name, coalesce(r.sync_state, 'async') as sync_state
         from pg_stat_replication r
         where r.application_name <> 'pg_basebackup' and r.application_name !~ '^cleave '
           and not exists (select from pg_replication_slots s
                           where s.active_pid = r.pid and s.slot_type = 'logical')
         order by 1 limit {LINES_MAX}"
    );
    rows(client, "standbys", &sql, |row| {
        Ok(Standby { name: row.try_get("name")?, sync_state: row.try_get("sync_state")? })
    })
    .await
}

/// Exclusive ones (14 only) run without a walsender.
pub(super) async fn backups(client: &Client) -> Result<u64, PgError> {
    let running = "select count(*) as n from pg_stat_progress_basebackup";
    let exclusive = "select count(*) as n from pg_proc
                     where proname = 'pg_is_in_backup' and pronamespace = 'pg_catalog'::regnamespace";
    let counts = rows(client, "base backups", running, |row| count(row, "n")).await?;
    let knows_exclusive = rows(client, "base backups", exclusive, |row| count(row, "n")).await?;
    let mut total: u64 = counts.into_iter().sum();
    if knows_exclusive.iter().any(|n| *n > 0) {
        let sql = "select pg_is_in_backup()::integer::bigint as n";
        total += rows(client, "base backups", sql, |row| count(row, "n")).await?.into_iter().sum::<u64>();
    }
    Ok(total)
}

pub(super) async fn archive(client: &Client) -> Result<Option<Archive>, PgError> {
    let sql =
        "select coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as failing,
                      failed_count::bigint as failures
               from pg_stat_archiver where current_setting('archive_mode') <> 'off'";
    let read = rows(client, "the archiver", sql, |row| {
        Ok(Archive { failing: row.try_get("failing")?, failures: count(row, "failures")? })
    });
    Ok(read.await?.into_iter().next())
}

pub(super) async fn host_rules(client: &Client) -> Result<Option<Vec<HostRule>>, PgError> {
    let sql = format!(
        "select line_number, coalesce(type, '') as kind, database::text[] as databases, user_name::text[] as roles,
                coalesce(address, '') as address, coalesce(auth_method, '') as method, error
         from pg_hba_file_rules order by line_number limit {LINES_MAX}"
    );
    let read = rows(client, "the rules of pg_hba.conf", &sql, |row| {
        Ok(HostRule {
            line: row.try_get::<_, Option<i32>>("line_number")?.unwrap_or_default().unsigned_abs(),
            kind: row.try_get("kind")?,
            databases: row.try_get::<_, Option<Vec<String>>>("databases")?.unwrap_or_default(),
            roles: row.try_get::<_, Option<Vec<String>>>("roles")?.unwrap_or_default(),
            address: row.try_get("address")?,
            method: row.try_get("method")?,
            error: row.try_get("error")?,
        })
    });
    read.await.map(Some)
}

pub(super) async fn available_extensions(client: &Client) -> Result<BTreeMap<String, String>, PgError> {
    let sql = "select name::text, coalesce(default_version, '') from pg_available_extensions";
    let read = rows(client, "extensions", sql, |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?;
    Ok(read.into_iter().collect())
}

/// Position and the server's time in milliseconds; `None` on a standby, which writes none.
pub(super) async fn log_position(client: &Client) -> Result<Option<(u64, u64)>, PgError> {
    let sql = "select (pg_current_wal_lsn() - '0/0')::bigint as lsn,
                      (extract(epoch from clock_timestamp()) * 1000)::bigint as at
               where not pg_is_in_recovery()";
    let read =
        rows(client, "the position of the log", sql, |row| Ok((count(row, "lsn")?, count(row, "at")?)));
    Ok(read.await?.into_iter().next())
}
