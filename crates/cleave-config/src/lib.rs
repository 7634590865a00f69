//! cleave-config
