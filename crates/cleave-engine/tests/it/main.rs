//! Integration tests of the engine, on real servers.

mod cinema;
mod journey;
