//! cleave-proto
