//! Reads a statement, or several in one text.

#[cfg(test)]
mod tests;

use crate::mention::{self, Control, Found, Mention, MentionKind};
use crate::resolver::{Relation, Resolver};
use crate::tokens::{Kind, tokens};
use crate::tree::{self, Failure, Grammar};
use cleave_model::workload::{StatementTrait, TableUse};
use cleave_model::{Ident, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

/// What a text does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatementUse {
    /// Tables and views that it touches; partitions as their root. One entry per table and way to name it.
    pub tables: Vec<TableUse>,
    /// Functions and procedures of the database that it calls.
    pub functions: BTreeSet<QualifiedName>,
    /// Sequences that it names.
    pub sequences: BTreeSet<QualifiedName>,
    /// Types that it names, row types included.
    pub types: BTreeSet<QualifiedName>,
    /// Features that not every layer of compatibility carries.
    pub traits: BTreeSet<StatementTrait>,
    /// Names of relations that the database does not have, as written. Not those of PostgreSQL's own catalogs.
    pub unknown: BTreeSet<String>,
    /// Temporary tables that it makes.
    pub temporary: BTreeSet<Ident>,
    /// Where it begins and ends transactions, in order.
    pub controls: Vec<Control>,
    /// The last `search_path` that it sets for what comes after it; empty for the session's own, and whether it ends
    /// with the transaction.
    pub search_path: Option<(String, bool)>,
}

/// A text, or a part of one, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Byte offset of the place in the text.
    pub at: usize,
    /// What is wrong there, as a phrase.
    pub reason: String,
}

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Self {
        Self { at: failure.at, reason: failure.reason }
    }
}

/// Reads a text of one or more statements. Parameters (`$1`) may stand wherever a constant may, as in the texts of
/// `pg_stat_statements`; a text that was cut off is not read.
pub fn read_statement(text: &str, resolver: &Resolver) -> Result<StatementUse, Unread> {
    let found = find_in_sql(text)?;
    if let Some(unnamed) = found.unnamed.first() {
        return Err(Unread { at: unnamed.start, reason: "a name in Unicode escapes is not read".to_owned() });
    }
    let mut read = StatementUse::default();
    for block in found.blocks.clone() {
        let body = crate::function::read_block(text, &block, resolver);
        if let Some(unread) = body.unread.into_iter().next() {
            return Err(Unread { at: block.start, reason: unread.reason });
        }
        if !body.dynamic.is_empty() {
            return Err(Unread {
                at: block.start,
                reason: "its block puts statements together at run time".to_owned(),
            });
        }
        read.add(body.read);
    }
    read.add(resolve(&found, resolver));
    Ok(read)
}

/// What a text of SQL names; parameters where the grammar wants a constant are taken for one.
pub(crate) fn find_in_sql(text: &str) -> Result<Found, Unread> {
    let tree = tree::parse(text, Grammar::Sql)?;
    let Some(failure) = tree.failures.first().cloned() else { return Ok(mention::find(&tree)) };
    drop(tree);
    let Some(with_constants) = with_constants(text) else { return Err(failure.into()) };
    let tree = tree::parse(&with_constants, Grammar::Sql)?;
    match tree.failures.first() {
        None => Ok(mention::find(&tree)),
        Some(_) => Err(failure.into()),
    }
}

/// The text with each parameter as an empty constant of the same length (`interval $1`, `SET x = $1`).
fn with_constants(text: &str) -> Option<String> {
    let parameters: Vec<_> = tokens(text)
        .into_iter()
        .filter(|token| token.kind == Kind::Parameter && token.range.len() >= 2)
        .map(|token| token.range)
        .collect();
    if parameters.is_empty() {
        return None;
    }
    let mut changed = text.to_owned();
    for range in parameters {
        let constant = format!("{:<1$}", "''", range.len());
        changed.replace_range(range, &constant);
    }
    Some(changed)
}

/// What the names of a walk mean.
pub(crate) fn resolve(found: &Found, resolver: &Resolver) -> StatementUse {
    let mut read = StatementUse {
        traits: found.traits.clone(),
        temporary: found.temporary.clone(),
        controls: found.controls.clone(),
        search_path: found.search_path.clone(),
        ..StatementUse::default()
    };
    let mut tables = BTreeMap::new();
    for mention in &found.mentions {
        match mention.kind {
            MentionKind::Relation => relation(mention, resolver, &mut tables, &mut read),
            MentionKind::Type => read.types.extend(type_name(mention, resolver)),
            MentionKind::Function => {
                read.functions.extend(resolver.function(mention.schema.as_ref(), &mention.name).cloned());
            }
            MentionKind::ColumnQualifier => {}
        }
    }
    read.tables = table_uses(tables);
    read
}

fn type_name(mention: &Mention, resolver: &Resolver) -> Option<QualifiedName> {
    let schema = mention.schema.as_ref();
    let user_type = resolver.user_type(schema, &mention.name);
    user_type.or_else(|| resolver.relation(schema, &mention.name).map(Relation::name)).cloned()
}

type Accesses = BTreeMap<(QualifiedName, bool), (bool, bool)>;

fn relation(mention: &Mention, resolver: &Resolver, tables: &mut Accesses, read: &mut StatementUse) {
    let schema = mention.schema.as_ref();
    let name = match resolver.relation(schema, &mention.name) {
        Some(Relation::Table { root, .. }) => root,
        Some(Relation::View(name)) => name,
        Some(Relation::Sequence(name)) => {
            read.sequences.insert(name.clone());
            return;
        }
        None => {
            if !resolver.is_temporary(schema, &mention.name) && !is_system(mention) {
                read.unknown.insert(match schema {
                    Some(schema) => format!("{schema}.{}", mention.name),
                    None => mention.name.to_string(),
                });
            }
            return;
        }
    };
    let access = tables.entry((name.clone(), schema.is_some())).or_default();
    access.0 |= mention.reads;
    access.1 |= mention.writes;
}

/// PostgreSQL's own relations are no part of the catalog that names are resolved against.
fn is_system(mention: &Mention) -> bool {
    match &mention.schema {
        Some(schema) => matches!(schema.as_str(), "pg_catalog" | "information_schema" | "pg_toast"),
        None => mention.name.as_str().starts_with("pg_"),
    }
}

fn table_uses(tables: Accesses) -> Vec<TableUse> {
    tables
        .into_iter()
        .map(|((table, qualified), (reads, writes))| TableUse { table, qualified, reads, writes })
        .collect()
}

impl StatementUse {
    /// Adds what another text does.
    pub fn add(&mut self, other: Self) {
        let mut tables: Accesses = BTreeMap::new();
        for used in self.tables.drain(..).chain(other.tables) {
            let access = tables.entry((used.table, used.qualified)).or_default();
            access.0 |= used.reads;
            access.1 |= used.writes;
        }
        self.tables = table_uses(tables);
        self.functions.extend(other.functions);
        self.sequences.extend(other.sequences);
        self.types.extend(other.types);
        self.traits.extend(other.traits);
        self.unknown.extend(other.unknown);
        self.temporary.extend(other.temporary);
        self.controls.extend(other.controls);
        self.search_path = other.search_path.or(self.search_path.take());
    }
}
