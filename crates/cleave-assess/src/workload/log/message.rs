//! What a message says.

use super::Entry;

/// What an entry means for the session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'e> {
    /// A statement was executed, or begins to be.
    Statement {
        /// Its text.
        text: &'e str,
        /// How long it took, if the same line says so.
        milliseconds: Option<f64>,
    },
    /// How long the last statement took.
    Duration(f64),
    /// A statement failed.
    Error,
    /// The session ended.
    Disconnection,
    /// Nothing of interest.
    Other,
}

impl Entry {
    /// What the entry means.
    pub fn event(&self) -> Event<'_> {
        match self.severity.as_str() {
            "LOG" => self.logged(),
            "ERROR" | "FATAL" | "PANIC" => Event::Error,
            _ => Event::Other,
        }
    }

    fn logged(&self) -> Event<'_> {
        let message = self.message.as_str();
        if let Some(rest) = message.strip_prefix("duration: ") {
            let Some((number, rest)) = rest.split_once(" ms") else { return Event::Other };
            let Ok(milliseconds) = number.parse::<f64>() else { return Event::Other };
            return match statement(rest.trim_start()) {
                Some(text) => {
                    Event::Statement { text: self.executed(text), milliseconds: Some(milliseconds) }
                }
                None if rest.trim().is_empty() => Event::Duration(milliseconds),
                None => Event::Other,
            };
        }
        if message.starts_with("disconnection: ") {
            return Event::Disconnection;
        }
        match statement(message) {
            Some(text) => Event::Statement { text: self.executed(text), milliseconds: None },
            None => Event::Other,
        }
    }

    /// `EXECUTE name` does what its detail says was prepared under the name.
    fn executed<'e>(&'e self, text: &'e str) -> &'e str {
        let prepared = self.detail.as_deref().and_then(|detail| detail.strip_prefix("prepare: "));
        prepared.unwrap_or(text)
    }
}

/// The text behind `statement: ` or `execute NAME: `. Parsing and binding do nothing yet, and a fetch from a portal goes
/// on with what was counted when it began.
fn statement(message: &str) -> Option<&str> {
    if let Some(text) = message.strip_prefix("statement: ") {
        return Some(text);
    }
    let rest = message.strip_prefix("execute ")?;
    if rest.starts_with("fetch from ") {
        return None;
    }
    rest.split_once(": ").map(|(_, text)| text)
}
