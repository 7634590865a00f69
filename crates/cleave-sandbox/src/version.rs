//! The PostgreSQL versions that a cluster can have.

use std::fmt;

/// A major version of PostgreSQL that Cleave supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Version {
    /// PostgreSQL 14.
    V14 = 14,
    /// PostgreSQL 15.
    V15 = 15,
    /// PostgreSQL 16.
    V16 = 16,
    /// PostgreSQL 17.
    V17 = 17,
    /// PostgreSQL 18.
    V18 = 18,
}

impl Version {
    /// All supported versions, the oldest first.
    pub const ALL: [Version; 5] = [Version::V14, Version::V15, Version::V16, Version::V17, Version::V18];

    /// The version as a number, 14 to 18.
    pub const fn major(self) -> u32 {
        self as u32
    }

    /// The version of that number, if it is supported.
    pub fn from_major(major: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.major() == major)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {}", self.major())
    }
}
