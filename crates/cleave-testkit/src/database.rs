//! A database of one's own on the shared cluster of a version, dropped at the end of the test.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use cleave_sandbox::{Cluster, Error, Version, connect};
use tokio_postgres::Client;

use crate::server;

/// Bytes of the hint that go into a database's name; names longer than 63 bytes would be cut by the server.
const HINT_BYTES_MAX: usize = 30;

/// An empty database on a shared cluster. Dropping it ends everything that still uses it, replication slots included.
#[derive(Debug)]
pub struct TestDatabase {
    cluster: &'static Cluster,
    name: String,
}

impl TestDatabase {
    /// Creates a database whose name starts with the hint (for who reads the server's log) and is unique. The name
    /// needs no quoting and suits as the beginning of other names that belong to the whole cluster, such as slots.
    ///
    /// # Errors
    /// When the cluster does not start or the database cannot be created.
    pub async fn create(version: Version, hint: &str) -> Result<Self, Error> {
        Self::create_on(server(version).await?, hint).await
    }

    /// The same on a cluster of the test's own: one that it stops, or whose settings it changes.
    ///
    /// # Errors
    /// When the database cannot be created.
    pub async fn create_on(cluster: &'static Cluster, hint: &str) -> Result<Self, Error> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let hint: String =
            hint.to_ascii_lowercase().chars().map(word_character).take(HINT_BYTES_MAX).collect();
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{hint}_{}_{number}", process::id());
        cluster.create_database(&name).await?;
        Ok(Self { cluster, name })
    }

    /// The cluster that the database is on.
    pub fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.cluster.version()
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The database's URL as superuser over TCP.
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// The database's URL as another role over TCP.
    pub fn url_as(&self, role: &str, password: &str) -> String {
        self.cluster.url_as(role, password, &self.name)
    }

    /// A new connection as superuser.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn connect(&self) -> Result<Client, Error> {
        connect(&self.url()).await
    }
}

/// What a name may contain unquoted; everything else becomes an underscore.
fn word_character(character: char) -> char {
    if character.is_ascii_alphanumeric() { character } else { '_' }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (cluster, name) = (self.cluster, self.name.clone());
        // The test's own runtime may be the thread that waits here, so the work is done on another one.
        let work = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(cluster.drop_database(&name)).map_err(std::io::Error::other)
        });
        let outcome = work.join();
        if !std::thread::panicking() {
            let failed = !matches!(outcome, Ok(Ok(())));
            assert!(!failed, "test database {} cannot be dropped: {outcome:?}", self.name);
        }
    }
}
