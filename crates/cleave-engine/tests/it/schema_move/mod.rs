//! Moves inside one database, on real servers.

mod journey;
mod shop;
