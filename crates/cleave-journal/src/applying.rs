//! What every transaction of an applier says to the journal, prepared once per session: with the statements known, all
//! of it is one exchange with the server.

use crate::{JournalError, Lease, Owner, error::During, owner, position};
use cleave_model::{Lsn, ServiceName};
use tokio_postgres::{GenericClient, Statement};

/// Prepared statements of one session.
#[derive(Clone)]
pub struct ApplierStatements {
    owner: Statement,
    lease: Statement,
    advance: Statement,
}

impl ApplierStatements {
    /// Prepares them.
    pub async fn prepare(client: &impl GenericClient) -> Result<Self, JournalError> {
        let what = "prepare what the applier says to the journal";
        Ok(Self {
            owner: client.prepare(&owner::select_for_share()).await.during(what)?,
            lease: client.prepare(crate::lease::CHECK).await.during(what)?,
            advance: client.prepare(position::ADVANCE).await.during(what)?,
        })
    }

    /// See [`crate::owner_for_share`].
    pub async fn owner_for_share(
        &self,
        transaction: &impl GenericClient,
        service: &ServiceName,
    ) -> Result<Owner, JournalError> {
        owner::read_for_share(transaction, &self.owner, service).await
    }

    /// See [`Lease::check`].
    pub async fn check_lease(
        &self,
        transaction: &impl GenericClient,
        lease: &Lease,
    ) -> Result<(), JournalError> {
        lease.check_with(transaction, &self.lease).await
    }

    /// See [`crate::advance_position`].
    pub async fn advance_position(
        &self,
        transaction: &impl GenericClient,
        stream: &str,
        from: Lsn,
        to: Lsn,
        marker: Option<&str>,
    ) -> Result<(), JournalError> {
        position::advance_with(transaction, &self.advance, stream, from, to, marker).await
    }
}
