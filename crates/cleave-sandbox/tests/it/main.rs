//! Integration tests on real servers of all supported versions.

#![cfg(test)]

mod cluster;
mod orphans;
mod workload;
