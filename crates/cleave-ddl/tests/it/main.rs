//! Tests of the DDL writer on real servers.

#![cfg(test)]

mod carrying;

mod catalog_reading;

mod normal;

mod real_schemas;
mod refusing;
mod servers;
mod switching;
