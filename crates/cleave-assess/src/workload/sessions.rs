//! Groups the statements of a log into transactions.
//!
//! A session's statements belong together as long as their virtual transaction is the same; where the log has none,
//! `BEGIN` and `COMMIT` say it. A transaction that was rolled back, or had an error, is no transaction.

#[cfg(test)]
mod tests;

use super::collector::{Collector, Seen};
use super::log::{Entry, Event};
use cleave_model::{Ident, QualifiedName};
use cleave_sql::{Control, StatementUse, parse_search_path};
use std::collections::{BTreeSet, HashMap};

/// Sessions that may be open at one time; beyond, the one that was silent longest is taken for closed.
const SESSIONS_MAX: usize = 20_000;

#[derive(Debug, Default)]
struct Session {
    virtual_transaction: Option<String>,
    in_block: bool,
    failed: bool,
    read: BTreeSet<QualifiedName>,
    written: BTreeSet<QualifiedName>,
    temporary: BTreeSet<Ident>,
    path: Option<Vec<Ident>>,
    local_path: Option<Vec<Ident>>,
    /// The last statement, for a duration that comes in a line of its own.
    last: Option<(Option<String>, String)>,
    seen_at: u64,
}

/// The sessions of a log.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Entries of other databases are left out.
    database: Option<String>,
    open: HashMap<String, Session>,
    clock: u64,
    /// Entries that name no session.
    without_session: u64,
    statements: u64,
}

impl Sessions {
    /// The sessions of one database; where a log does not name databases, of all.
    pub fn of(database: &str) -> Self {
        Self { database: Some(database.to_owned()), ..Self::default() }
    }

    /// How many statements were seen, and how many of them in lines that name no session.
    pub fn counts(&self) -> (u64, u64) {
        (self.statements, self.without_session)
    }

    /// Takes an entry of the log.
    pub fn take(&mut self, entry: &Entry, collector: &mut Collector) {
        let event = entry.event();
        let foreign = self.database.is_some() && entry.database.is_some() && self.database != entry.database;
        if event == Event::Other || foreign {
            return;
        }
        self.clock += 1;
        let Some(name) = entry.session.clone() else {
            if let Event::Statement { text, milliseconds } = event {
                self.without_session += 1;
                self.statements += 1;
                let mut alone = Session::default();
                alone.statement(entry, text, milliseconds, collector);
                alone.end(collector);
            }
            return;
        };
        if !self.open.contains_key(&name) && self.open.len() >= SESSIONS_MAX {
            self.close_the_most_silent(collector);
        }
        let clock = self.clock;
        let session = self.open.entry(name.clone()).or_default();
        session.seen_at = clock;
        match event {
            Event::Statement { text, milliseconds } => {
                self.statements += 1;
                session.statement(entry, text, milliseconds, collector);
            }
            Event::Duration(milliseconds) => {
                if let Some((role, text)) = session.last.take() {
                    collector.time(role.as_deref(), &text, milliseconds);
                }
            }
            Event::Error => session.error(collector),
            Event::Disconnection => {
                if let Some(mut session) = self.open.remove(&name) {
                    session.disconnect(collector);
                }
            }
            Event::Other => {}
        }
    }

    fn close_the_most_silent(&mut self, collector: &mut Collector) {
        let silent =
            self.open.iter().min_by_key(|(_, session)| session.seen_at).map(|(name, _)| name.clone());
        if let Some(mut session) = silent.and_then(|name| self.open.remove(&name)) {
            session.disconnect(collector);
        }
    }

    /// The log ends here.
    pub fn finish(&mut self, collector: &mut Collector) {
        let mut left: Vec<(String, Session)> = self.open.drain().collect();
        left.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, mut session) in left {
            session.disconnect(collector);
        }
    }
}

impl Session {
    fn statement(&mut self, entry: &Entry, text: &str, milliseconds: Option<f64>, collector: &mut Collector) {
        // `3/0` stands in lines that were written when their transaction had ended.
        let current = entry.virtual_transaction.as_deref().filter(|id| !id.is_empty() && !id.ends_with("/0"));
        let another = current.is_some() && self.virtual_transaction.as_deref() != current;
        let pending_alone = !self.in_block && (current.is_none() || self.virtual_transaction.is_none());
        if another && self.virtual_transaction.is_some() || pending_alone {
            self.end(collector);
        }
        self.virtual_transaction = current.map(str::to_owned);
        let path = self.local_path.as_ref().or(self.path.as_ref()).cloned();
        let reading = collector.statement(&Seen {
            id: entry.query_id,
            text,
            role: entry.role.as_deref(),
            path: path.as_deref(),
            calls: 1,
            total_ms: milliseconds.unwrap_or(0.0),
        });
        self.last = milliseconds.is_none().then(|| (entry.role.clone(), text.to_owned()));
        if let Ok(read) = &*reading {
            self.add(read, entry.role.as_deref(), collector);
        }
    }

    fn add(&mut self, read: &StatementUse, role: Option<&str>, collector: &mut Collector) {
        let (tables_read, tables_written) = collector.accesses(read, &self.temporary);
        self.read.extend(tables_read);
        self.written.extend(tables_written);
        self.temporary.extend(read.temporary.iter().cloned());
        if let Some((path, local)) = &read.search_path {
            let path = (!path.is_empty()).then(|| parse_search_path(path, role));
            if *local {
                self.local_path = path;
            } else {
                self.path = path;
            }
        }
        for control in &read.controls {
            match control {
                Control::Begin => self.in_block = true,
                Control::Commit => self.end(collector),
                Control::Rollback => {
                    self.failed = true;
                    self.end(collector);
                }
            }
        }
    }

    /// A statement that has been timed, outside a block, had succeeded before.
    fn error(&mut self, collector: &mut Collector) {
        if !self.in_block && self.last.is_none() {
            self.end(collector);
        } else {
            self.failed = true;
        }
    }

    /// The transaction ends.
    fn end(&mut self, collector: &mut Collector) {
        let (read, written) = (std::mem::take(&mut self.read), std::mem::take(&mut self.written));
        if !self.failed {
            collector.transaction(read, written, 1);
        }
        self.failed = false;
        self.in_block = false;
        self.virtual_transaction = None;
        self.local_path = None;
    }

    /// A session that ends in a block did not commit it.
    fn disconnect(&mut self, collector: &mut Collector) {
        self.failed |= self.in_block;
        self.end(collector);
    }
}
