//! Tests of the configuration file through the public API.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as expected")]

mod claims;
mod documents;
mod errors;
mod reading;
