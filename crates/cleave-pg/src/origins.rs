//! Replication origins (manual, chapter 48). They tag what a session writes, so that the stream of the other direction
//! can drop it; positions are kept elsewhere.

use crate::{During, PgError};
use tokio_postgres::Client;

/// An origin of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The cluster's number for it.
    pub id: u32,
    /// Its name.
    pub name: String,
}

/// Creates an origin unless it is there.
///
/// # Errors
/// 42501 without EXECUTE on `pg_replication_origin_create`.
pub async fn create(client: &Client, name: &str) -> Result<(), PgError> {
    let sql = "
        select pg_replication_origin_create($1::text)
        where not exists (select from pg_replication_origin where roname = $1::text)";
    match client.execute(sql, &[&name]).await.during(format!("creating the replication origin {name}")) {
        // Somebody else was faster.
        Err(error) if matches!(error.sqlstate(), Some("23505" | "42710")) => Ok(()),
        done => done.map(drop_count),
    }
}

/// Drops an origin if it is there.
///
/// # Errors
/// 55006 while a session has it set up.
pub async fn drop(client: &Client, name: &str) -> Result<(), PgError> {
    let sql = "select pg_replication_origin_drop(roname) from pg_replication_origin where roname = $1::text";
    match client.execute(sql, &[&name]).await.during(format!("dropping the replication origin {name}")) {
        Err(error) if error.sqlstate() == Some("42704") => Ok(()),
        done => done.map(drop_count),
    }
}

fn drop_count(_rows: u64) {}

/// Tags everything that this session commits from now on. One session at a time can have an origin.
///
/// # Errors
/// 55006 while another session has it; 42704 if it does not exist.
pub async fn session_setup(client: &Client, name: &str) -> Result<(), PgError> {
    let sql = "select pg_replication_origin_session_setup($1::text)";
    let done = client.execute(sql, &[&name]).await;
    done.map(drop_count).during(format!("setting up the replication origin {name}"))
}

/// Ends the tagging. A session without an origin is left as it is; call it outside a transaction.
///
/// # Errors
/// A failed query.
pub async fn session_reset(client: &Client) -> Result<(), PgError> {
    let done = client.execute("select pg_replication_origin_session_reset()", &[]).await;
    match done.during("resetting the session's replication origin") {
        // "no replication origin is configured": asking first would need one more right.
        Err(error) if error.sqlstate() == Some("55000") => Ok(()),
        done => done.map(drop_count),
    }
}

/// All origins of the cluster, by name.
///
/// # Errors
/// A failed query.
pub async fn list(client: &Client) -> Result<Vec<Origin>, PgError> {
    let what = "listing the replication origins";
    let sql = "select roident, roname from pg_replication_origin order by roname";
    let rows = client.query(sql, &[]).await.during(what)?;
    let origin = |row: &tokio_postgres::Row| Ok(Origin { id: row.try_get(0)?, name: row.try_get(1)? });
    rows.iter().map(origin).collect::<Result<_, _>>().during(what)
}
