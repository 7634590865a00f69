//! cleave-plan
