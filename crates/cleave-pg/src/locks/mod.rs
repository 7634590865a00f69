//! Who holds what others wait for: locks, old transactions, prepared transactions.
//!
//! Statements are named by their first keyword only: their text may hold values.

mod blockers;
mod transactions;

pub use blockers::{Blocker, blockers_of_pids, blockers_of_relations};
pub use transactions::{
    PreparedTransaction, Transaction, XidHolder, XidHolderKind, long_transactions, oldest_xid_holders,
    prepared_transactions,
};

/// What kind of process, or non-process, holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderKind {
    /// An application's session.
    Client,
    /// An autovacuum worker.
    Autovacuum,
    /// A prepared transaction: no process holds it, `COMMIT PREPARED` or `ROLLBACK PREPARED` ends it.
    Prepared,
    /// A replication connection.
    Walsender,
    /// Anything else, and processes whose kind this role may not see.
    Other,
}

impl HolderKind {
    /// From `backend_type`.
    fn of(backend_type: Option<&str>) -> Self {
        match backend_type {
            Some("client backend") => Self::Client,
            Some("autovacuum worker") => Self::Autovacuum,
            Some("prepared transaction") => Self::Prepared,
            Some("walsender") => Self::Walsender,
            _ => Self::Other,
        }
    }
}

/// SQL: the first keyword of `pg_stat_activity.query`, in capitals.
const QUERY_KIND: &str = r"upper(substring(a.query from '^\s*([A-Za-z]+)'))";
