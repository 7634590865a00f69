//! Integration tests of the journal, on real servers.
