//! What can be wrong with a configuration file.

use crate::source::Span;
use std::fmt;

/// The stable codes of this crate; `cleave explain CODE` has a page for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// C0001: the text is not TOML.
    Syntax,
    /// C0002: no such key.
    UnknownKey,
    /// C0003: a key that must stand there is missing.
    MissingKey,
    /// C0004: a value of another type than the key takes.
    WrongType,
    /// C0005: a value of the right type that does not make sense.
    InvalidValue,
    /// C0006: a database or service that the file does not define.
    UnknownName,
    /// C0007: two services claim one table.
    TableClaimedTwice,
    /// C0008: two settings exclude each other.
    Contradiction,
    /// C0009: a key or value of Cleave that this version cannot carry out.
    NotAvailable,
    /// C0010 (warning): a password stands in the file.
    PasswordInFile,
    /// C0011: a name that cannot become part of slot and role names.
    InvalidName,
    /// C0012: `tables` names a table that the database does not have.
    NoSuchTable,
}

impl ErrorCode {
    /// All codes, in order.
    pub const ALL: [Self; 12] = [
        Self::Syntax,
        Self::UnknownKey,
        Self::MissingKey,
        Self::WrongType,
        Self::InvalidValue,
        Self::UnknownName,
        Self::TableClaimedTwice,
        Self::Contradiction,
        Self::NotAvailable,
        Self::PasswordInFile,
        Self::InvalidName,
        Self::NoSuchTable,
    ];

    /// `C0002`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "C0001",
            Self::UnknownKey => "C0002",
            Self::MissingKey => "C0003",
            Self::WrongType => "C0004",
            Self::InvalidValue => "C0005",
            Self::UnknownName => "C0006",
            Self::TableClaimedTwice => "C0007",
            Self::Contradiction => "C0008",
            Self::NotAvailable => "C0009",
            Self::PasswordInFile => "C0010",
            Self::InvalidName => "C0011",
            Self::NoSuchTable => "C0012",
        }
    }

    /// Warnings do not stop anything.
    pub fn severity(self) -> Severity {
        match self {
            Self::PasswordInFile => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much an error matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but should be changed.
    Warning,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Its stable code.
    pub code: ErrorCode,
    /// What is wrong; names the key or object, never a secret.
    pub message: String,
    /// A few words beside the marked place; may be empty.
    pub label: String,
    /// What to write instead, where that can be known.
    pub hint: Option<String>,
    /// The place in the source.
    pub span: Span,
    /// Line of the place, from 1.
    pub line: usize,
    /// Column of the place in characters, from 1.
    pub column: usize,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {})", self.message, self.line, self.column)
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong with a file, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} has {}", count(.errors.len()))]
pub struct ConfigErrors {
    pub(crate) file: String,
    pub(crate) errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// The file's name as given to [`crate::Config::parse`].
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The errors, and the warnings found on the way.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
}
