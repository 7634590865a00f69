//! Names written as paths: where relations and types are expected.

use super::{Aliasing, Mention, MentionKind, SYSTEM_COLUMNS, Walker};
use crate::names::ident;
use crate::tree::{Child, NodeId};
use cleave_model::Ident;
use cleave_model::workload::StatementTrait;
use squawk_parser::SyntaxKind::*;
use std::ops::Range;

/// No name of PostgreSQL has more parts: database, schema, table, column, and what holds them.
const SEGMENTS_MAX: usize = 8;

/// A part of a path and its place.
pub(super) type Segment = (Ident, Range<usize>);

impl Walker<'_, '_> {
    /// The parts of the path under a node, in order. Empty if one of them is no name that can be told.
    pub(super) fn segments(&mut self, id: NodeId) -> Vec<Segment> {
        let mut found = Vec::new();
        if self.collect_segments(id, SEGMENTS_MAX, &mut found) {
            return found;
        }
        self.found.unnamed.push(self.tree.nodes[id].range.clone());
        Vec::new()
    }

    fn collect_segments(&self, id: NodeId, depth: usize, found: &mut Vec<Segment>) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        if matches!(self.tree.kind(id), PATH_SEGMENT_REF | PATH_SEGMENT) {
            let Some((_, range)) = self.tree.first_token(id) else { return true };
            let Some(name) = ident(self.tree.text_of(&range)) else { return false };
            found.push((name, range));
            return true;
        }
        for child in self.tree.children(id) {
            let holds_name =
                matches!(self.tree.kind(child), PATH | PATH_REF | PATH_SEGMENT | PATH_SEGMENT_REF);
            if holds_name && !self.collect_segments(child, depth, found) {
                return false;
            }
        }
        true
    }

    /// A name of a kind without access to rows.
    pub(super) fn path(&mut self, id: NodeId, kind: MentionKind) {
        let segments = self.segments(id);
        self.mention(&segments, kind, (false, false), Aliasing::NotNeeded, false);
    }

    pub(super) fn mention(
        &mut self,
        segments: &[Segment],
        kind: MentionKind,
        (reads, writes): (bool, bool),
        aliasing: Aliasing,
        literal: bool,
    ) {
        // `database.schema.name` may name this database only: what precedes the schema stays as it is written.
        let (schema, name) = match segments {
            [name] => (None, name),
            [.., schema, name] => (Some(schema), name),
            [] => return,
        };
        let hidden_by_with = kind == MentionKind::Relation && !literal;
        if schema.is_none() && kind != MentionKind::Function && self.is_hidden(&name.0, hidden_by_with) {
            return;
        }
        let start = schema.unwrap_or(name).1.start;
        self.found.mentions.push(Mention {
            range: start..name.1.end,
            schema: schema.map(|(schema, _)| schema.clone()),
            name: name.0.clone(),
            kind,
            reads,
            writes,
            aliasing,
            literal,
        });
    }

    /// A relation, with what the statement around it does to its rows.
    pub(super) fn relation(&mut self, id: NodeId) {
        let segments = self.segments(id);
        let mut at = self.tree.nodes[id].parent;
        let mut access = (false, false);
        let mut aliasing = Aliasing::NotNeeded;
        while let Some(parent) = at {
            let has_alias = [FROM_ALIAS, REQUIRED_AS_ALIAS, OPTIONAL_AS_ALIAS]
                .iter()
                .any(|kind| self.tree.child(parent, *kind).is_some());
            let alias = if has_alias { Aliasing::NotNeeded } else { Aliasing::Possible };
            (access, aliasing) = match self.tree.kind(parent) {
                RELATION_NAME | TABLE_RELATION_NAME | TABLE_LIST | RELATION_LIST | COPY_TABLE => {
                    at = self.tree.nodes[parent].parent;
                    continue;
                }
                RELATION_FROM_ITEM => ((true, false), alias),
                TABLE => ((true, false), Aliasing::NotNeeded),
                INSERT => ((false, true), alias),
                UPDATE | DELETE | MERGE => ((true, true), alias),
                TRUNCATE => ((false, true), Aliasing::NotNeeded),
                COPY if self.tree.child(parent, COPY_FROM).is_some() => ((false, true), Aliasing::NotNeeded),
                COPY => ((true, false), Aliasing::NotNeeded),
                _ => (access, aliasing),
            };
            break;
        }
        self.mention(&segments, MentionKind::Relation, access, aliasing, false);
    }

    /// A type, and what stands in its modifiers.
    pub(super) fn path_type(&mut self, id: NodeId) {
        self.path(id, MentionKind::Type);
        let rest: Vec<NodeId> =
            self.tree.children(id).filter(|child| self.tree.kind(*child) != PATH_REF).collect();
        self.visit_all(rest);
    }

    /// `film.title%TYPE`: the column goes, the table stays; a single name is a variable.
    pub(super) fn percent_type(&mut self, id: NodeId) {
        let segments = self.segments(id);
        if let Some((_, table)) = segments.split_last() {
            self.mention(table, MentionKind::Type, (false, false), Aliasing::NotNeeded, false);
        }
    }

    /// `COMMENT ON COLUMN film.title`, `OWNED BY film.film_id`.
    pub(super) fn qualified_column(&mut self, id: NodeId) {
        let segments = self.segments(id);
        if let Some((_, table)) = segments.split_last() {
            self.mention(table, MentionKind::Relation, (false, false), Aliasing::NotNeeded, false);
        }
    }

    /// A column or variable by its bare name.
    pub(super) fn column_name(&mut self, id: NodeId) {
        if let Some((_, range)) = self.tree.first_token(id) {
            self.note_column(&range);
        }
    }

    pub(super) fn note_column(&mut self, range: &Range<usize>) {
        let text = self.tree.text_of(range);
        if SYSTEM_COLUMNS.iter().any(|column| text.eq_ignore_ascii_case(column)) {
            self.found.traits.insert(StatementTrait::SystemColumn);
        }
    }

    /// The names of a chain `a.b.c`, if it is nothing but names; a star ends it without a part of its own.
    pub(super) fn chain(&self, id: NodeId) -> Option<(Vec<Segment>, bool)> {
        self.chain_within(id, SEGMENTS_MAX)
    }

    fn chain_within(&self, id: NodeId, depth: usize) -> Option<(Vec<Segment>, bool)> {
        let depth = depth.checked_sub(1)?;
        let mut star = false;
        let mut segments = Vec::new();
        for child in &self.tree.nodes[id].children {
            match child {
                Child::Node(child) if self.tree.kind(*child) == FIELD_EXPR => {
                    segments = self.chain_within(*child, depth)?.0;
                }
                Child::Node(child) if self.tree.kind(*child) == NAME_REF => {
                    let (_, range) = self.tree.first_token(*child)?;
                    segments.push((ident(self.tree.text_of(&range))?, range));
                }
                Child::Node(_) => return None,
                Child::Token(STAR, _) => star = true,
                Child::Token(..) => {}
            }
        }
        Some((segments, star))
    }
}
