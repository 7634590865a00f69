//! Splits of a table, on real servers.

mod journey;
mod rules;
mod samples;
mod stage;
