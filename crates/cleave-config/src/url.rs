//! Where a connection string comes from.

use crate::source::password_ranges;
use std::{fmt, path::PathBuf};

/// Says how to get a database's connection string. `Debug` never shows an inline string, as it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub enum UrlSource {
    /// `env:NAME`: the environment variable of that name.
    Env(String),
    /// `file:PATH`: the first line of a file; relative paths start at the folder of `cleave.toml`.
    File(PathBuf),
    /// `cmd:COMMAND`: the first line that a shell command prints.
    Command(String),
    /// The connection string itself.
    Inline(String),
}

impl UrlSource {
    /// Reads the text of a `url` key; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let named = |rest: &str| {
            let rest = rest.trim();
            if rest.is_empty() { None } else { Some(rest.to_owned()) }
        };
        if let Some(rest) = text.strip_prefix("env:") {
            let valid = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return named(rest)
                .filter(valid)
                .map(Self::Env)
                .ok_or("names no environment variable after `env:`");
        }
        if let Some(rest) = text.strip_prefix("file:") {
            return named(rest).map(|path| Self::File(path.into())).ok_or("names no file after `file:`");
        }
        if let Some(rest) = text.strip_prefix("cmd:") {
            return named(rest).map(Self::Command).ok_or("names no command after `cmd:`");
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") || text.contains('=') {
            return Ok(Self::Inline(text.to_owned()));
        }
        Err("is neither a connection string nor `env:`, `file:` or `cmd:`")
    }

    /// True if the connection string stands in the file and has a password.
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Inline(text) if !password_ranges(text).is_empty())
    }
}

impl fmt::Debug for UrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "Env({name})"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Command(_) => f.write_str("Command(..)"),
            Self::Inline(_) => f.write_str("Inline(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_a_connection_string() {
        let inline = UrlSource::parse("postgres://me:secret@db/shop").unwrap();
        assert!(inline.has_password());
        assert_eq!(format!("{inline:?}"), "Inline(..)");
    }

    #[test]
    fn a_url_without_scheme_is_refused() {
        for bad in ["", "env:", "env:A B", "file: ", "cmd:", "db.example.com"] {
            assert!(UrlSource::parse(bad).is_err(), "{bad}");
        }
    }
}
