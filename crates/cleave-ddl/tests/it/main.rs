//! Tests of the DDL writer on real servers.

#[cfg(test)]
mod carrying;
#[cfg(test)]
mod catalog_reading;
#[cfg(test)]
mod normal;
#[cfg(test)]
mod servers;
