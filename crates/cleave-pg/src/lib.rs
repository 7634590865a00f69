//! cleave-pg
