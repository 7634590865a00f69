//! The JSON shapes are the contract: a snapshot that changes here changes what scripts read.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as expected")]

mod shapes;
