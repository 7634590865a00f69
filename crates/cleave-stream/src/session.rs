//! Sessions that write rows on a target: tagged with an origin, in replica mode, unable to hold locks for ever.

use crate::{Side, StreamError, error::On};
use cleave_pg::{During, Endpoint, Session, connect};
use std::time::Duration;

/// Opens a session whose every transaction carries `origin`; the origin is made if it is missing.
///
/// Replica mode keeps users' triggers and the checks of foreign keys from firing a second time. The idle limit makes
/// the server end a transaction of a process that was stopped; keepalives make it notice a host that is gone.
pub(crate) async fn connect_writer(
    target: &Endpoint,
    purpose: &str,
    origin: &str,
    idle_limit: Duration,
) -> Result<Session, StreamError> {
    let session = connect(target, purpose).await.on(Side::Target)?;
    let settings = format!(
        "set session_replication_role = replica;
         set synchronous_commit = on;
         set row_security = off;
         set tcp_keepalives_idle = 10;
         set tcp_keepalives_interval = 5;
         set tcp_keepalives_count = 3;
         set idle_in_transaction_session_timeout = {};",
        idle_limit.as_millis().max(1)
    );
    session.batch_execute(&settings).await.during("setting up a session that applies").on(Side::Target)?;
    ensure_origin(&session, origin).await?;
    session
        .execute("select pg_catalog.pg_replication_origin_session_setup($1)", &[&origin])
        .await
        .during(format!("using the replication origin {origin}"))
        .on(Side::Target)?;
    Ok(session)
}

async fn ensure_origin(session: &Session, origin: &str) -> Result<(), StreamError> {
    let what = format!("creating the replication origin {origin}");
    let exists: bool = session
        .query_one("select pg_catalog.pg_replication_origin_oid($1) is not null", &[&origin])
        .await
        .during(&what)
        .on(Side::Target)?
        .get(0);
    if exists {
        return Ok(());
    }
    let created =
        session.execute("select pg_catalog.pg_replication_origin_create($1)", &[&origin]).await.during(&what);
    match created {
        // Made by another session in this very moment.
        Err(error) if error.sqlstate() == Some("23505") => Ok(()),
        other => other.map(drop).on(Side::Target),
    }
}
