//! Old transactions: they keep a slot from being created, a fence from being had, and dead rows from being removed.

use super::{HolderKind, QUERY_KIND};
use crate::{During, PgError};
use std::time::Duration;
use tokio_postgres::{Client, Row};

/// A transaction of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The process.
    pub pid: i32,
    /// Its database; `None` for processes without one.
    pub database: Option<String>,
    /// Role.
    pub user: Option<String>,
    /// `application_name`.
    pub application: Option<String>,
    /// `active`, `idle in transaction`, ...
    pub state: Option<String>,
    /// What it is.
    pub kind: HolderKind,
    /// Since it began, in milliseconds.
    pub age_ms: u64,
    /// First keyword of its statement, the last one if it is idle.
    pub query_kind: Option<String>,
    /// True if it has an id, so that the creation of a slot waits for it.
    pub has_xid: bool,
}

/// Transactions of all databases of the cluster that began more than `older_than` ago, the oldest first, but this
/// session's own. Those whose age this role may not see are not among them (role `pg_read_all_stats` sees all).
///
/// # Errors
/// A failed query.
pub async fn long_transactions(client: &Client, older_than: Duration) -> Result<Vec<Transaction>, PgError> {
    let sql = format!(
        "select a.pid, a.datname::text, a.usename::text, a.application_name, a.state, a.backend_type,
                (extract(epoch from clock_timestamp() - a.xact_start) * 1000)::bigint as age_ms,
                {QUERY_KIND} as query_kind, a.backend_xid is not null as has_xid
         from pg_stat_activity a
         where a.xact_start < clock_timestamp() - $1::bigint * interval '1 ms' and a.pid <> pg_backend_pid()
         order by a.xact_start"
    );
    let what = "looking for long transactions";
    let older_than_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
    let rows = client.query(&sql, &[&older_than_ms]).await.during(what)?;
    let transaction = |row: &Row| {
        Ok(Transaction {
            pid: row.try_get("pid")?,
            database: row.try_get("datname")?,
            user: row.try_get("usename")?,
            application: row.try_get("application_name")?,
            state: row.try_get("state")?,
            kind: HolderKind::of(row.try_get("backend_type")?),
            age_ms: row.try_get::<_, i64>("age_ms")?.max(0).unsigned_abs(),
            query_kind: row.try_get("query_kind")?,
            has_xid: row.try_get("has_xid")?,
        })
    };
    rows.iter().map(transaction).collect::<Result<_, _>>().during(what)
}

/// A transaction between `PREPARE TRANSACTION` and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedTransaction {
    /// Its name, for `COMMIT PREPARED` and `ROLLBACK PREPARED`.
    pub name: String,
    /// Role.
    pub owner: String,
    /// Its database.
    pub database: String,
    /// Since it was prepared, in milliseconds.
    pub age_ms: u64,
}

/// All prepared transactions of the cluster, the oldest first.
///
/// # Errors
/// A failed query.
pub async fn prepared_transactions(client: &Client) -> Result<Vec<PreparedTransaction>, PgError> {
    let sql = "
        select gid, owner::text, database::text,
               (extract(epoch from clock_timestamp() - prepared) * 1000)::bigint as age_ms
        from pg_prepared_xacts order by prepared";
    let what = "listing the prepared transactions";
    let rows = client.query(sql, &[]).await.during(what)?;
    let prepared = |row: &Row| {
        Ok(PreparedTransaction {
            name: row.try_get("gid")?,
            owner: row.try_get("owner")?,
            database: row.try_get("database")?,
            age_ms: row.try_get::<_, i64>("age_ms")?.max(0).unsigned_abs(),
        })
    };
    rows.iter().map(prepared).collect::<Result<_, _>>().during(what)
}

/// Something that keeps old row versions from being removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XidHolder {
    /// What it is.
    pub kind: XidHolderKind,
    /// How many transactions the cluster has begun since.
    pub age_xids: u32,
}

/// What an [`XidHolder`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XidHolderKind {
    /// A session, by its process.
    Session {
        /// The process.
        pid: i32,
    },
    /// A prepared transaction, by its name.
    Prepared {
        /// Its name.
        name: String,
    },
    /// A replication slot, by its name.
    Slot {
        /// Its name.
        name: String,
    },
}

/// The holders of the oldest transaction ids, the oldest first, at most `limit`; this session's own is left out.
///
/// # Errors
/// A failed query.
pub async fn oldest_xid_holders(client: &Client, limit: u32) -> Result<Vec<XidHolder>, PgError> {
    let sql = "
        select kind, pid, name, age from (
            select 'session' as kind, pid, null::text as name,
                   greatest(age(backend_xid), age(backend_xmin)) as age
            from pg_stat_activity where pid <> pg_backend_pid()
            union all
            select 'prepared', null, gid, age(transaction) from pg_prepared_xacts
            union all
            select 'slot', null, slot_name::text, greatest(age(xmin), age(catalog_xmin)) from pg_replication_slots
        ) holder
        where age is not null
        order by age desc, kind, name, pid
        limit $1::bigint";
    let what = "looking for the oldest transactions";
    let rows = client.query(sql, &[&i64::from(limit)]).await.during(what)?;
    let holder = |row: &Row| {
        let kind = match row.try_get("kind")? {
            "session" => XidHolderKind::Session { pid: row.try_get("pid")? },
            "prepared" => XidHolderKind::Prepared { name: row.try_get("name")? },
            _ => XidHolderKind::Slot { name: row.try_get("name")? },
        };
        Ok(XidHolder { kind, age_xids: row.try_get::<_, i32>("age")?.max(0).unsigned_abs() })
    };
    rows.iter().map(holder).collect::<Result<_, _>>().during(what)
}
