//! The formats against hand-made bytes, their own encoder, hostile input and real servers.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../fuzz/bodies.rs"]
mod bodies;

mod allocations;
mod copy;
mod encode;
mod fuzz;
mod order;
mod replication;
mod round_trip;
mod samples;
mod server;
mod streams;
mod vectors;
