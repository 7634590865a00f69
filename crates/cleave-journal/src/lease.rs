//! Who may run steps: one engine at a time per database.
//!
//! Time is the server's. A holder that was stopped and wakes up late finds another epoch in the lease row: every step
//! checks it in its own transaction ([`Lease::check`]), and the take-over waits for transactions that have checked it.

use crate::{JournalError, error::During};
use std::time::Duration;
use tokio_postgres::{GenericClient, ToStatement};

/// How long a lease lives without renewal.
pub const LEASE_TTL: Duration = Duration::from_secs(15);

/// A lease taken on one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Unique per engine process.
    pub holder: String,
    /// Raised at every take-over.
    pub epoch: i64,
}

/// Who holds a lease, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseHolder {
    /// What the holder says it is.
    pub label: String,
    /// Its epoch.
    pub epoch: i64,
    /// Milliseconds until it runs out; 0 when it has.
    pub expires_in_ms: u64,
}

const REMAINING_MS: &str =
    "greatest(0, (extract(epoch from expires_at - pg_catalog.clock_timestamp()) * 1000)::bigint)";

/// Of [`Lease::check`].
pub(crate) const CHECK: &str = "select 1 from cleave.lease where holder = $1 and epoch = $2 for key share";

impl Lease {
    /// Takes the lease if it is free or has run out; [`JournalError::LeaseHeld`] otherwise. Taking it again as the
    /// same holder renews it and keeps the epoch.
    pub async fn acquire(
        client: &impl GenericClient,
        holder: &str,
        label: &str,
    ) -> Result<Self, JournalError> {
        let ttl = LEASE_TTL.as_secs_f64();
        // No conflict target: of two first engines at once one would else be told of the other key's violation.
        client
            .execute(
                "insert into cleave.lease (epoch, holder, label, expires_at)
                 values (1, $1, $2, pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $3))
                 on conflict do nothing",
                &[&holder, &label, &ttl],
            )
            .await
            .during("take the lease")?;
        let taken = client
            .query_opt(
                "update cleave.lease
                 set epoch = case when holder = $1 then epoch else epoch + 1 end, holder = $1, label = $2,
                     expires_at = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $3)
                 where holder = $1 or expires_at < pg_catalog.clock_timestamp()
                 returning epoch",
                &[&holder, &label, &ttl],
            )
            .await
            .during("take the lease")?;
        match taken {
            Some(row) => Ok(Self { holder: holder.to_owned(), epoch: row.get(0) }),
            None => Err(match Self::current(client).await? {
                Some(other) => {
                    JournalError::LeaseHeld { label: other.label, expires_in_ms: other.expires_in_ms }
                }
                None => JournalError::Inconsistent { what: "the lease row is gone".into() },
            }),
        }
    }

    /// Extends the lease. Fails with [`JournalError::LeaseLost`] if it was taken over.
    pub async fn renew(&self, client: &impl GenericClient) -> Result<(), JournalError> {
        let renewed = client
            .execute(
                "update cleave.lease set expires_at = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $3)
                 where holder = $1 and epoch = $2",
                &[&self.holder, &self.epoch, &LEASE_TTL.as_secs_f64()],
            )
            .await
            .during("renew the lease")?;
        if renewed == 1 { Ok(()) } else { Err(JournalError::LeaseLost { epoch: self.epoch }) }
    }

    /// Locks the lease row for the rest of the transaction against take-over, and fails if it was taken over.
    pub async fn check(&self, transaction: &impl GenericClient) -> Result<(), JournalError> {
        self.check_with(transaction, CHECK).await
    }

    pub(crate) async fn check_with(
        &self,
        transaction: &impl GenericClient,
        statement: &(impl ToStatement + ?Sized + Sync + Send),
    ) -> Result<(), JournalError> {
        let held = transaction.query_opt(statement, &[&self.holder, &self.epoch]).await;
        held.during("check the lease")?.map(|_| ()).ok_or(JournalError::LeaseLost { epoch: self.epoch })
    }

    /// Gives the lease back, so that the next engine need not wait for it to run out.
    pub async fn release(&self, client: &impl GenericClient) -> Result<(), JournalError> {
        client
            .execute(
                "update cleave.lease set expires_at = '-infinity' where holder = $1 and epoch = $2",
                &[&self.holder, &self.epoch],
            )
            .await
            .during("release the lease")?;
        Ok(())
    }

    /// Who holds the lease now, if anybody ever did. `expires_in_ms` 0 means that it is free.
    pub async fn current(client: &impl GenericClient) -> Result<Option<LeaseHolder>, JournalError> {
        let sql = format!(
            "select label, epoch, case when expires_at = '-infinity' then 0 else {REMAINING_MS} end from cleave.lease"
        );
        let row = client.query_opt(&sql, &[]).await.during("read the lease")?;
        Ok(row.map(|row| LeaseHolder {
            label: row.get(0),
            epoch: row.get(1),
            expires_in_ms: u64::try_from(row.get::<_, i64>(2)).unwrap_or(0),
        }))
    }
}
