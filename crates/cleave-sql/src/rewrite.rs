//! Changes the names in a text, and nothing else in it.

#[cfg(test)]
mod tests;

use crate::body::Body;
use crate::dynamic::{self, Wanted};
use crate::function::{BodyText, body_of, body_pieces, resolver_of};
use crate::literal;
use crate::mention::{Aliasing, Found, Mention, MentionKind};
use crate::names::written;
use crate::resolver::{Relation, Resolver};
use crate::statement::find_in_sql;
use crate::tokens::{Kind, tokens};
use cleave_model::QualifiedName;
use cleave_model::catalog::{Catalog, Function};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Where objects went: old name to new name, by the kinds that have name spaces of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Tables, views, sequences; their row types go with them.
    pub relations: BTreeMap<QualifiedName, QualifiedName>,
    /// Types.
    pub types: BTreeMap<QualifiedName, QualifiedName>,
    /// Functions and procedures.
    pub functions: BTreeMap<QualifiedName, QualifiedName>,
}

/// Which names are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Those written with their schema: what a `search_path` cannot help.
    Qualified,
    /// Those without a schema too, as the resolver's path reads them.
    All,
}

/// One change of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The place in the old text.
    pub range: Range<usize>,
    /// What the name meant.
    pub old: QualifiedName,
    /// What the new one means.
    pub new: QualifiedName,
    /// What stands there now.
    pub replacement: String,
}

/// A place that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// Byte offset in the old text.
    pub at: usize,
    /// Why, as a phrase.
    pub reason: String,
    /// Moved objects whose names seem to stand there.
    pub names: BTreeSet<QualifiedName>,
}

/// A text with new names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The new text.
    pub text: String,
    /// What changed, in order; places never overlap.
    pub edits: Vec<Edit>,
    /// What could not be read or decided.
    pub unresolved: Vec<Unresolved>,
}

/// Rewrites a text of one or more statements.
pub fn rewrite(text: &str, moved: &Moved, names: Names, resolver: &Resolver) -> Rewritten {
    let mut changes = Changes { text, moved, names, edits: Vec::new(), unresolved: Vec::new() };
    match find_in_sql(text) {
        Ok(found) => {
            changes.found(&found, resolver, 0);
            for block in &found.blocks {
                changes.block(block, resolver);
            }
        }
        Err(unread) => changes.unread(unread.at, unread.reason, text, resolver),
    }
    changes.apply()
}

/// Rewrites the definition of a function: its body, and the types and defaults of its head. Its own name stays.
pub fn rewrite_function(
    function: &Function,
    catalog: &Catalog,
    moved: &Moved,
    names: Names,
    resolver: &Resolver,
) -> Rewritten {
    let text = function.definition.as_str();
    let mut changes = Changes { text, moved, names, edits: Vec::new(), unresolved: Vec::new() };
    // The head comes from the server: names without a schema in it are those of the function's own schema.
    let head = resolver.with_path(std::slice::from_ref(&function.name.schema));
    match find_in_sql(text) {
        Ok(found) => changes.with_names(Names::All, |changes| changes.found(&found, &head, 0)),
        Err(unread) => changes.unread(unread.at, unread.reason, text, &head),
    }
    if let Ok(BodyText::String(body)) = body_of(function) {
        let resolver = resolver_of(function, catalog, resolver);
        match place_of(text, body) {
            Some(place) => changes.body(&body_pieces(function, body), body, place.start, &resolver),
            None => changes.unread(0, "its body is not found in its definition".to_owned(), body, &resolver),
        }
    }
    changes.apply()
}

/// Where a definition holds a body, as the content of one constant.
fn place_of(definition: &str, body: &str) -> Option<Range<usize>> {
    let constants = tokens(definition).into_iter().rev().filter(|token| token.kind == Kind::Constant);
    constants
        .map(|token| token.range)
        .filter_map(|range| literal::plain_content(definition, &range))
        .find(|content| definition.get(content.clone()) == Some(body))
}

struct Changes<'t> {
    text: &'t str,
    moved: &'t Moved,
    names: Names,
    edits: Vec<Edit>,
    unresolved: Vec<Unresolved>,
}

