//! The catalog reader and the DDL writer prove each other: what is written from one server's catalog is read again on
//! another. Here rather than beside the writer, which is pure and stands below everything that connects.

mod carrying;
mod catalog_reading;
mod normal;
mod real_schemas;
mod refusing;
mod servers;
mod switching;
