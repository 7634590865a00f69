//! Bad input and bad days: what is said, with which exit code, and that nothing is lost.

mod network;
mod plans;
mod servers;
mod stage;
