//! cleave-stream
