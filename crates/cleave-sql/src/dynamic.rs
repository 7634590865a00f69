//! What looks like the name of a relation in string constants: all that can be said of a statement that is put together
//! at run time.

use crate::literal;
use crate::names::ident;
use crate::resolver::{Relation, Resolver};
use crate::tokens::{Kind, tokens};
use cleave_model::{Ident, QualifiedName};
use std::collections::BTreeSet;

/// Which names in constants count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Qualified ones, and those after a word that a table follows.
    InStatements,
    /// Constants that are nothing but a name as well (`format('... %I', 'film')`).
    WholeConstantsToo,
}

/// Relations whose names stand in the string constants of a text.
pub(crate) fn names(text: &str, resolver: &Resolver, wanted: Wanted) -> BTreeSet<QualifiedName> {
    let mut found = BTreeSet::new();
    for token in tokens(text).into_iter().filter(|token| token.kind == Kind::Constant) {
        if let Some(content) = text.get(token.range).and_then(literal::value) {
            in_constant(&content, resolver, wanted, &mut found);
        }
    }
    found
}

/// Words after which a table's name stands.
const BEFORE_TABLE: &[&str] =
    &["from", "join", "into", "update", "table", "only", "using", "truncate", "copy", "lock", "merge"];

fn in_constant(content: &str, resolver: &Resolver, wanted: Wanted, found: &mut BTreeSet<QualifiedName>) {
    let tokens = tokens(content);
    let name_at = |at: usize| -> Option<Ident> {
        let token = tokens.get(at).filter(|token| token.is_name())?;
        ident(content.get(token.range.clone())?)
    };
    let is_dot = |at: usize| tokens.get(at).is_some_and(|token| token.kind == Kind::Dot);
    let mut at = 0;
    while at < tokens.len() {
        let Some(first) = name_at(at) else {
            at += 1;
            continue;
        };
        let second = if is_dot(at + 1) { name_at(at + 2) } else { None };
        let expected = at.checked_sub(1).is_some_and(|before| tokens[before].is_any(content, BEFORE_TABLE));
        let whole = wanted == Wanted::WholeConstantsToo && tokens.len() == 1;
        let relation = match &second {
            Some(name) => resolver.relation(Some(&first), name),
            None if expected || whole => resolver.relation(None, &first),
            None => None,
        };
        found.extend(relation.map(Relation::name).cloned());
        at += if second.is_some() { 3 } else { 1 };
    }
}
