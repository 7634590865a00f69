//! cleave-sandbox
