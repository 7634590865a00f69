//! cleave-testkit
