//! Names in expressions: calls, casts of constants, columns with their table and schema.

use super::path::Segment;
use super::{Aliasing, MentionKind, Walker};
use crate::literal;
use crate::names::ident;
use crate::tokens::{Kind, tokens};
use crate::tree::NodeId;
use squawk_parser::SyntaxKind::*;
use std::ops::Range;

/// Functions of PostgreSQL that take a relation by its name, and which argument it is, counted from the end if
/// negative.
const BY_NAME: &[(&str, isize)] = &[
    ("nextval", 0),
    ("currval", 0),
    ("setval", 0),
    ("to_regclass", 0),
    ("pg_get_serial_sequence", 0),
    ("pg_relation_size", 0),
    ("pg_table_size", 0),
    ("pg_indexes_size", 0),
    ("pg_total_relation_size", 0),
    ("pg_relation_filenode", 0),
    ("has_table_privilege", -2),
    ("has_any_column_privilege", -2),
    ("has_sequence_privilege", -2),
    ("has_column_privilege", -3),
];

impl Walker<'_, '_> {
    /// `f(...)`, `schema.f(...)`.
    pub(super) fn call(&mut self, id: NodeId) {
        let callee = self.tree.children(id).next();
        let named = callee.and_then(|callee| match self.tree.kind(callee) {
            NAME_REF => {
                let (_, range) = self.tree.first_token(callee)?;
                Some(vec![(ident(self.tree.text_of(&range))?, range)])
            }
            FIELD_EXPR => self.chain(callee).map(|(segments, _)| segments),
            _ => None,
        });
        let arguments: Vec<NodeId> = match self.tree.child(id, ARG_LIST) {
            Some(list) => self.tree.children(list).filter(|child| self.tree.kind(*child) == ARG).collect(),
            None => Vec::new(),
        };
        if let Some(segments) = &named {
            self.mention(segments, MentionKind::Function, (false, false), Aliasing::NotNeeded, false);
            self.relation_argument(segments, &arguments);
        }
        let rest: Vec<NodeId> =
            self.tree.children(id).filter(|child| named.is_none() || Some(*child) != callee).collect();
        self.visit_all(rest);
    }

    fn relation_argument(&mut self, function: &[Segment], arguments: &[NodeId]) {
        let name = match function {
            [(name, _)] => name,
            [(schema, _), (name, _)] if schema.as_str() == "pg_catalog" => name,
            _ => return,
        };
        let Some((_, position)) = BY_NAME.iter().find(|(known, _)| *known == name.as_str()) else { return };
        let index = if *position < 0 {
            arguments.len().checked_sub(position.unsigned_abs())
        } else {
            Some(position.unsigned_abs())
        };
        if let Some(argument) = index.and_then(|index| arguments.get(index)) {
            self.constant_name(*argument, MentionKind::Relation);
        }
    }

    /// The constant under an argument or operand, seen through parentheses and casts to text, as a name.
    fn constant_name(&mut self, id: NodeId, kind: MentionKind) {
        let mut at = id;
        while self.tree.kind(at) != LITERAL {
            let inner = self.tree.children(at).find(|child| {
                matches!(self.tree.kind(*child), LITERAL | PAREN_EXPR | CAST_EXPR)
                    && !self.casts_to_name(at, *child)
            });
            match inner {
                Some(inner) => at = inner,
                None => return,
            }
        }
        if let Some(segments) = constant_segments(self.tree.text, &self.tree.nodes[at].range) {
            self.mention(&segments, kind, (false, false), Aliasing::NotNeeded, true);
        }
    }

    /// A cast to `regclass` inside says its own name when it is visited.
    fn casts_to_name(&self, outer: NodeId, inner: NodeId) -> bool {
        self.tree.kind(inner) == CAST_EXPR && outer != inner && self.named_cast(inner).is_some()
    }

    fn named_cast(&self, id: NodeId) -> Option<MentionKind> {
        let target = self.tree.child(id, PATH_TYPE)?;
        let text = self.tree.text_of(&self.tree.nodes[target].range).trim().to_ascii_lowercase();
        match text.as_str() {
            "regclass" | "pg_catalog.regclass" => Some(MentionKind::Relation),
            "regtype" | "pg_catalog.regtype" => Some(MentionKind::Type),
            _ => None,
        }
    }

    /// `'public.film'::regclass`, `cast('mood' as regtype)`, `regclass 'film'`.
    pub(super) fn cast(&mut self, id: NodeId) {
        if let Some(kind) = self.named_cast(id) {
            self.constant_name(id, kind);
        }
        self.visit_children(id);
    }

    /// `film.title`, `public.film.title`, `public.film.*`.
    pub(super) fn field(&mut self, id: NodeId) {
        let Some((segments, star)) = self.chain(id) else { return self.visit_children(id) };
        let table = if star {
            segments.as_slice()
        } else {
            let Some(((_, column), table)) = segments.split_last() else { return };
            self.note_column(column);
            table
        };
        if table.len() >= 2 {
            self.mention(table, MentionKind::ColumnQualifier, (false, false), Aliasing::NotNeeded, false);
        }
    }
}

/// The parts of a name in a string constant, with their places in the text around it. `None` if the constant has
/// escapes or is no name.
pub(crate) fn constant_segments(text: &str, constant: &Range<usize>) -> Option<Vec<Segment>> {
    let inside = literal::plain_content(text, constant)?;
    name_segments(text.get(inside.clone())?, inside.start)
}

/// The parts of a text that is a name and nothing else, their places counted from `offset`.
fn name_segments(content: &str, offset: usize) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut wants_name = true;
    for token in tokens(content) {
        if wants_name && token.is_name() {
            let range = offset + token.range.start..offset + token.range.end;
            segments.push((ident(content.get(token.range)?)?, range));
        } else if wants_name || token.kind != Kind::Dot {
            return None;
        }
        wants_name = !wants_name;
    }
    (!segments.is_empty() && !wants_name).then_some(segments)
}
