//! Integration tests of the engine, on real servers.

#![cfg(test)]
#![expect(
    clippy::large_futures,
    reason = "a test's future holds a whole journey, and is polled once on a stack of its own"
)]

mod binary_types;
mod boundary;
mod cinema;
mod doctor;
mod failover_slots;
mod giants;
mod init;
mod journey;
mod least_privilege;
mod monitoring;
mod pagila;
mod places;
mod privileges;
mod readiness;
mod recommendation;
mod repair;
mod review_wedges;
mod rounds;
mod schema_move;
mod split;
mod statements;
mod throttle;
mod together;
mod trouble;
mod upgrade;
mod verification;
mod workload;
mod zoo;
