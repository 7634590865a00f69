//! Sessions that write rows on a target: tagged with an origin, in replica mode, unable to hold locks for ever.

use crate::{Side, StreamError, error::On};
use cleave_pg::{During, Endpoint, Session, connect, origins};
use std::time::Duration;

/// Opens a session whose every transaction carries `origin`; the origin is made if it is missing.
///
/// Replica mode keeps users' triggers and the checks of foreign keys from firing a second time. The idle limit makes
/// the server end a transaction of a process that was stopped; keepalives make it notice a host that is gone.
///
/// # Errors
/// What the target says; 55006 while another session has the origin.
pub async fn connect_writer(
    target: &Endpoint,
    purpose: &str,
    origin: &str,
    idle_limit: Duration,
) -> Result<Session, StreamError> {
    let session = connect(target, purpose).await.on(Side::Target)?;
    let settings = format!(
        "set synchronous_commit = on;
         set row_security = off;
         set tcp_keepalives_idle = 10;
         set tcp_keepalives_interval = 5;
         set tcp_keepalives_count = 3;
         set idle_in_transaction_session_timeout = {};",
        idle_limit.as_millis().max(1)
    );
    session.batch_execute(&settings).await.during("setting up a session that applies").on(Side::Target)?;
    replica_mode(&session).await?;
    origins::create(&session, origin).await.on(Side::Target)?;
    origins::session_setup(&session, origin).await.on(Side::Target)?;
    Ok(session)
}

/// Stands in for the right that cannot be granted before 15 (docs/privileges.md, "Replica mode").
const ENTER_REPLICA_MODE: &str = "select cleave_admin.enter_replica_mode()";

/// Sets replica mode, or finds it set for the role (`alter role ... set`), or has it set by the function that a
/// superuser has made. When there is no such function either, the server's refusal is the error.
async fn replica_mode(session: &Session) -> Result<(), StreamError> {
    let what = "turning replica mode on";
    let sql = "select pg_catalog.current_setting('session_replication_role')";
    let row = session.query_one(sql, &[]).await.during(what).on(Side::Target)?;
    if row.get::<_, &str>(0) == "replica" {
        return Ok(());
    }
    let set = session.batch_execute("set session_replication_role = replica").await.during(what);
    let refused = set.as_ref().is_err_and(|error| error.sqlstate() == Some("42501"));
    if refused && session.batch_execute(ENTER_REPLICA_MODE).await.is_ok() {
        return Ok(());
    }
    set.on(Side::Target)
}
