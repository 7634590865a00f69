//! What a running engine answers over HTTP: `/healthz`, `/readyz` and `/metrics`.
//!
//! It only reads. Probes are answered from the engine's [`Pulse`](cleave_engine::Pulse) and ask no database; metrics read
//! the status of the services at most every few seconds, however many ask. Everything is bounded: connections, the size
//! and time of a request, and the time to read a status. No answer names a row, a password or a URL.

mod metrics;
mod probes;
mod server;

pub use metrics::metrics;
pub use probes::{Answer, health, readiness};
pub use server::{CONNECTIONS_MAX, Server};
