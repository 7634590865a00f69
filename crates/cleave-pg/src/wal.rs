//! The write-ahead log seen from SQL: positions, messages in it, and what became of a transaction.

use crate::{During, PgError};
use cleave_model::Lsn;
use tokio_postgres::{Client, types::PgLsn};

pub(crate) fn lsn(position: PgLsn) -> Lsn {
    Lsn(position.into())
}

/// End of what this primary has written (`pg_current_wal_lsn`).
///
/// # Errors
/// 55000 on a standby.
pub async fn current_wal_lsn(client: &Client) -> Result<Lsn, PgError> {
    let row = client.query_one("select pg_current_wal_lsn()", &[]).await;
    row.and_then(|row| row.try_get(0)).map(lsn).during("reading the position of the log")
}

/// End of what this primary has flushed (`pg_current_wal_flush_lsn`): what decoding can read.
///
/// # Errors
/// 55000 on a standby.
pub async fn flushed_lsn(client: &Client) -> Result<Lsn, PgError> {
    let row = client.query_one("select pg_current_wal_flush_lsn()", &[]).await;
    row.and_then(|row| row.try_get(0)).map(lsn).during("reading the flushed position of the log")
}

/// Writes a transactional logical message (`pg_logical_emit_message`) and returns its position. Outside a transaction
/// it commits at once, and readers see it within milliseconds; inside one it comes with the transaction.
///
/// # Errors
/// A failed query.
pub async fn emit_message(client: &Client, prefix: &str, content: &str) -> Result<Lsn, PgError> {
    let sql = "select pg_logical_emit_message(true, $1::text, $2::text)";
    let row = client.query_one(sql, &[&prefix, &content]).await;
    row.and_then(|row| row.try_get(0)).map(lsn).during(format!("writing a {prefix} message into the log"))
}

/// The id of the transaction that the session is in, with its epoch (`xid8`); gives it one if it has none.
///
/// # Errors
/// A failed query.
pub async fn current_xid(client: &Client) -> Result<u64, PgError> {
    let what = "reading the transaction's id";
    let row = client.query_one("select pg_current_xact_id()::text", &[]).await.during(what)?;
    let text: &str = row.try_get(0).during(what)?;
    text.parse().map_err(|_| PgError::protocol(what, "the id is not a number"))
}

/// `pg_xact_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XactStatus {
    /// Its effects stand.
    Committed,
    /// It has left nothing.
    Aborted,
    /// It may still do either.
    InProgress,
    /// So old that the server has forgotten.
    Forgotten,
}

/// What became of a transaction, by the id that [`current_xid`] gave.
///
/// # Errors
/// 22023 for an id in the future: not one of this server.
pub async fn xact_status(client: &Client, xid: u64) -> Result<XactStatus, PgError> {
    let what = "asking what became of a transaction";
    let sql = "select pg_xact_status($1::text::xid8)";
    let row = client.query_one(sql, &[&xid.to_string()]).await.during(what)?;
    match row.try_get::<_, Option<&str>>(0).during(what)? {
        Some("committed") => Ok(XactStatus::Committed),
        Some("aborted") => Ok(XactStatus::Aborted),
        Some("in progress") => Ok(XactStatus::InProgress),
        None => Ok(XactStatus::Forgotten),
        Some(_) => Err(PgError::protocol(what, "a status that the manual does not name")),
    }
}
