//! Integration tests of the engine, on real servers.

#![cfg(test)]

mod cinema;
mod doctor;
mod init;
mod journey;
mod least_privilege;
mod pagila;
mod places;
mod privileges;
mod review_wedges;
mod trouble;
