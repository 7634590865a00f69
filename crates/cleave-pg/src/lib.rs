//! Everything that touches a PostgreSQL socket.
//!
//! - [`Endpoint`]: where to connect; [`connect`] opens a SQL [`Session`], [`connect_replication`] a
//!   [`replication::ReplicationSession`]. Both go over one transport with one TLS implementation.
//! - [`PgError`]: what goes wrong, with codes C0101 to C0113.

mod endpoint;
mod error;
mod fingerprint;
mod session;
mod transport;

pub mod catalog;
pub mod replication;

pub use endpoint::{Endpoint, RootCertificates, SslMode, TlsSettings};
pub use error::{During, PgError, ServerError};
pub use fingerprint::fingerprint;
pub use replication::connect_replication;
pub use session::{Canceller, Notice, Notification, Session, connect};
