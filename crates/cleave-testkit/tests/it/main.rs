//! Integration tests of what the other crates' tests rely on.

#![cfg(test)]

mod certificates;
mod database;
mod proxy;
