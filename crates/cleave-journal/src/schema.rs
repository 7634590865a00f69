//! Installing and removing the `cleave` schema.

use crate::{JournalError, error::During};
use tokio_postgres::GenericClient;

/// Version of `schema.sql`.
pub const SCHEMA_VERSION: i32 = 5;

const SCHEMA: &str = include_str!("schema.sql");

/// Two engines that install at once would collide in the catalogs; this advisory lock makes them take turns.
const INSTALL_LOCK: i64 = 0x0063_6c65_6176_6500;

/// Makes the schema if it is not there, and what an earlier version of it lacks. Safe to repeat.
pub async fn install(client: &mut tokio_postgres::Client) -> Result<(), JournalError> {
    if installed_version(client).await? == Some(SCHEMA_VERSION) {
        return Ok(());
    }
    let transaction = client.transaction().await.during("begin installing schema cleave")?;
    transaction
        .execute("select pg_catalog.pg_advisory_xact_lock($1)", &[&INSTALL_LOCK])
        .await
        .during("take turns installing schema cleave")?;
    transaction.batch_execute(SCHEMA).await.during("install schema cleave")?;
    transaction
        .execute("insert into cleave.meta (version) values ($1) on conflict do nothing", &[&SCHEMA_VERSION])
        .await
        .during("write the version of schema cleave")?;
    transaction.commit().await.during("commit installing schema cleave")
}

/// The version in the database: `None` if the schema is not there.
pub async fn installed_version(client: &impl GenericClient) -> Result<Option<i32>, JournalError> {
    let present: bool = client
        .query_one("select pg_catalog.to_regclass('cleave.meta') is not null", &[])
        .await
        .during("look for schema cleave")?
        .get(0);
    if !present {
        return Ok(None);
    }
    let row = client
        .query_one("select max(version) from cleave.meta", &[])
        .await
        .during("read the version of schema cleave")?;
    let version: Option<i32> = row.get(0);
    match version {
        Some(found) if found > SCHEMA_VERSION => {
            Err(JournalError::NewerSchema { found, known: SCHEMA_VERSION })
        }
        other => Ok(other),
    }
}

/// Drops the schema with everything in it. The caller has made sure that no move is open.
pub async fn uninstall(client: &impl GenericClient) -> Result<(), JournalError> {
    client.batch_execute("drop schema if exists cleave cascade").await.during("drop schema cleave")
}
