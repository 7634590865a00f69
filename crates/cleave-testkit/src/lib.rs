//! What integration tests of all crates share: one cluster per version and process, a database per test, a proxy that
//! misbehaves as networks do, and certificates.

mod database;
mod servers;

pub use database::TestDatabase;
pub use servers::{server, servers};
