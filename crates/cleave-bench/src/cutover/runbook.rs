//! The runbook that people follow with the server's own subscriptions: make the old home read-only and end its sessions,
//! wait until the subscription has replayed everything, carry the sequences, drop the subscription, make one the other
//! way, repoint the applications.

use super::library::{self, COMMITS_BETWEEN, PATIENCE, longest_gap_ms, written};
use super::{Switched, tokens_of};
use crate::arena::{Arena, Failure};
use cleave_sandbox::{Endpoint, Kind, Oracle, connect};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

struct Side {
    endpoint: Endpoint,
    /// Not read-only, whatever the database's default is.
    client: Client,
}

impl Side {
    async fn new(name: &str, url: &str) -> Result<Self, Failure> {
        let client = connect(url).await?;
        client.batch_execute(&format!("{}; set default_transaction_read_only = off", library::MOVED)).await?;
        client.batch_execute("create publication library for all tables").await?;
        Ok(Self { endpoint: Endpoint::new(name, url), client })
    }

    async fn set_read_only(&self, database: &str, value: &str) -> Result<(), Failure> {
        let sql = format!("alter database {database} set default_transaction_read_only = {value}");
        Ok(self.client.batch_execute(&sql).await?)
    }
}

/// Switches between two databases that start with the same rows.
pub(super) async fn run(arena: &Arena, database: &str, switches: u32) -> Result<Switched, Failure> {
    arena.source.create_database(database).await?;
    arena.target.create_database(database).await?;
    let mut home = Side::new("monolith", &arena.source.url(database)).await?;
    let mut other = Side::new("books", &arena.target.url(database)).await?;
    subscribe(database, &home, &other).await?;
    let writers = library::writers(&home.endpoint).await?;
    let mut gaps_ms = Vec::new();
    for _ in 0..switches {
        written(&writers, COMMITS_BETWEEN).await?;
        writers.lap();
        fence(database, &home).await?;
        replayed(&home).await?;
        carry_sequences(&home, &other).await?;
        other.client.batch_execute(&format!("drop subscription {database}")).await?;
        std::mem::swap(&mut home, &mut other);
        // Before the first write: what is written earlier than the way back's slot would be lost by the next switch.
        subscribe(database, &home, &other).await?;
        home.set_read_only(database, "off").await?;
        writers.repoint_all(&home.endpoint);
        gaps_ms.push(longest_gap_ms(&writers).await?);
    }
    let record = writers.stop().await?;
    let verdict = Oracle::new()
        .place("book", &home.endpoint.url, tokens_of("public.book"))
        .place("review", &home.endpoint.url, tokens_of("public.review"))
        .home(Kind::new("book"), &["book"])
        .home(Kind::new("review"), &["review"])
        .home(Kind::new("both"), &["review"])
        .check(&[&record])
        .await?;
    other.client.batch_execute(&format!("drop subscription {database}")).await?;
    Ok(Switched {
        gaps_ms,
        refused: verdict.refused,
        lost: verdict.lost + verdict.duplicated,
        acknowledged: record.total.acknowledged as f64,
    })
}

async fn subscribe(database: &str, from: &Side, to: &Side) -> Result<(), Failure> {
    let sql = format!(
        "create subscription {database} connection '{}' publication library with (copy_data = false, origin = none)",
        from.endpoint.url
    );
    Ok(to.client.batch_execute(&sql).await?)
}

/// New sessions are read-only, and the old ones are ended: a careful runbook waits until they are.
async fn fence(database: &str, home: &Side) -> Result<(), Failure> {
    home.set_read_only(database, "on").await?;
    let now: String = home.client.query_one("select clock_timestamp()::text", &[]).await?.get(0);
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
                 and backend_start < $1::text::timestamptz";
    let began = Instant::now();
    while home.client.execute(sql, &[&now]).await? > 0 {
        if began.elapsed() > PATIENCE {
            return Err("the sessions do not end".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Everything that the home has committed is replayed and flushed on the other side.
async fn replayed(home: &Side) -> Result<(), Failure> {
    let end: String = home.client.query_one("select pg_current_wal_lsn()::text", &[]).await?.get(0);
    let sql = "select bool_and(confirmed_flush_lsn >= $1::text::pg_lsn) from pg_replication_slots
               where database = current_database()";
    let began = Instant::now();
    loop {
        if home.client.query_one(sql, &[&end]).await?.get::<_, Option<bool>>(0) == Some(true) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err("the subscription did not catch up".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn carry_sequences(home: &Side, other: &Side) -> Result<(), Failure> {
    let sql = "select string_agg(format('select setval(%L, %s)', schemaname || '.' || sequencename, last_value), ';')
               from pg_sequences where schemaname = 'public' and last_value is not null";
    let statements: String = home.client.query_one(sql, &[]).await?.get(0);
    Ok(other.client.batch_execute(&statements).await?)
}
