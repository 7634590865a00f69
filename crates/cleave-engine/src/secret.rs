//! The bridge's password: made by Cleave, known to M's user mapping and, as a SCRAM verifier, to N. It is in no
//! plan, journal or log of ours.

use crate::{
    EngineError,
    context::MoveContext,
    switch::{script, sql},
};
use cleave_model::{Ident, labels, quote_literal};
use cleave_pg::{During, Session};

/// `insufficient_privilege`.
const NOT_ALLOWED: &str = "42501";
/// `dependent_objects_still_exist`.
const STILL_USED: &str = "2BP01";

/// A new password of 244 random bits, from the server's strong random source.
pub(crate) async fn password(session: &Session) -> Result<String, EngineError> {
    let row = session
        .query_one(
            "select pg_catalog.replace(pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text, '-', '')",
            &[],
        )
        .await
        .during("making a password")?;
    Ok(row.get(0))
}

/// Makes the bridge's role on N ready: `statements` from the script, then the password as a verifier, so that the
/// password itself is in no statement that N could log (manual, section 20.5).
///
/// Where the right to make roles would be the right to all roles, a superuser's function stands in for it
/// (docs/privileges.md, "The bridge's role"). When there is none either, the server's first refusal is the error.
pub(crate) async fn bridge_role(
    move_: &MoveContext,
    n: &Session,
    statements: &[String],
    password: &str,
) -> Result<(), EngineError> {
    let role = labels::bridge_role(&move_.service);
    let verb = if is_there(n, &role).await? { "alter" } else { "create" };
    let verifier = quote_literal(&postgres_protocol::password::scram_sha_256(password.as_bytes()));
    let make = format!("{verb} role {} login password {verifier}", role.quoted());
    let refused = match in_transaction(n, &make, statements).await {
        Err(error) if error.sqlstate() == Some(NOT_ALLOWED) => error,
        other => return other,
    };
    let name = quote_literal(role.as_str());
    let stand_in = format!("select cleave_admin.make_bridge_role({name}, {verifier})");
    match in_transaction(n, &stand_in, statements).await {
        Err(error) if is_missing(&error) => Err(refused),
        other => other,
    }
}

/// Drops the bridge's role on N, when nothing leads there any more. What it may do must be gone before; a role that
/// is used elsewhere on the server stays, and the answer is false.
pub(crate) async fn drop_bridge_role(move_: &MoveContext, n: &Session) -> Result<bool, EngineError> {
    let role = labels::bridge_role(&move_.service);
    if !is_there(n, &role).await? {
        return Ok(true);
    }
    let dropped = match sql(n, &format!("drop role if exists {}", role.quoted())).await {
        Err(refused) if refused.sqlstate() == Some(NOT_ALLOWED) => {
            let name = quote_literal(role.as_str());
            match sql(n, &format!("select cleave_admin.drop_bridge_role({name})")).await {
                Err(error) if is_missing(&error) => Err(refused),
                other => other,
            }
        }
        other => other,
    };
    match dropped {
        Err(error) if error.sqlstate() == Some(STILL_USED) => Ok(false),
        other => other.map(|()| true),
    }
}

async fn is_there(n: &Session, role: &Ident) -> Result<bool, EngineError> {
    let sql = "select 1 from pg_catalog.pg_roles where rolname = $1";
    Ok(n.query_opt(sql, &[&role.as_str()]).await.during("looking for the bridge's role")?.is_some())
}

/// One transaction; after a failure none is left open.
async fn in_transaction(n: &Session, first: &str, statements: &[String]) -> Result<(), EngineError> {
    let mut all = vec!["begin".to_owned(), first.to_owned()];
    all.extend(statements.iter().cloned());
    all.push("commit".to_owned());
    let done = sql(n, &script(&all)).await;
    if done.is_err() {
        // A lost connection has rolled back by itself.
        let _ = sql(n, "rollback").await;
    }
    done
}

/// The stand-in is not there: neither schema nor function.
fn is_missing(error: &EngineError) -> bool {
    matches!(error.sqlstate(), Some("3F000" | "42883"))
}
