//! Watched references that a change at the home has left to settle.

use crate::{JournalError, error::During};
use cleave_model::ServiceName;
use serde_json::Value;
use tokio_postgres::GenericClient;

/// An open row of `cleave.work`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkItem {
    /// Number.
    pub id: i64,
    /// Name of the foreign key that became a watched reference.
    pub reference: String,
    /// What happened: `delete` or `update` of a referenced row.
    pub kind: String,
    /// The key's columns and values. Never logged.
    pub keys: Value,
}

/// Open items of a service, at most `limit`: oldest first, those that wait for a person last, or they would keep the
/// others away.
pub async fn open_work(
    client: &impl GenericClient,
    service: &ServiceName,
    limit: i64,
) -> Result<Vec<WorkItem>, JournalError> {
    let rows = client
        .query(
            "select id, reference, kind, keys from cleave.work where service = $1 and resolved_at is null
             order by kind = 'report', id limit $2",
            &[&service.as_str(), &limit],
        )
        .await
        .during("read the open work")?;
    Ok(rows
        .iter()
        .map(|row| WorkItem { id: row.get(0), reference: row.get(1), kind: row.get(2), keys: row.get(3) })
        .collect())
}

/// Closes an item in the transaction that settled it. Fails if it is closed already: this transaction must not commit.
pub async fn resolve_work(
    transaction: &impl GenericClient,
    id: i64,
    resolution: &str,
) -> Result<(), JournalError> {
    let settled = transaction
        .execute(
            "update cleave.work set resolution = $2, resolved_at = pg_catalog.clock_timestamp()
             where id = $1 and resolved_at is null",
            &[&id, &resolution],
        )
        .await
        .during("settle the work item")?;
    if settled == 1 {
        return Ok(());
    }
    Err(JournalError::Inconsistent { what: format!("work item {id} is settled already or gone") })
}
