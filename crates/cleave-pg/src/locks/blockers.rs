//! Who blocks whom, from `pg_locks` (manual 54.12) and `pg_blocking_pids`.

use super::{HolderKind, QUERY_KIND};
use crate::{During, PgError};
use cleave_model::Oid;
use tokio_postgres::{Client, Row};

/// One that holds a lock, or waits for one in front of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The process; `None` for a prepared transaction.
    pub pid: Option<i32>,
    /// Name of the prepared transaction.
    pub prepared: Option<String>,
    /// Role.
    pub user: Option<String>,
    /// `application_name`.
    pub application: Option<String>,
    /// `active`, `idle in transaction`, ...; `None` where this role may not see it.
    pub state: Option<String>,
    /// What it is.
    pub kind: HolderKind,
    /// Age of its transaction, in milliseconds.
    pub age_ms: Option<u64>,
    /// First keyword of its statement, the last one if it is idle in its transaction.
    pub query_kind: Option<String>,
    /// The strongest lock it holds or asks for on what is waited for: `AccessShareLock`.
    pub mode: String,
}

/// The sessions and prepared transactions that the given processes wait for, directly: also those that only stand in
/// front of them in a queue. Empty if none of them waits.
///
/// # Errors
/// A failed query.
pub async fn blockers_of_pids(client: &Client, pids: &[i32]) -> Result<Vec<Blocker>, PgError> {
    let held = "
        select l.pid, l.virtualtransaction, l.mode
        from pg_locks w
        join pg_locks l on l.locktype = w.locktype
            and l.database is not distinct from w.database and l.relation is not distinct from w.relation
            and l.page is not distinct from w.page and l.tuple is not distinct from w.tuple
            and l.virtualxid is not distinct from w.virtualxid
            and l.transactionid is not distinct from w.transactionid
            and l.classid is not distinct from w.classid and l.objid is not distinct from w.objid
            and l.objsubid is not distinct from w.objsubid
        where not w.granted and w.pid = any ($1) and coalesce(l.pid, 0) = any (pg_blocking_pids(w.pid))";
    let sql = query(held);
    let what = "looking for who blocks us";
    let rows = client.query(&sql, &[&pids]).await.during(what)?;
    rows.iter().map(blocker).collect::<Result<_, _>>().during(what)
}

/// The sessions and prepared transactions that hold any lock on the given relations of this database, but this
/// session's own.
///
/// # Errors
/// A failed query.
pub async fn blockers_of_relations(client: &Client, relations: &[Oid]) -> Result<Vec<Blocker>, PgError> {
    let held = "
        select l.pid, l.virtualtransaction, l.mode
        from pg_locks l
        where l.locktype = 'relation' and l.granted and l.relation = any ($1)
          and l.database = (select oid from pg_database where datname = current_database())
          and l.pid is distinct from pg_backend_pid()";
    let sql = query(held);
    let what = "looking for who uses the tables";
    let oids: Vec<u32> = relations.iter().map(|oid| oid.0).collect();
    let rows = client.query(&sql, &[&oids]).await.during(what)?;
    rows.iter().map(blocker).collect::<Result<_, _>>().during(what)
}

/// A prepared transaction has no process; it is found by the lock on its own transaction id, which its other locks
/// share a virtual transaction with.
fn query(held: &str) -> String {
    format!(
        "with held as ({held}),
         holder as (
             select distinct on (pid, virtualtransaction) pid, virtualtransaction, mode
             from held
             order by pid, virtualtransaction,
                 array_position(array['AccessShareLock', 'RowShareLock', 'RowExclusiveLock',
                     'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                     'AccessExclusiveLock'], mode) desc
         )
         select h.pid, p.gid as prepared, coalesce(a.usename, p.owner)::text as usename, a.application_name,
                case when h.pid is null then 'prepared' else a.state end as state,
                case when h.pid is null then 'prepared transaction' else a.backend_type end as backend_type,
                (extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000)::bigint as age_ms,
                {QUERY_KIND} as query_kind, h.mode
         from holder h
         left join pg_stat_activity a on a.pid = h.pid
         left join pg_locks x on h.pid is null and x.pid is null and x.locktype = 'transactionid'
             and x.virtualtransaction = h.virtualtransaction
         left join pg_prepared_xacts p on p.transaction = x.transactionid
         order by age_ms desc nulls last, h.pid"
    )
}

fn blocker(row: &Row) -> Result<Blocker, tokio_postgres::Error> {
    Ok(Blocker {
        pid: row.try_get("pid")?,
        prepared: row.try_get("prepared")?,
        user: row.try_get("usename")?,
        application: row.try_get("application_name")?,
        state: row.try_get("state")?,
        kind: HolderKind::of(row.try_get("backend_type")?),
        age_ms: row.try_get::<_, Option<i64>>("age_ms")?.map(|age| age.max(0).unsigned_abs()),
        query_kind: row.try_get("query_kind")?,
        mode: row.try_get("mode")?,
    })
}
