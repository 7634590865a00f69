//! Integration tests of the engine, on real servers.

#![cfg(test)]

mod cinema;
mod doctor;
mod init;
mod journey;
mod places;
mod privileges;
