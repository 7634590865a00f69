//! cleave-ddl
