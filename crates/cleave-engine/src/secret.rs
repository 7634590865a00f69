//! The bridge's password: made by Cleave, known to M's user mapping and, as a SCRAM verifier, to N. It is in no
//! plan, journal or log of ours.

use crate::{
    EngineError,
    context::MoveContext,
    switch::{script, sql},
};
use cleave_model::{labels, quote_literal};
use cleave_pg::{During, Session};

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
pub(crate) async fn bridge_role(
    move_: &MoveContext,
    n: &Session,
    statements: &[String],
    password: &str,
) -> Result<(), EngineError> {
    let role = labels::bridge_role(&move_.service);
    let there = n
        .query_opt("select 1 from pg_catalog.pg_roles where rolname = $1", &[&role.as_str()])
        .await
        .during("looking for the bridge's role")?
        .is_some();
    let verb = if there { "alter" } else { "create" };
    let verifier = quote_literal(&postgres_protocol::password::scram_sha_256(password.as_bytes()));
    let mut all =
        vec!["begin".to_owned(), format!("{verb} role {} login password {verifier}", role.quoted())];
    all.extend(statements.iter().cloned());
    all.push("commit".to_owned());
    sql(n, &script(&all)).await
}
