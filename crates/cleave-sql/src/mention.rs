//! Every place of a text that names a relation, a type or a function, and what the text does there.
//!
//! Names of common table expressions and of temporary tables are left out by scope, as the server would: a `WITH`
//! hides tables from where its names begin to be visible, not in its own text unless it is recursive.

mod expression;
mod path;

use crate::names::ident;
use crate::tree::{NodeId, Tree};
use cleave_model::Ident;
use cleave_model::workload::StatementTrait;
use squawk_parser::SyntaxKind::{self, *};
use std::collections::BTreeSet;
use std::ops::Range;

/// What a name stands for, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MentionKind {
    /// A table, view or sequence.
    Relation,
    /// A type; it may be the row type of a relation.
    Type,
    /// A function or procedure that is called.
    Function,
    /// The qualified table before a column: `public.film` of `public.film.title`.
    ColumnQualifier,
}

/// Whether a name that changes can be given its old name as an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aliasing {
    /// It has an alias, or columns cannot be qualified by it.
    NotNeeded,
    /// `AS old` may follow.
    Possible,
}

/// One name in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// The name as it is written, with its schema; inside the quotes if it is a constant.
    pub(crate) range: Range<usize>,
    pub(crate) schema: Option<Ident>,
    pub(crate) name: Ident,
    pub(crate) kind: MentionKind,
    pub(crate) reads: bool,
    pub(crate) writes: bool,
    pub(crate) aliasing: Aliasing,
    /// True inside a string constant (`'public.film'::regclass`).
    pub(crate) literal: bool,
}

/// A statement that begins or ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`, `PREPARE TRANSACTION`.
    Commit,
    /// `ROLLBACK`, `ABORT`; not to a savepoint.
    Rollback,
}

/// What a walk over a tree found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) mentions: Vec<Mention>,
    pub(crate) traits: BTreeSet<StatementTrait>,
    pub(crate) controls: Vec<Control>,
    /// Temporary tables that the text makes.
    pub(crate) temporary: BTreeSet<Ident>,
    /// Expressions of `EXECUTE` in plpgsql, and `DO` blocks' constants.
    pub(crate) dynamic: Vec<Range<usize>>,
    /// Text that `SET search_path` sets, and whether it is `SET LOCAL`.
    pub(crate) search_path: Option<(String, bool)>,
    /// String constants of plpgsql `DO` statements.
    pub(crate) blocks: Vec<Range<usize>>,
    /// Places whose names cannot be told (`U&""`).
    pub(crate) unnamed: Vec<Range<usize>>,
}

/// Walks a whole tree.
pub(crate) fn find(tree: &Tree<'_>) -> Found {
    let mut walker = Walker { tree, scopes: Vec::new(), found: Found::default(), work: vec![Work::Visit(0)] };
    while let Some(work) = walker.work.pop() {
        match work {
            Work::Visit(id) => walker.visit(id),
            Work::See(name) => walker.see(name),
            Work::Leave => {
                walker.scopes.pop();
            }
            Work::NoteTemporary(id) => walker.note_temporary(id),
        }
    }
    walker.found
}

/// What is still to be done. A stack of its own, as a tree is as deep as a condition is long.
#[derive(Debug)]
enum Work {
    Visit(NodeId),
    /// A name of a `WITH` begins to be visible.
    See(Ident),
    /// The scope of a `WITH` ends.
    Leave,
    NoteTemporary(NodeId),
}

/// System columns: a view has none of them, a foreign table only some.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

pub(super) struct Walker<'t, 'x> {
    tree: &'t Tree<'x>,
    /// Names of `WITH` queries, innermost last.
    scopes: Vec<Vec<Ident>>,
    found: Found,
    work: Vec<Work>,
}

