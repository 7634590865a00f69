//! Comparisons on real servers.

#![cfg(test)]

mod checkpoints;
mod corruption;
mod hashes;
mod keyless;
mod load;
mod mapping;
mod parts;
mod refusals;
mod repair;
mod sides;
mod throttle;
mod zoo;
