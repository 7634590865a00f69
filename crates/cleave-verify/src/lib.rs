//! cleave-verify
