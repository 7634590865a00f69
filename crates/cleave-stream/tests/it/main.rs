//! Integration tests of copy, follow and apply, on real servers.
