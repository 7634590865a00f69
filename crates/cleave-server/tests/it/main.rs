//! What probes and collectors are answered, over real connections.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as expected")]

mod answers;
mod texts;
