//! Everything of cleave-pg against real servers.

#![cfg(test)]

mod connecting;
mod copying;
mod ddl;
mod locking;
mod replicating;
mod secure_server;
mod slot_keeping;
mod tls;

use cleave_pg::{Endpoint, PgError, Session};
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use std::time::{Duration, Instant};

/// Runs a test on every version at the same time, each with a database of its own.
async fn on_every_version<F: Future<Output = ()>>(hint: &str, test: impl Fn(TestDatabase) -> F) {
    let runs = Version::ALL.map(|version| {
        let test = &test;
        async move { test(TestDatabase::create(version, hint).await.unwrap()).await }
    });
    futures_util::future::join_all(runs).await;
}

fn endpoint(database: &TestDatabase) -> Endpoint {
    Endpoint::parse(&database.url()).unwrap()
}

async fn session(database: &TestDatabase) -> Session {
    cleave_pg::connect(&endpoint(database), "test").await.unwrap()
}

/// Waits for a condition that another process brings about.
async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The failure of a connection of either kind.
async fn refusals(endpoint: &Endpoint) -> [PgError; 2] {
    let sql = cleave_pg::connect(endpoint, "test").await.map(drop).unwrap_err();
    let replication = cleave_pg::connect_replication(endpoint, "test").await.map(drop).unwrap_err();
    [sql, replication]
}
