//! `stderr`: a prefix, a severity, a message; further lines of a message begin with a tab.

use super::prefix::Prefix;
use super::{ENTRY_BYTES_MAX, Entry};

/// Messages that are put together from lines.
#[derive(Debug)]
pub struct Messages {
    prefix: Prefix,
    pending: Option<Entry>,
    /// Where lines without a prefix go.
    continues: Part,
    skipped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Message,
    Detail,
    Nothing,
}

impl Messages {
    pub(super) fn new(prefix: Prefix) -> Self {
        Self { prefix, pending: None, continues: Part::Nothing, skipped: 0 }
    }

    pub(super) fn line(&mut self, line: &str) -> Option<Entry> {
        let parsed = if line.starts_with('\t') { None } else { self.prefix.parse(line) };
        let Some(entry) = parsed else {
            self.continuation(line.strip_prefix('\t').unwrap_or(line));
            return None;
        };
        let same_session = self.pending.as_ref().is_some_and(|pending| pending.session == entry.session);
        self.continues = match entry.severity.as_str() {
            "DETAIL" => {
                if let Some(pending) = self.pending.as_mut().filter(|_| same_session) {
                    pending.detail = Some(entry.message);
                }
                Part::Detail
            }
            "HINT" | "CONTEXT" | "QUERY" | "STATEMENT" | "LOCATION" | "BACKTRACE" => Part::Nothing,
            _ => {
                self.continues = Part::Message;
                return self.pending.replace(entry);
            }
        };
        None
    }

    fn continuation(&mut self, text: &str) {
        let part = match (&mut self.pending, self.continues) {
            (Some(pending), Part::Message) => &mut pending.message,
            (Some(pending), Part::Detail) => pending.detail.get_or_insert_with(String::new),
            (Some(_), Part::Nothing) => return,
            (None, _) => {
                self.skipped += u64::from(!text.trim().is_empty());
                return;
            }
        };
        if part.len() + text.len() > ENTRY_BYTES_MAX {
            self.skipped += 1;
            self.pending = None;
            self.continues = Part::Nothing;
            return;
        }
        part.push('\n');
        part.push_str(text);
    }

    pub(super) fn finish(&mut self) -> Option<Entry> {
        self.pending.take()
    }

    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }
}
