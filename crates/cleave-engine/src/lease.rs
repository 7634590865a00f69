//! Keeps the leases of the databases that this engine works on.

use crate::{EngineError, Site};
use cleave_journal::{JournalError, LEASE_TTL, Lease};
use cleave_model::DatabaseName;
use cleave_pg::{During, Session};
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::watch, task::JoinHandle};

/// A fifth of the time to live: four renewals may fail before the lease runs out.
const RENEWAL: Duration = Duration::from_secs(LEASE_TTL.as_secs() / 5);

/// Leases on a set of databases, renewed in the background until dropped.
#[derive(Debug)]
pub(crate) struct Leases {
    holder: String,
    label: String,
    held: BTreeMap<DatabaseName, Held>,
    lost: watch::Sender<Option<String>>,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    site: Site,
    keeper: JoinHandle<()>,
}

impl Leases {
    /// No lease yet. `holder` is unique per process, `label` is for people.
    pub(crate) fn new(holder: String, label: String) -> Self {
        Self { holder, label, held: BTreeMap::new(), lost: watch::Sender::new(None) }
    }

    /// Takes the lease of a database, installing the `cleave` schema if it is not there, and starts to renew it.
    pub(crate) async fn take(&mut self, site: &Site) -> Result<Lease, EngineError> {
        if let Some(held) = self.held.get(&site.name) {
            return Ok(held.lease.clone());
        }
        let mut session = site.connect("lease").await?;
        cleave_journal::install(&mut session).await?;
        // A transaction of a holder that was stopped, not ended, may keep the row: not for ever.
        session
            .batch_execute("set lock_timeout = '30s'")
            .await
            .during("limiting how long the lease is waited for")?;
        let lease = Lease::acquire(&*session, &self.holder, &self.label).await?;
        cleave_failpoint::hit_async("lease.taken").await;
        let keeper = tokio::spawn(keep(session, site.clone(), lease.clone(), self.lost.clone()));
        self.held.insert(site.name.clone(), Held { lease: lease.clone(), site: site.clone(), keeper });
        Ok(lease)
    }

    /// True if this engine holds a database's lease.
    pub(crate) fn holds(&self, database: &DatabaseName) -> bool {
        self.held.contains_key(database)
    }

    /// The databases whose leases are held.
    pub(crate) fn databases(&self) -> Vec<DatabaseName> {
        self.held.keys().cloned().collect()
    }

    /// The lease of a database, if this engine holds it.
    pub(crate) fn lease(&self, database: &DatabaseName) -> Option<Lease> {
        self.held.get(database).map(|held| held.lease.clone())
    }

    /// Names the database whose lease was taken over, once that happens. Everything must stop then.
    pub(crate) fn lost(&self) -> watch::Receiver<Option<String>> {
        self.lost.subscribe()
    }

    /// Gives all leases back.
    pub(crate) async fn release(self) {
        for held in self.held.into_values() {
            held.keeper.abort();
            // A lease that cannot be given back runs out by itself.
            if let Ok(session) = held.site.connect("lease").await {
                let _ = held.lease.release(&*session).await;
            }
        }
    }
}

async fn keep(mut session: Session, site: Site, lease: Lease, lost: watch::Sender<Option<String>>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        match lease.renew(&*session).await {
            Ok(()) => {}
            Err(JournalError::LeaseLost { .. }) => {
                lost.send_replace(Some(site.name.to_string()));
                return;
            }
            // The server may be restarting: the lease lives on, or somebody else takes it and we are told then.
            Err(_) => {
                if let Ok(fresh) = site.connect("lease").await {
                    session = fresh;
                }
            }
        }
    }
}
