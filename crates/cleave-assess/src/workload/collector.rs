//! Puts statements and transactions together, equal ones once.

use super::FunctionTables;
use cleave_model::workload::{Statement, Transaction, Workload};
use cleave_model::{Ident, QualifiedName};
use cleave_sql::{Relation, Resolver, StatementUse, Unread, normalize, parse_search_path, read_statement};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Different statements that are kept. A log with more makes texts instead of passing values.
const STATEMENTS_MAX: usize = 50_000;
/// Different sets of tables in a transaction that are kept.
const TRANSACTIONS_MAX: usize = 100_000;
/// Longest text of an unread statement that is kept.
const UNREAD_CHARS_MAX: usize = 400;

/// The `search_path` of roles that set none themselves, and those of roles that do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPaths {
    /// As the server has it for the database.
    pub default: String,
    /// By role.
    pub roles: BTreeMap<String, String>,
}

impl SearchPaths {
    /// The path of a role.
    pub fn of(&self, role: Option<&str>) -> Vec<Ident> {
        let setting = role.and_then(|role| self.roles.get(role)).unwrap_or(&self.default);
        parse_search_path(setting, role)
    }
}

/// A statement as a source shows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'s> {
    /// `queryid`, where the source has one.
    pub id: Option<i64>,
    /// The text.
    pub text: &'s str,
    /// Who sent it.
    pub role: Option<&'s str>,
    /// The path that the session has set, if it is known to have set one.
    pub path: Option<&'s [Ident]>,
    /// How often.
    pub calls: u64,
    /// How long altogether, in milliseconds.
    pub total_ms: f64,
}

/// What a text does, or why it could not be read.
pub(super) type Reading = Result<StatementUse, Unread>;

/// Tables read, tables written.
pub(super) type Accesses = (BTreeSet<QualifiedName>, BTreeSet<QualifiedName>);

/// A role and a statement's text without its constants.
type Key = (Option<String>, String);

/// Collects what sources show.
#[derive(Debug)]
pub struct Collector {
    resolver: Resolver,
    paths: SearchPaths,
    functions: BTreeMap<QualifiedName, FunctionTables>,
    sources: Vec<String>,
    read: HashMap<(Vec<Ident>, String), Arc<Reading>>,
    /// Those of the current source; it is merged into `statements` when the next one begins.
    current: HashMap<Key, Statement>,
    statements: HashMap<Key, Statement>,
    transactions: BTreeMap<(BTreeSet<QualifiedName>, BTreeSet<QualifiedName>), u64>,
    unread: BTreeMap<String, u64>,
    overflow: u64,
}

impl Collector {
    /// A collector that resolves names with the roles' paths; `resolver` may have any path.
    pub fn new(resolver: Resolver, paths: SearchPaths) -> Self {
        Self {
            resolver,
            paths,
            functions: BTreeMap::new(),
            sources: Vec::new(),
            read: HashMap::new(),
            current: HashMap::new(),
            statements: HashMap::new(),
            transactions: BTreeMap::new(),
            unread: BTreeMap::new(),
            overflow: 0,
        }
    }

    /// Counts the tables of functions that a transaction calls among its own.
    #[must_use]
    pub fn with_functions(self, functions: BTreeMap<QualifiedName, FunctionTables>) -> Self {
        Self { functions, ..self }
    }

    /// What follows comes from this source. A statement that two sources show is counted as the one that shows it more
    /// often, not twice.
    pub fn source(&mut self, phrase: impl Into<String>) {
        self.merge();
        self.sources.push(phrase.into());
    }

    fn merge(&mut self) {
        for (key, statement) in self.current.drain() {
            let known = self.statements.entry(key).or_insert_with(|| statement.clone());
            known.calls = known.calls.max(statement.calls);
            known.total_ms = known.total_ms.max(statement.total_ms);
            if known.id.starts_with('t') {
                known.id = statement.id;
            }
        }
    }

    /// Takes a statement.
    pub fn take(&mut self, seen: &Seen<'_>) {
        self.statement(seen);
    }

    pub(super) fn statement(&mut self, seen: &Seen<'_>) -> Arc<Reading> {
        let text = normalize(seen.text);
        let path = seen.path.map_or_else(|| self.paths.of(seen.role), <[Ident]>::to_vec);
        let reading = self.reading(seen.text, &text, path);
        match &*reading {
            Ok(read) => self.keep(seen, text, read),
            Err(_) => self.keep_unread(&text, seen.calls),
        }
        reading
    }

    fn reading(&mut self, raw: &str, text: &str, path: Vec<Ident>) -> Arc<Reading> {
        // What a statement sets is a constant, too.
        let source = if text.contains("search_path") { raw } else { text };
        let key = (path, source.to_owned());
        if let Some(known) = self.read.get(&key) {
            return Arc::clone(known);
        }
        let reading = Arc::new(read_statement(source, &self.resolver.with_path(&key.0)));
        if self.read.len() < STATEMENTS_MAX {
            self.read.insert(key, Arc::clone(&reading));
        }
        reading
    }

