//! Which database is the home of a service, as one side knows it.

use crate::{JournalError, error::During};
use cleave_model::{DatabaseName, Epoch, ServiceName};
use tokio_postgres::{GenericClient, Row, ToStatement};

/// A row of `cleave.owner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The only database that accepts writes.
    pub home: DatabaseName,
    /// Raised by one at each switch.
    pub epoch: Epoch,
    /// A switch that the other side may have decided: where the home would be, and its epoch.
    pub pending: Option<(DatabaseName, Epoch)>,
}

fn parse(row: &Row) -> Result<Owner, JournalError> {
    let name = |text: String| {
        DatabaseName::parse(&text)
            .map_err(|_| JournalError::Inconsistent { what: format!("owner row names database `{text}`") })
    };
    let pending: (Option<String>, Option<i64>) = (row.get(2), row.get(3));
    let pending = match pending {
        (Some(home), Some(epoch)) => Some((name(home)?, Epoch(epoch))),
        _ => None,
    };
    Ok(Owner { home: name(row.get(0))?, epoch: Epoch(row.get(1)), pending })
}

const SELECT: &str = "select home, epoch, pending_home, pending_epoch from cleave.owner where service = $1";

/// Reads the owner row.
pub async fn owner(
    client: &impl GenericClient,
    service: &ServiceName,
) -> Result<Option<Owner>, JournalError> {
    let row = client.query_opt(SELECT, &[&service.as_str()]).await.during("read the owner row")?;
    row.as_ref().map(parse).transpose()
}

/// Reads the owner row and holds it for the rest of the transaction: what a direction does before it applies.
pub async fn owner_for_share(
    transaction: &impl GenericClient,
    service: &ServiceName,
) -> Result<Owner, JournalError> {
    read_for_share(transaction, &select_for_share(), service).await
}

pub(crate) fn select_for_share() -> String {
    format!("{SELECT} for share")
}

pub(crate) async fn read_for_share(
    transaction: &impl GenericClient,
    statement: &(impl ToStatement + ?Sized + Sync + Send),
    service: &ServiceName,
) -> Result<Owner, JournalError> {
    let row = transaction.query_opt(statement, &[&service.as_str()]).await.during("read the owner row")?;
    row.as_ref()
        .map(parse)
        .transpose()?
        .ok_or_else(|| JournalError::Inconsistent { what: format!("service {service} has no owner row") })
}

/// Writes the first owner row of a move; keeps one that is there.
pub async fn insert_owner(
    client: &impl GenericClient,
    service: &ServiceName,
    home: &DatabaseName,
    epoch: Epoch,
) -> Result<(), JournalError> {
    client
        .execute(
            "insert into cleave.owner (service, home, epoch) values ($1, $2, $3) on conflict (service) do nothing",
            &[&service.as_str(), &home.as_str(), &epoch.0],
        )
        .await
        .during("write the owner row")?;
    Ok(())
}

/// Sets home and epoch and ends what was pending, if the row's epoch is below. Returns false if it was not: the side
/// knew already, or knows better.
pub async fn set_owner(
    transaction: &impl GenericClient,
    service: &ServiceName,
    home: &DatabaseName,
    epoch: Epoch,
) -> Result<bool, JournalError> {
    let changed = transaction
        .execute(
            "update cleave.owner set home = $2, epoch = $3, pending_home = null, pending_epoch = null,
                 since = pg_catalog.clock_timestamp()
             where service = $1 and epoch < $3",
            &[&service.as_str(), &home.as_str(), &epoch.0],
        )
        .await
        .during("switch the owner row")?;
    Ok(changed == 1)
}

/// Notes that the other side may decide for `home` with `epoch`.
pub async fn set_pending(
    transaction: &impl GenericClient,
    service: &ServiceName,
    home: &DatabaseName,
    epoch: Epoch,
) -> Result<(), JournalError> {
    transaction
        .execute(
            "update cleave.owner set pending_home = $2, pending_epoch = $3 where service = $1 and epoch < $3",
            &[&service.as_str(), &home.as_str(), &epoch.0],
        )
        .await
        .during("mark the owner row as pending")?;
    Ok(())
}

/// Takes back [`set_pending`]: the other side has not decided so.
pub async fn clear_pending(
    transaction: &impl GenericClient,
    service: &ServiceName,
) -> Result<(), JournalError> {
    transaction
        .execute(
            "update cleave.owner set pending_home = null, pending_epoch = null where service = $1",
            &[&service.as_str()],
        )
        .await
        .during("clear the owner row's pending switch")?;
    Ok(())
}

/// Removes the owner row when a move is cancelled.
pub async fn delete_owner(client: &impl GenericClient, service: &ServiceName) -> Result<(), JournalError> {
    client
        .execute("delete from cleave.owner where service = $1", &[&service.as_str()])
        .await
        .during("delete the owner row")?;
    Ok(())
}
