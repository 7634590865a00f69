//! The two throw-away servers and the roles on them.

use super::error::DemoError;
use cleave_sandbox::{Cluster, Options, Random, Version, connect};

/// Database of the sample monolith.
pub(super) const MONOLITH: &str = "monolith";
/// Database of the service's new home.
pub(super) const PRODUCTS: &str = "products";
/// Role of the application: owner of the monolith's tables, no superuser.
const APPLICATION: &str = "shop";
/// Owner of the service's tables at the new home, as the sample's cleave.toml has it.
pub(super) const SERVICE_OWNER: &str = "catalog_svc";

/// A monolith on PostgreSQL 14 and a new home on PostgreSQL 18. Dropping this stops both and removes their folders.
#[derive(Debug)]
pub(super) struct Servers {
    monolith: Cluster,
    products: Cluster,
    password: String,
}

impl Servers {
    /// Starts both, with empty databases.
    pub(super) async fn start() -> Result<Self, DemoError> {
        // The load then needs no checkpoint in between; the superuser's password keeps other users of the machine out.
        let options = Options::new()
            .superuser_password()
            .setting("shared_buffers", "128MB")
            .setting("max_wal_size", "2GB");
        let (monolith, products) =
            tokio::try_join!(Cluster::start(Version::V14, &options), Cluster::start(Version::V18, &options))?;
        tokio::try_join!(monolith.create_database(MONOLITH), products.create_database(PRODUCTS))?;
        let servers = Self { monolith, products, password: password() };
        let role = format!("create role {APPLICATION} login password '{}'", servers.password);
        run(&servers.monolith_url(), "make the application's role", &role).await?;
        Ok(servers)
    }

    /// Makes the role that is to own the service's tables: Cleave asks for it and never makes roles by itself.
    pub(super) async fn make_service_owner(&self) -> Result<(), DemoError> {
        let role = format!("create role {SERVICE_OWNER}");
        run(&self.products_url(), "make the service's role", &role).await
    }

    /// The monolith as superuser.
    pub(super) fn monolith_url(&self) -> String {
        self.monolith.url(MONOLITH)
    }

    /// The new home as superuser.
    pub(super) fn products_url(&self) -> String {
        self.products.url(PRODUCTS)
    }

    /// The monolith as its application.
    pub(super) fn application_url(&self) -> String {
        self.monolith.url_as(APPLICATION, &self.password, MONOLITH)
    }
}

/// Runs statements as one simple query.
pub(super) async fn run(url: &str, action: &'static str, statements: &str) -> Result<(), DemoError> {
    let client = connect(url).await?;
    client.batch_execute(statements).await.map_err(|source| DemoError::Statement { action, source })
}

fn password() -> String {
    let mut random = Random::new();
    (0..24).map(|_| random.alphanumeric()).collect()
}