    fn keep(&mut self, seen: &Seen<'_>, text: String, read: &StatementUse) {
        let touches = !(read.tables.is_empty() && read.functions.is_empty() && read.sequences.is_empty());
        if !touches {
            return;
        }
        let key = (seen.role.map(str::to_owned), text);
        if self.current.len() >= STATEMENTS_MAX && !self.current.contains_key(&key) {
            self.overflow += seen.calls;
            return;
        }
        let kept = self.current.entry(key).or_insert_with_key(|(role, text)| Statement {
            id: seen.id.map_or_else(|| text_id(text), |id| id.to_string()),
            text: text.clone(),
            role: role.clone(),
            calls: 0,
            total_ms: 0.0,
            tables: read.tables.clone(),
            functions: read.functions.clone(),
            sequences: read.sequences.clone(),
            traits: read.traits.clone(),
        });
        kept.calls += seen.calls;
        kept.total_ms += seen.total_ms;
    }

    fn keep_unread(&mut self, text: &str, calls: u64) {
        let short: String = text.chars().take(UNREAD_CHARS_MAX).collect();
        if self.unread.len() >= STATEMENTS_MAX && !self.unread.contains_key(&short) {
            self.overflow += calls;
            return;
        }
        *self.unread.entry(short).or_default() += calls;
    }

    /// A text of which the source shows a part only.
    pub fn not_shown(&mut self, text: &str, calls: u64) {
        self.keep_unread(text, calls);
    }

    /// Adds time to a statement that was taken before.
    pub fn time(&mut self, role: Option<&str>, text: &str, milliseconds: f64) {
        if let Some(known) = self.current.get_mut(&(role.map(str::to_owned), normalize(text))) {
            known.total_ms += milliseconds;
        }
    }

    /// Tables that a statement reads and writes, those of the functions that it calls included, those that are temporary
    /// left out.
    pub(super) fn accesses(&self, read: &StatementUse, temporary: &BTreeSet<Ident>) -> Accesses {
        let mut accesses = Accesses::default();
        for called in read.functions.iter().filter_map(|function| self.functions.get(function)) {
            accesses.0.extend(called.read.iter().cloned());
            accesses.1.extend(called.written.iter().cloned());
        }
        for used in read.tables.iter().filter(|used| used.qualified || !temporary.contains(&used.table.name))
        {
            if used.writes {
                accesses.1.insert(used.table.clone());
            } else if used.reads {
                accesses.0.insert(used.table.clone());
            }
        }
        accesses
    }

    /// Takes a transaction: the tables it read, the tables it wrote.
    pub fn transaction(
        &mut self,
        read: BTreeSet<QualifiedName>,
        written: BTreeSet<QualifiedName>,
        count: u64,
    ) {
        let read: BTreeSet<QualifiedName> = read.difference(&written).cloned().collect();
        if read.is_empty() && written.is_empty() {
            return;
        }
        let key = (read, written);
        if self.transactions.len() >= TRANSACTIONS_MAX && !self.transactions.contains_key(&key) {
            self.overflow += count;
            return;
        }
        *self.transactions.entry(key).or_default() += count;
    }

    /// A table by the name that the write-ahead log has for it, partitions as their root. `None` for what the catalog
    /// does not have: Cleave's own tables, and extensions'.
    pub fn root_of(&self, name: &QualifiedName) -> Option<QualifiedName> {
        match self.resolver.relation(Some(&name.schema), &name.name)? {
            Relation::Table { root, .. } => Some(root.clone()),
            Relation::View(_) | Relation::Sequence(_) => None,
        }
    }

    /// Everything that was collected, in an order that depends on nothing but the input.
    pub fn finish(mut self) -> Workload {
        self.merge();
        let mut statements: Vec<Statement> = self.statements.into_values().collect();
        statements.sort_by(|a, b| (b.calls, &a.text, &a.role).cmp(&(a.calls, &b.text, &b.role)));
        let mut unread: Vec<(String, u64)> = self.unread.into_iter().collect();
        unread.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        if self.overflow > 0 {
            unread.push((format!("(more than {STATEMENTS_MAX} different statements)"), self.overflow));
        }
        let transactions = self.transactions.into_iter();
        Workload {
            sources: self.sources,
            statements,
            transactions: transactions
                .map(|((read, written), count)| Transaction { read, written, count })
                .collect(),
            unread,
        }
    }
}

/// An id for a text where the source has none: `t` and the 64 bits of FNV-1a (public domain; Fowler, Noll, Vo).
fn text_id(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("t{hash:016x}")
}
