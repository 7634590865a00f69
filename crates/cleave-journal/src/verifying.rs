//! How far a comparison has come. What is lost of it costs time, no more.

use crate::{JournalError, Lease, Verification, error::During};
use cleave_model::ServiceName;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;
use tokio_postgres::GenericClient;

/// The part that says what is compared.
const HEAD: &str = "";

/// What is kept of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Verifying {
    /// What it compares, and since when.
    pub head: VerifyingHead,
    /// How much of each table is done.
    pub tables: BTreeMap<String, VerifiedPart>,
}

/// What a comparison must be about for another one to go on with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyingHead {
    /// As its result will be bound; the outcome means nothing yet.
    pub bound: Verification,
    /// Each table with its columns, as a text.
    pub tables: Vec<String>,
}

/// How much of a table is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedPart {
    /// The columns in whose order it is read.
    pub order: Vec<String>,
    /// The last row's values of them; none where all of it is done.
    pub up_to: Option<Vec<String>>,
    /// The same as the follower sorts.
    pub follower_up_to: Option<Vec<String>>,
    /// True if all of it is.
    pub done: bool,
    /// Rows in it.
    pub rows: u64,
    /// Of these, rows that were read again.
    pub rechecked: u64,
}

/// What is kept of a comparison of two databases without a move, in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyingFile {
    /// The database that is right, without its password.
    pub source: String,
    /// The other one.
    pub target: String,
    /// When it began, seconds since 1970.
    pub began_epoch_s: u64,
    /// By title: what is compared with what, as a text, and how much of it is done.
    pub tables: BTreeMap<String, (String, VerifiedPart)>,
}

impl VerifyingFile {
    /// Reads a file's text; none if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text of the file.
    pub fn to_text(&self) -> Result<String, JournalError> {
        serde_json::to_string(self).map_err(unwritable)
    }
}

fn unwritable(error: serde_json::Error) -> JournalError {
    JournalError::Inconsistent { what: format!("how far a comparison has come cannot be written: {error}") }
}

fn read<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

impl Verifying {
    /// What is kept for a service; what another version has written otherwise is as good as nothing.
    pub async fn read(
        client: &impl GenericClient,
        service: &ServiceName,
    ) -> Result<Option<Self>, JournalError> {
        let rows = client
            .query("select part, state from cleave.verifying where service = $1", &[&service.as_str()])
            .await
            .during("read how far a comparison has come")?;
        let mut tables: BTreeMap<String, Value> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let head = tables.remove(HEAD).and_then(read);
        let parts = tables.into_iter().filter_map(|(table, part)| Some((table, read(part)?)));
        Ok(head.map(|head| Self { head, tables: parts.collect() }))
    }

    /// Begins to keep a comparison, in place of what is kept of another one.
    pub async fn begin(
        client: &impl GenericClient,
        lease: &Lease,
        service: &ServiceName,
        head: &VerifyingHead,
    ) -> Result<(), JournalError> {
        Self::clear(client, service).await?;
        write(client, lease, service, HEAD, head).await
    }

    /// Keeps how much of a table is done; nothing once somebody else has the lease.
    pub async fn keep(
        client: &impl GenericClient,
        lease: &Lease,
        service: &ServiceName,
        table: &str,
        part: &VerifiedPart,
    ) -> Result<(), JournalError> {
        write(client, lease, service, table, part).await
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

async fn write(
    client: &impl GenericClient,
    lease: &Lease,
    service: &ServiceName,
    part: &str,
    state: &impl Serialize,
) -> Result<(), JournalError> {
    let state = serde_json::to_value(state).map_err(unwritable)?;
    client
        .execute(
            "insert into cleave.verifying as v (service, part, state)
             select $1, $2, $3 from cleave.lease where holder = $4 and epoch = $5
             on conflict (service, part) do update set state = excluded.state",
            &[&service.as_str(), &part, &state, &lease.holder, &lease.epoch],
        )
        .await
        .during("keep how far a comparison has come")?;
    Ok(())
}
