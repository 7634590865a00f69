//! cleave-journal
