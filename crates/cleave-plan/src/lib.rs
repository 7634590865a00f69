//! Decides: what a move does, whether it may, and what comes next. Desired state (`cleave.toml`) against observed
//! state (catalogs) gives a plan; the cutover machine decides what an executor does at the switch.
//!
//! Pure: this crate never connects, reads no clock and no environment.

pub mod cutover;
