//! `csvlog`: a record may go over several lines.

use super::{ENTRY_BYTES_MAX, Entry};

/// Places of the columns, as every version from 14 on writes them (manual, section 20.8.4).
const USER: usize = 1;
const DATABASE: usize = 2;
const SESSION: usize = 5;
const VIRTUAL_TRANSACTION: usize = 9;
const SEVERITY: usize = 11;
const MESSAGE: usize = 13;
const DETAIL: usize = 14;
const QUERY_ID: usize = 25;
/// Columns of PostgreSQL 14, the first version served.
const COLUMNS_MIN: usize = 26;

/// Records that are put together from lines.
#[derive(Debug, Default)]
pub struct Records {
    pending: String,
    in_quotes: bool,
    too_long: bool,
    skipped: u64,
}

/// True for a line that begins a record: a timestamp, then a column.
pub(super) fn looks_like(line: &str) -> bool {
    let bytes = line.as_bytes();
    let date =
        bytes.len() > 24 && bytes[4] == b'-' && bytes[7] == b'-' && bytes[10] == b' ' && bytes[13] == b':';
    date && line.find(',').is_some_and(|comma| (20..40).contains(&comma)) && line.matches(',').count() >= 12
}

impl Records {
    pub(super) fn line(&mut self, line: &str) -> Option<Entry> {
        // A file that was cut off and written on, after a crash, has a quote that nobody closes.
        if self.in_quotes && looks_like(line) {
            self.skipped += 1;
            *self = Self { skipped: self.skipped, ..Self::default() };
        }
        if !self.pending.is_empty() {
            self.pending.push('\n');
        }
        if self.pending.len() + line.len() > ENTRY_BYTES_MAX {
            self.too_long = true;
            self.pending.clear();
        } else if !self.too_long {
            self.pending.push_str(line);
        }
        // A quote in a quoted field is doubled, so that every line changes the state by its number of quotes.
        self.in_quotes ^= line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
        if self.in_quotes {
            return None;
        }
        let record = std::mem::take(&mut self.pending);
        let entry = if std::mem::take(&mut self.too_long) { None } else { entry(&record) };
        if entry.is_none() && !record.is_empty() {
            self.skipped += 1;
        }
        entry
    }

    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }
}

fn entry(record: &str) -> Option<Entry> {
    let mut fields = fields(record);
    if fields.len() < COLUMNS_MIN {
        return None;
    }
    let mut take = |at: usize| Some(std::mem::take(&mut fields[at])).filter(|field| !field.is_empty());
    Some(Entry {
        session: take(SESSION),
        role: take(USER),
        database: take(DATABASE),
        virtual_transaction: take(VIRTUAL_TRANSACTION),
        query_id: take(QUERY_ID).and_then(|id| id.parse().ok()).filter(|id| *id != 0),
        severity: take(SEVERITY)?,
        message: take(MESSAGE).unwrap_or_default(),
        detail: take(DETAIL),
    })
}

fn fields(record: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = record.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut fields, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => push(&mut fields, c),
        }
    }
    fields
}

fn push(fields: &mut [String], c: char) {
    if let Some(field) = fields.last_mut() {
        field.push(c);
    }
}
