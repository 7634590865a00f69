//! The words of the product as types: names, positions, units and the catalog model.
//!
//! Pure: no I/O, no clock, no environment. Everything else in the workspace may depend on this crate; it depends
//! on nothing of ours.

mod ident;
mod names;
mod position;
mod quote;
mod range_key;
mod units;

pub mod catalog;
pub mod instance;
pub mod labels;
pub mod surroundings;
pub mod workload;

pub use ident::{Ident, QualifiedName};
pub use names::{DatabaseName, Direction, Epoch, InvalidName, Oid, ServiceName};
pub use position::{InvalidLsn, Lsn, Position};
pub use quote::{quote_ident, quote_literal};
pub use range_key::{RangeType, RangeValue};
pub use units::{format_bytes, format_count, format_duration_ms};
