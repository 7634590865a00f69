//! How far a comparison has come. What is lost of it costs time, no more.

use crate::{JournalError, Lease, error::During};
use cleave_model::ServiceName;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio_postgres::GenericClient;

/// The part that says what is compared.
const HEAD: &str = "";

/// What is kept of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Verifying {
    /// What it compares, and since when.
    pub head: Value,
    /// How much of each table is done.
    pub tables: BTreeMap<String, Value>,
}

impl Verifying {
    /// What is kept for a service.
    pub async fn read(
        client: &impl GenericClient,
        service: &ServiceName,
    ) -> Result<Option<Self>, JournalError> {
        let rows = client
            .query("select part, state from cleave.verifying where service = $1", &[&service.as_str()])
            .await
            .during("read how far a comparison has come")?;
        let mut tables: BTreeMap<String, Value> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok(tables.remove(HEAD).map(|head| Self { head, tables }))
    }

    /// Begins to keep a comparison, in place of what is kept of another one.
    pub async fn begin(
        client: &impl GenericClient,
        lease: &Lease,
        service: &ServiceName,
        head: &Value,
    ) -> Result<(), JournalError> {
        Self::clear(client, service).await?;
        Self::keep(client, lease, service, HEAD, head).await
    }

    /// Keeps how much of a table is done; nothing once somebody else has the lease.
    pub async fn keep(
        client: &impl GenericClient,
        lease: &Lease,
        service: &ServiceName,
        table: &str,
        state: &Value,
    ) -> Result<(), JournalError> {
        client
            .execute(
                "insert into cleave.verifying as v (service, part, state)
                 select $1, $2, $3 from cleave.lease where holder = $4 and epoch = $5
                 on conflict (service, part) do update set state = excluded.state",
                &[&service.as_str(), &table, state, &lease.holder, &lease.epoch],
            )
            .await
            .during("keep how far a comparison has come")?;
        Ok(())
    }

    /// Forgets it.
    pub async fn clear(client: &impl GenericClient, service: &ServiceName) -> Result<(), JournalError> {
        client
            .execute("delete from cleave.verifying where service = $1", &[&service.as_str()])
            .await
            .during("forget how far a comparison had come")?;
        Ok(())
    }
}
