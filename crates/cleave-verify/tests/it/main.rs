//! Comparisons on real servers.

#![cfg(test)]

mod corruption;
mod hashes;
mod keyless;
mod load;
mod ranges;
mod refusals;
mod repair;
mod sides;
mod zoo;