impl Walker<'_, '_> {
    fn visit(&mut self, id: NodeId) {
        self.note_traits(id);
        if matches!(self.tree.kind(id), CREATE_TABLE | CREATE_TABLE_AS | INTO_CLAUSE) {
            self.work.push(Work::NoteTemporary(id));
        }
        let with = self.tree.child(id, WITH_CLAUSE);
        if with.is_some() {
            self.scopes.push(Vec::new());
            self.work.push(Work::Leave);
        }
        match self.tree.kind(id) {
            RELATION_NAME_REF | TABLE_NAME_REF | VIEW_REF | SEQUENCE_REF => self.relation(id),
            TYPE_NAME_REF | DOMAIN_REF => self.path(id, MentionKind::Type),
            PROCEDURE_NAME_REF | FUNCTION_NAME_REF | ROUTINE_NAME_REF => {
                self.path(id, MentionKind::Function);
            }
            PATH_TYPE => self.path_type(id),
            PERCENT_TYPE => self.percent_type(id),
            QUALIFIED_COLUMN_NAME_REF => self.qualified_column(id),
            PLPGSQL_PERCENT_ROWTYPE => self.path(id, MentionKind::Type),
            CAST_EXPR => self.cast(id),
            CALL_EXPR => self.call(id),
            FIELD_EXPR => self.field(id),
            NAME_REF => self.column_name(id),
            WITH_CLAUSE => self.with_clause(id),
            _ => self.visit_children(id),
        }
    }

    /// Visits the children in their order, a `WITH` before everything that it is for.
    fn visit_children(&mut self, id: NodeId) {
        let with = self.tree.child(id, WITH_CLAUSE);
        let children: Vec<NodeId> = self.tree.children(id).filter(|child| Some(*child) != with).collect();
        self.visit_all(children);
        self.work.extend(with.map(Work::Visit));
    }

    fn visit_all(&mut self, nodes: Vec<NodeId>) {
        self.work.extend(nodes.into_iter().rev().map(Work::Visit));
    }

    fn with_clause(&mut self, id: NodeId) {
        let recursive = self.tree.has_token(id, RECURSIVE_KW);
        let tables: Vec<NodeId> =
            self.tree.children(id).filter(|child| self.tree.kind(*child) == WITH_TABLE).collect();
        for table in tables.into_iter().rev() {
            let name = self.name_under(table, CTE_NAME);
            if recursive {
                name.clone().into_iter().for_each(|name| self.see(name));
            }
            self.work.extend(name.map(Work::See));
            self.visit_all(self.tree.children(table).collect());
        }
    }

