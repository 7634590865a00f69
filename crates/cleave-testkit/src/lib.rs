//! What integration tests of all crates share: one cluster per version and process, a database per test, a proxy that
//! misbehaves as networks do, and certificates.

mod certificates;
mod database;
mod proxy;
mod servers;

pub use certificates::Certificates;
pub use database::TestDatabase;
pub use proxy::Proxy;
pub use servers::{server, servers};