impl Changes<'_> {
    fn with_names(&mut self, names: Names, work: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.names, names);
        work(self);
        self.names = before;
    }

    fn found(&mut self, found: &Found, resolver: &Resolver, offset: usize) {
        for range in &found.unnamed {
            let reason = "a name in Unicode escapes is not read".to_owned();
            self.unresolved.push(Unresolved { at: offset + range.start, reason, names: BTreeSet::new() });
        }
        for mention in &found.mentions {
            self.edits.extend(self.edit(mention, resolver, offset));
        }
    }

    fn body(&mut self, body: &Body, text: &str, offset: usize, resolver: &Resolver) {
        let temporary = body.found.iter().flat_map(|found| found.temporary.iter().cloned());
        let resolver = &resolver.with_temporary(temporary);
        for found in &body.found {
            self.found(found, resolver, offset);
        }
        for (content, found) in &body.constants {
            let before = self.edits.len();
            self.found(found, resolver, offset);
            if self.edits[before..].iter().any(|edit| edit.replacement.contains(['\'', '$', '\\'])) {
                self.edits.truncate(before);
                let reason = "a new name cannot stand in this constant as it is".to_owned();
                self.unresolved.push(Unresolved {
                    at: offset + content.start,
                    reason,
                    names: BTreeSet::new(),
                });
            }
        }
        for expression in &body.dynamic {
            let written = text.get(expression.clone()).unwrap_or("");
            let names = self.moved_of(dynamic::names(written, resolver, Wanted::WholeConstantsToo));
            let reason = "a statement is put together at run time".to_owned();
            self.unresolved.push(Unresolved { at: offset + expression.start, reason, names });
        }
        for unread in &body.unread {
            self.unread(offset + unread.at, unread.reason.clone(), text, resolver);
        }
    }

    fn block(&mut self, constant: &Range<usize>, resolver: &Resolver) {
        match literal::plain_content(self.text, constant) {
            Some(content) => {
                let text = &self.text[content.clone()];
                self.body(&crate::body::plpgsql(text), text, content.start, resolver);
            }
            None => self.unread(constant.start, "its block is no plain constant".to_owned(), "", resolver),
        }
    }

    fn unread(&mut self, at: usize, reason: String, text: &str, resolver: &Resolver) {
        let names = self.moved_of(dynamic::names(text, resolver, Wanted::InStatements));
        self.unresolved.push(Unresolved { at, reason, names });
    }

    fn moved_of(&self, names: BTreeSet<QualifiedName>) -> BTreeSet<QualifiedName> {
        names.into_iter().filter(|name| self.moved.relations.contains_key(name)).collect()
    }

    fn edit(&self, mention: &Mention, resolver: &Resolver, offset: usize) -> Option<Edit> {
        if mention.schema.is_none() && self.names == Names::Qualified {
            return None;
        }
        let schema = mention.schema.as_ref();
        let relation = || {
            let name = resolver.relation(schema, &mention.name).map(Relation::name)?;
            self.moved.relations.get_key_value(name)
        };
        let (old, new) = match mention.kind {
            MentionKind::Relation | MentionKind::ColumnQualifier => relation()?,
            MentionKind::Type => match resolver.user_type(schema, &mention.name) {
                Some(name) => self.moved.types.get_key_value(name)?,
                None => relation()?,
            },
            MentionKind::Function => {
                self.moved.functions.get_key_value(resolver.function(schema, &mention.name)?)?
            }
        };
        if old == new {
            return None;
        }
        let mut replacement = format!("{}.{}", written(&new.schema), written(&new.name));
        if old.name != new.name && mention.aliasing == Aliasing::Possible {
            replacement.push_str(&format!(" AS {}", written(&old.name)));
        }
        if mention.literal && replacement.contains(['\'', '\\', '$']) {
            return None;
        }
        let range = offset + mention.range.start..offset + mention.range.end;
        Some(Edit { range, old: old.clone(), new: new.clone(), replacement })
    }

    fn apply(mut self) -> Rewritten {
        self.edits.sort_by_key(|edit| edit.range.start);
        self.edits.dedup_by(|later, earlier| later.range.start < earlier.range.end);
        let mut text = self.text.to_owned();
        for edit in self.edits.iter().rev() {
            text.replace_range(edit.range.clone(), &edit.replacement);
        }
        self.unresolved.sort_by_key(|unresolved| unresolved.at);
        Rewritten { text, edits: self.edits, unresolved: self.unresolved }
    }
}