    fn see(&mut self, name: Ident) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(name);
        }
    }

    fn name_under(&self, id: NodeId, kind: SyntaxKind) -> Option<Ident> {
        let (_, range) = self.tree.first_token(self.tree.child(id, kind)?)?;
        ident(self.tree.text_of(&range))
    }

    /// True for an unqualified name that a `WITH` or a temporary table of this text hides.
    fn is_hidden(&self, name: &Ident, hidden_by_with: bool) -> bool {
        let with = hidden_by_with && self.scopes.iter().any(|scope| scope.contains(name));
        with || self.found.temporary.contains(name)
    }

    /// Temporary tables are seen from the statement after the one that makes them.
    fn note_temporary(&mut self, id: NodeId) {
        let Some(name) = self.tree.child(id, TABLE_NAME) else { return };
        let segments = self.segments(name);
        let temporary = self.tree.child(id, TEMP).is_some()
            || matches!(segments.as_slice(), [(schema, _), _] if schema.as_str() == "pg_temp");
        if temporary && let Some((name, _)) = segments.last() {
            self.found.temporary.insert(name.clone());
        }
    }

    fn note_traits(&mut self, id: NodeId) {
        let kind = self.tree.kind(id);
        let noted = match kind {
            CONFLICT_ON_INDEX => StatementTrait::OnConflictColumns,
            CONFLICT_ON_CONSTRAINT => StatementTrait::OnConflictConstraint,
            ON_CONFLICT_CLAUSE if !self.has_conflict_target(id) => StatementTrait::OnConflictWithoutTarget,
            MERGE => StatementTrait::Merge,
            LOCKING_CLAUSE => StatementTrait::RowLock,
            SKIP_LOCKED => StatementTrait::SkipLocked,
            TRUNCATE => StatementTrait::Truncate,
            COPY if self.tree.child(id, COPY_TABLE).is_some() => {
                if self.tree.child(id, COPY_FROM).is_some() {
                    StatementTrait::CopyFrom
                } else {
                    StatementTrait::CopyTo
                }
            }
            LOCK => StatementTrait::LockTable,
            RETURNING_CLAUSE => StatementTrait::Returning,
            WHERE_CURRENT_OF => StatementTrait::CurrentOf,
            VACUUM | ANALYZE | CLUSTER | REINDEX | REFRESH | REPACK => StatementTrait::Maintenance,
            _ if self.is_ddl(id) => StatementTrait::Ddl,
            _ => return self.note_control(id),
        };
        self.found.traits.insert(noted);
        if kind == LOCKING_CLAUSE && self.tree.child(id, SKIP_LOCKED).is_some() {
            self.found.traits.insert(StatementTrait::SkipLocked);
        }
    }

    fn has_conflict_target(&self, id: NodeId) -> bool {
        [CONFLICT_ON_INDEX, CONFLICT_ON_CONSTRAINT].iter().any(|kind| self.tree.child(id, *kind).is_some())
    }

    /// True for a whole statement of DDL that is not about a temporary table.
    fn is_ddl(&self, id: NodeId) -> bool {
        let node = &self.tree.nodes[id];
        let statement = node.parent.is_none_or(|parent| {
            matches!(self.tree.kind(parent), SOURCE_FILE | PLPGSQL_EXEC_SQL_STMT | ATOMIC_BODY)
        });
        let name = format!("{:?}", node.kind);
        let ddl = ["ALTER_", "CREATE_", "DROP_"].iter().any(|verb| name.starts_with(verb))
            || matches!(node.kind, COMMENT_ON | GRANT | REVOKE | SECURITY_LABEL);
        statement && ddl && self.tree.child(id, TEMP).is_none()
    }

    fn note_control(&mut self, id: NodeId) {
        let control = match self.tree.kind(id) {
            BEGIN => Control::Begin,
            COMMIT_TRANSACTION | PREPARE_TRANSACTION => Control::Commit,
            ROLLBACK_TRANSACTION => Control::Rollback,
            SET | RESET => {
                self.note_search_path(id);
                return;
            }
            DO => {
                if let Some(literal) = self.tree.child(id, LITERAL) {
                    self.found.blocks.push(self.tree.nodes[literal].range.clone());
                }
                return;
            }
            PLPGSQL_DYN_EXECUTE_STMT
            | PLPGSQL_FOR_DYN_STMT
            | PLPGSQL_RETURN_QUERY_EXECUTE_STMT
            | PLPGSQL_OPEN_EXECUTE => {
                if let Some(expression) = self.tree.child(id, PLPGSQL_EXPR) {
                    self.found.dynamic.push(self.tree.nodes[expression].range.clone());
                }
                return;
            }
            _ => return,
        };
        self.found.controls.push(control);
    }
}

impl Walker<'_, '_> {
    /// `SET search_path TO a, b`, `SET LOCAL search_path = 'a'`, `RESET search_path`, `RESET ALL`.
    fn note_search_path(&mut self, id: NodeId) {
        let text = self.tree.text_of(&self.tree.nodes[id].range);
        let lower = text.to_ascii_lowercase();
        let Some((before, value)) = lower.split_once("search_path") else {
            if lower.split_whitespace().eq(["reset", "all"]) {
                self.found.search_path = Some((String::new(), false));
            }
            return;
        };
        let value = &text[text.len() - value.len()..].trim_start();
        let value = match value.get(..2) {
            Some(to) if to.eq_ignore_ascii_case("to") => &value[2..],
            _ => value.trim_start_matches('='),
        };
        let value = value.trim().trim_end_matches(';').trim();
        let value = if value.eq_ignore_ascii_case("default") { "" } else { value };
        self.found.search_path = Some((value.to_owned(), before.contains("local")));
    }
}

impl Found {
    /// Moves every place by the offset of the text in a larger one.
    pub(crate) fn shift(&mut self, offset: usize) {
        let mentions = self.mentions.iter_mut().map(|mention| &mut mention.range);
        let ranges = mentions.chain(&mut self.dynamic).chain(&mut self.blocks).chain(&mut self.unnamed);
        for range in ranges {
            *range = range.start + offset..range.end + offset;
        }
    }
}
