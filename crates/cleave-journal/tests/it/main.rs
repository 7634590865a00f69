//! Integration tests of the journal, on real servers.

#![cfg(test)]

mod journal;

mod entries;
mod install;
mod lease;
mod moves;
mod operations;
mod owner;
mod positions;
mod verifying;
mod work;
