//! Throw-away PostgreSQL clusters, a workload writer and the commit oracle, for `cleave demo` and for tests.
//!
//! A [`Cluster`] is a real server of version 14 to 18 that leaves nothing behind, even if its owner is killed.
//! A [`Workload`] keeps writing as applications do and records what the servers acknowledged;
//! the [`Oracle`] then compares the record with what the databases hold.

mod cluster;
mod error;
mod masking;
mod oracle;
mod script;
mod version;
mod workload;

pub use cluster::installation::client_tools;
pub use cluster::{Cluster, Options, Pooler, StopMode, connect};
pub use error::Error;
pub use masking::Mask;
pub use oracle::{Fault, Finding, Oracle, Verdict};
pub use script::{ScriptError, read_script};
pub use version::Version;
pub use workload::{
    Endpoint, ErrorSample, Kind, Lap, Latencies, MalformedStatement, Pace, Random, Record, RunId, Script,
    Session, SqlScript, Token, Workload,
};
