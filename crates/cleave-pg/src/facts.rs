//! Facts of the server and the database of a session.

use crate::{PgError, Session, catalog::read_facts};
use cleave_model::catalog::Facts;

/// Reads the facts that decide whether and how a move is possible. The session must not be in a transaction.
///
/// # Errors
/// A failed query.
pub async fn facts(session: &Session) -> Result<Facts, PgError> {
    read_facts(session).await
}
