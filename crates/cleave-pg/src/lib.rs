//! Everything that touches a PostgreSQL socket.
//!
//! - [`Endpoint`]: where to connect; [`connect`] opens a SQL [`Session`], [`connect_replication`] a
//!   [`replication::ReplicationSession`]. Both go over one transport with one TLS implementation.
//! - [`PgError`]: what goes wrong, with codes C0101 to C0114.
//! - [`catalog`], [`fingerprint()`], [`facts`]: what stands in a database.
//! - [`slots`], [`publications`], [`origins`], [`wal`]: logical replication seen from SQL.
//! - [`workload`]: what applications do.
//! - [`instance`]: what a server is doing and how it is set.
//! - [`locks`]: who is in the way. [`copy`]: bytes from table to table.
//!
//! The functions take the driver's `Client`, so that they work on a [`Session`] and on a transaction's `client()`.

mod endpoint;
mod error;
mod facts;
mod fingerprint;
mod session;
mod surroundings;
mod transport;

pub mod catalog;
pub mod copy;
pub mod instance;
pub mod locks;
pub mod origins;
pub mod publications;
pub mod replication;
pub mod slots;
pub mod wal;
pub mod workload;

pub use endpoint::{Endpoint, RootCertificates, SslMode, TlsSettings};
pub use error::{During, PgError, ServerError};
pub use facts::facts;
pub use fingerprint::fingerprint;
pub use replication::connect_replication;
pub use session::{
    Canceller, Notice, Notification, PoolMode, PooledDatabase, PoolerConsole, Session, connect,
};
pub use surroundings::surroundings;
