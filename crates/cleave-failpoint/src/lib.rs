//! Failpoints by name.
