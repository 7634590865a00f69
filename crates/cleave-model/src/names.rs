//! Names and numbers of the topology: services, databases, directions, epochs.

use std::fmt;

/// A name in `cleave.toml` that cannot become part of a slot, origin or role name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName {
    /// The text as given.
    pub name: String,
    /// What is wrong with it, as a sentence's end: "is empty".
    pub reason: &'static str,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name `{}` {}", self.name, self.reason)
    }
}

impl std::error::Error for InvalidName {}

/// Slot names allow `[a-z0-9_]` only and 63 bytes in all; 24 leave room for prefix, direction and incarnation.
const NAME_BYTES_MAX: usize = 24;

fn check(name: &str) -> Result<(), InvalidName> {
    let reason = if name.is_empty() {
        "is empty"
    } else if name.len() > NAME_BYTES_MAX {
        "is longer than 24 characters"
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "does not start with a lower-case letter"
    } else if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        "has a character other than a-z, 0-9 and _"
    } else {
        return Ok(());
    };
    Err(InvalidName { name: name.to_owned(), reason })
}

macro_rules! topology_name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// Checks that the name fits into slot, origin and role names: `[a-z][a-z0-9_]*`, at most 24 bytes.
            pub fn parse(name: &str) -> Result<Self, InvalidName> {
                check(name)?;
                Ok(Self(name.to_owned()))
            }

            /// The bare name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

topology_name!(
    /// A service's name in `cleave.toml`.
    ServiceName
);
topology_name!(
    /// A database's name in `cleave.toml` (not its name on the server).
    DatabaseName
);

/// Raised by one at each switch of a service's home; kept on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

impl Epoch {
    /// The epoch that the next switch will set.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A PostgreSQL object identifier, meaningful in one database only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(pub u32);

/// Which way a stream of a live move flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the old home (M) to the new one (N).
    Forward,
    /// From the new home (N) back to the old one (M): the way back, and what keeps copies current.
    Back,
}

impl Direction {
    /// `forward` or `back`, as it stands in slot names and in `cleave.position`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Back => "back",
        }
    }

    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Back,
            Self::Back => Self::Forward,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_must_fit_into_a_slot_name() {
        assert!(ServiceName::parse("films").is_ok());
        for bad in ["", "Films", "9lives", "a-b", "abcdefghijklmnopqrstuvwxy"] {
            assert!(ServiceName::parse(bad).is_err(), "{bad}");
        }
    }
}
