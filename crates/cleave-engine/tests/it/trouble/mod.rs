//! Bad input and bad days: what is said, with which exit code, and that nothing is lost.

mod bridge_use;
mod columns;
mod detached;
mod failover;
mod hooks;
mod locks;
mod network;
mod operators;
mod plans;
pub(crate) mod pooler;
mod protection;
mod servers;
pub(crate) mod stage;
mod strays;
