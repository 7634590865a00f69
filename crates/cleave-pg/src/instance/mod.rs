//! Reads what a server is doing and how it is set into `cleave_model::instance`: a fixed number of queries, each bounded
//! in time and in rows. It works as any role: what the role may not read is named, not guessed.
//!
//! - [`database`]: what of it belongs to one database. [`server`]: what belongs to the whole server.

mod database;
mod server;

use crate::{During, Endpoint, PgError, Session};
use cleave_model::instance::{Connection, Instance, LogRate, Unread};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;
use tokio_postgres::{Client, SimpleQueryMessage};

/// A query that takes longer is given up: nothing here is worth keeping a busy server busy.
const STATEMENT_TIMEOUT_MS: u32 = 5_000;

/// Time between the two readings of the log's position, at least.
const LOG_WINDOW: Duration = Duration::from_millis(500);

/// Reads everything but [`Instance::connection`]. The session must not be in a transaction.
///
/// # Errors
/// A connection that is lost. A query that fails is a line in [`Instance::unread`].
pub async fn read_instance(client: &Client) -> Result<Instance, PgError> {
    let what = "limiting the time of queries";
    client.batch_execute(&format!("set statement_timeout = {STATEMENT_TIMEOUT_MS}")).await.during(what)?;
    let mut instance = Instance::default();
    let read = read(client, &mut instance).await;
    client.batch_execute("set statement_timeout = 0").await.during(what)?;
    read.map(|()| instance)
}

async fn read(client: &Client, instance: &mut Instance) -> Result<(), PgError> {
    let begun = Instant::now();
    let first = server::log_position(client).await;
    let mut unread = Vec::new();
    let noted = &mut unread;
    take(&mut instance.settings, server::settings(client).await, "settings", noted)?;
    take(&mut instance.databases, server::databases(client).await, "the databases of the server", noted)?;
    take(&mut instance.slots, server::slots(client).await, "replication slots", noted)?;
    take(&mut instance.transactions, server::transactions(client).await, "open transactions", noted)?;
    take(&mut instance.prepared, server::prepared(client).await, "prepared transactions", noted)?;
    take(&mut instance.standbys, server::standbys(client).await, "standbys", noted)?;
    take(&mut instance.backups, server::backups(client).await, "base backups", noted)?;
    take(&mut instance.archive, server::archive(client).await, "the archiver", noted)?;
    take(&mut instance.host_rules, server::host_rules(client).await, "the rules of pg_hba.conf", noted)?;
    let extensions = server::available_extensions(client).await;
    take(&mut instance.available_extensions, extensions, "extensions that are on the server", noted)?;
    take(&mut instance.role_settings, database::role_settings(client).await, "settings of roles", noted)?;
    take(&mut instance.activity, database::activity(client).await, "the database's statistics", noted)?;
    take(&mut instance.collations, database::collations(client).await, "collations", noted)?;
    take(&mut instance.large_objects, database::large_objects(client).await, "large objects", noted)?;
    take(&mut instance.table_ages, database::table_ages(client).await, "the ages of tables", noted)?;
    take(&mut instance.detaching, database::detaching(client).await, "partitions", noted)?;
    take(&mut instance.tablespaces, database::tablespaces(client).await, "tablespaces", noted)?;
    tokio::time::sleep(LOG_WINDOW.saturating_sub(begun.elapsed())).await;
    let second = server::log_position(client).await;
    if let (Ok(Some((from, at))), Ok(Some((to, then)))) = (&first, &second) {
        let rate = LogRate { bytes: to.saturating_sub(*from), over_ms: then.saturating_sub(*at) };
        instance.log_rate = Some(rate);
    }
    take(&mut None, second, "the position of the log", noted)?;
    instance.unread = unread;
    Ok(())
}

/// Keeps what was read, or notes why it was not. Only a lost connection ends the reading.
fn take<T>(
    place: &mut T,
    read: Result<T, PgError>,
    what: &str,
    unread: &mut Vec<Unread>,
) -> Result<(), PgError> {
    match read {
        Ok(value) => *place = value,
        Err(error) if error.is_connection_lost() => return Err(error),
        Err(error) => {
            let reason = error.server_error().map_or_else(|| error.to_string(), |e| e.message.clone());
            unread.push(Unread { what: what.to_owned(), reason });
        }
    }
    Ok(())
}

/// How often two sessions take turns before they are taken to have a process each. A pooler may still be busy with the
/// end of one's statement when the other's begins, and then serves it by a process to spare.
const TURNS: u32 = 5;

/// Looks at the way to the server with two sessions of its own. Where something shares server processes between
/// transactions, a process that has served one of them serves the other in its turn.
///
/// # Errors
/// A connection that cannot be made or is lost.
pub async fn look_at_connection(endpoint: &Endpoint) -> Result<Connection, PgError> {
    match look(endpoint).await {
        Err(PgError::Pooled { .. }) => Ok(Connection { process_changes: true, ..Connection::default() }),
        seen => seen,
    }
}

async fn look(endpoint: &Endpoint) -> Result<Connection, PgError> {
    let what = "looking at the connection";
    let begun = Instant::now();
    let first = crate::connect(endpoint, "doctor").await?;
    let second = crate::connect(endpoint, "doctor").await?;
    let sql = "select coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted,
                      inet_server_addr() is null or inet_server_addr() = inet_client_addr() as local,
                      coalesce((extract(epoch from clock_timestamp() - (select backend_start from pg_stat_activity
                                where pid = pg_backend_pid())) * 1000)::bigint, 0) as age_ms";
    let seen = first.query_one(sql, &[]).await.during(what)?;
    let connected_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let age_ms = seen.try_get::<_, i64>("age_ms").during(what)?.max(0).unsigned_abs();
    Ok(Connection {
        encrypted: seen.try_get("encrypted").during(what)?,
        local: seen.try_get("local").during(what)?,
        process_changes: share_processes(&first, &second).await?,
        process_older_ms: age_ms.saturating_sub(connected_ms),
    })
}

async fn share_processes(first: &Session, second: &Session) -> Result<bool, PgError> {
    let what = "looking at the connection";
    let mut of_first = BTreeSet::from([first.backend_pid()]);
    let mut of_second = BTreeSet::from([second.backend_pid()]);
    for _ in 0..TURNS {
        of_first.insert(process_of(first).await?);
        second.batch_execute("begin").await.during(what)?;
        of_second.insert(process_of(second).await?);
        of_first.insert(process_of(first).await?);
        second.batch_execute("rollback").await.during(what)?;
        if of_first.len() > 1 || of_second.len() > 1 || !of_first.is_disjoint(&of_second) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Asked without a prepared statement, whose closing would keep a pooled process busy.
async fn process_of(session: &Session) -> Result<i32, PgError> {
    let what = "looking at the connection";
    let messages = session.simple_query("select pg_backend_pid()").await.during(what)?;
    let pid = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    pid.ok_or_else(|| PgError::protocol(what, "no process id"))
}
