//! Server logs as entries: `csvlog`, `jsonlog` and `stderr` with any `log_line_prefix`.
//!
//! PostgreSQL manual, section 20.8, "Error Reporting and Logging".

mod csv;
mod json;
mod message;
mod prefix;
mod stderr;

#[cfg(test)]
mod tests;

pub use message::Event;
pub use prefix::Prefix;

/// Longest entry that is kept; a longer one is left out and counted.
pub(crate) const ENTRY_BYTES_MAX: usize = 8 << 20;

/// One message of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What tells the session from others: the session id, or the process id.
    pub session: Option<String>,
    /// The role.
    pub role: Option<String>,
    /// The database.
    pub database: Option<String>,
    /// The virtual transaction id.
    pub virtual_transaction: Option<String>,
    /// `queryid`, if the server computes it.
    pub query_id: Option<i64>,
    /// `LOG`, `ERROR`, ...
    pub severity: String,
    /// The message.
    pub message: String,
    /// Its detail.
    pub detail: Option<String>,
}

/// How a log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// `csvlog`.
    Csv,
    /// `jsonlog`.
    Json,
    /// `stderr`, with this prefix.
    Stderr(Prefix),
}

impl Format {
    /// As `log_destination` calls it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Csv => "csvlog",
            Self::Json => "jsonlog",
            Self::Stderr(_) => "stderr",
        }
    }

    /// Recognises a log by its first lines. `prefixes` are tried before the usual ones.
    pub fn recognise(lines: &[&str], prefixes: &[Prefix]) -> Option<Self> {
        let first = lines.iter().find(|line| !line.trim().is_empty())?;
        if json::entry(first).is_some() {
            return Some(Self::Json);
        }
        if lines.iter().any(|line| csv::looks_like(line)) {
            return Some(Self::Csv);
        }
        prefix::recognise(lines, prefixes).map(Self::Stderr)
    }
}

/// Puts lines together to entries.
#[derive(Debug)]
pub enum Reader {
    /// `csvlog`.
    Csv(csv::Records),
    /// `jsonlog`.
    Json {
        /// Lines that are no entry.
        skipped: u64,
    },
    /// `stderr`.
    Stderr(Box<stderr::Messages>),
}

impl Reader {
    /// A reader for a format.
    pub fn new(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv(csv::Records::default()),
            Format::Json => Self::Json { skipped: 0 },
            Format::Stderr(prefix) => Self::Stderr(Box::new(stderr::Messages::new(prefix))),
        }
    }

    /// Takes a line without its end; the entry that it completes, if any.
    pub fn line(&mut self, line: &str) -> Option<Entry> {
        match self {
            Self::Csv(records) => records.line(line),
            Self::Json { skipped } => {
                let entry = json::entry(line);
                if entry.is_none() && !line.trim().is_empty() {
                    *skipped += 1;
                }
                entry
            }
            Self::Stderr(messages) => messages.line(line),
        }
    }

    /// The last entry, when the log ends.
    pub fn finish(&mut self) -> Option<Entry> {
        match self {
            Self::Csv(_) | Self::Json { .. } => None,
            Self::Stderr(messages) => messages.finish(),
        }
    }

    /// Lines or entries that could not be read, or were longer than 8 MB.
    pub fn skipped(&self) -> u64 {
        match self {
            Self::Csv(records) => records.skipped(),
            Self::Json { skipped } => *skipped,
            Self::Stderr(messages) => messages.skipped(),
        }
    }
}
