//! A text as a lossless tree: every node knows its place in the text.
//!
//! The grammar is `squawk-parser`, which follows PostgreSQL's and has no dependency on C. It recurses as deep as the
//! text nests, so that texts which nest deeper than people write are refused before they are parsed.

use crate::tokens::{Kind, tokens};
use squawk_parser::{EntryPoint, LexedStr, StrStep, SyntaxKind};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Parentheses, brackets, `CASE` and blocks in each other, and joins without a condition in a row.
const DEPTH_MAX: usize = 48;
/// Operators that wait for their right side: `'a' || 'b' || ...` waits until the end.
const OPERATORS_MAX: usize = 400;
/// What the stack of any thread holds.
const DEPTH_ON_ANY_STACK: usize = 16;
/// The stack for texts that nest deeper; only what is used of it takes memory.
const STACK_BYTES: usize = 256 << 20;
/// Words that take an operand on their right.
const PREFIX_WORDS: &[&str] = &[
    "not",
    "operator",
    "in",
    "explain",
    "between",
    "like",
    "ilike",
    "similar",
    "is",
    "collate",
    "at",
    "escape",
    "overlaps",
    "prepare",
    "as",
    "schema",
    "for",
    "else",
    "returning",
];
/// Words before which every operand is complete.
const ENDS_OPERANDS: &[&str] = &["and", "or", "select", "from", "where", "then", "when", "into", "set"];
/// Longest text that is parsed; longer ones are no statement that a person has to understand.
const BYTES_MAX: usize = 4 << 20;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// Statements of SQL.
    Sql,
    /// The body of a plpgsql function.
    Plpgsql,
}

/// Where and why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Byte offset in the text.
    pub(crate) at: usize,
    /// As a phrase.
    pub(crate) reason: String,
}

/// Index of a node in its tree.
pub(crate) type NodeId = usize;

/// A node: its kind, its place, its parent and its children.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: SyntaxKind,
    pub(crate) range: Range<usize>,
    pub(crate) parent: Option<NodeId>,
    pub(crate) children: Vec<Child>,
}

/// A child of a node.
#[derive(Debug)]
pub(crate) enum Child {
    Node(NodeId),
    Token(SyntaxKind, Range<usize>),
}

/// A parsed text.
#[derive(Debug)]
pub(crate) struct Tree<'t> {
    pub(crate) text: &'t str,
    pub(crate) nodes: Vec<Node>,
    /// Errors in the order of the text.
    pub(crate) failures: Vec<Failure>,
}

/// Parses a text. Errors in it are in [`Tree::failures`]; a text that is refused as a whole is an error.
pub(crate) fn parse(text: &str, grammar: Grammar) -> Result<Tree<'_>, Failure> {
    if text.len() > BYTES_MAX {
        return Err(Failure { at: BYTES_MAX, reason: "it is longer than 4 MB".to_owned() });
    }
    let depth = depth_of(text, grammar)?;
    // The parser asserts what it believes of itself. An assertion that fails there is a text that was not read, and
    // nothing is shared with it that could be left half-changed.
    let parse = || catch_unwind(AssertUnwindSafe(|| build(text, grammar))).unwrap_or_else(|_| gave_up());
    if depth <= DEPTH_ON_ANY_STACK {
        return parse();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, parse);
        thread.map_or_else(|_| gave_up(), |thread| thread.join().unwrap_or_else(|_| gave_up()))
    })
}

fn gave_up<T>() -> Result<T, Failure> {
    Err(Failure { at: 0, reason: "the parser gave up on it".to_owned() })
}

fn build(text: &str, grammar: Grammar) -> Result<Tree<'_>, Failure> {
    let lexed = LexedStr::new(text);
    let entry = match grammar {
        Grammar::Sql => EntryPoint::SourceFile,
        Grammar::Plpgsql => EntryPoint::Plpgsql,
    };
    let output = entry.parse(&lexed.to_input());
    let mut builder =
        Builder { tree: Tree { text, nodes: Vec::new(), failures: Vec::new() }, open: Vec::new(), at: 0 };
    lexed.intersperse_trivia(&output, &mut |step| builder.step(&step));
    let mut tree = builder.tree;
    let lexical =
        lexed.errors().map(|(range, reason)| Failure { at: range.start as usize, reason: reason.to_owned() });
    tree.failures.extend(lexical);
    tree.failures.sort_by_key(|failure| failure.at);
    if tree.nodes.is_empty() {
        return gave_up();
    }
    Ok(tree)
}

/// How deep a text nests, as a bound for the parser's stack; refused where even the large stack is not known to hold.
fn depth_of(text: &str, grammar: Grammar) -> Result<usize, Failure> {
    // Operators that may still wait for their right side, by open parenthesis.
    let mut levels = vec![0_usize];
    let (mut operators, mut joins, mut blocks) = (0_usize, 0_usize, 0_usize);
    let (mut after_end, mut deepest) = (false, 0);
    for token in tokens(text) {
        let block = grammar == Grammar::Plpgsql && token.is_any(text, &["begin", "if", "loop"]);
        if token.kind == Kind::Operator || token.is_any(text, PREFIX_WORDS) {
            operators += 1;
            if let Some(level) = levels.last_mut() {
                *level += 1;
            }
        } else if token.kind == Kind::Open {
            levels.push(0);
        } else if token.kind == Kind::Close && levels.len() > 1 {
            operators -= levels.pop().unwrap_or(0);
        } else if !after_end && (block || token.is(text, "case")) {
            blocks += 1;
        } else if token.is(text, "end") {
            blocks = blocks.saturating_sub(1);
        } else if matches!(token.kind, Kind::Comma | Kind::Semicolon) || token.is_any(text, ENDS_OPERANDS) {
            operators -= levels.last_mut().map_or(0, std::mem::take);
        }
        joins = match (token.is(text, "join"), token.is_any(text, &["on", "using"])) {
            (true, _) => joins + 1,
            (false, true) => 0,
            (false, false) => joins,
        };
        // `END IF` and `END LOOP` close one thing.
        after_end = token.is(text, "end");
        if levels.len() + blocks > DEPTH_MAX || operators > OPERATORS_MAX || joins > DEPTH_MAX {
            return Err(Failure { at: token.range.start, reason: "it nests deeper than is read".to_owned() });
        }
        deepest = deepest.max(levels.len() + blocks + operators + joins);
    }
    Ok(deepest)
}

struct Builder<'t> {
    tree: Tree<'t>,
    open: Vec<NodeId>,
    at: usize,
}

impl Builder<'_> {
    fn step(&mut self, step: &StrStep<'_>) {
        match step {
            StrStep::Enter { kind } => self.enter(*kind),
            StrStep::Exit => {
                if let Some(id) = self.open.pop() {
                    self.tree.nodes[id].range.end = self.at;
                }
            }
            StrStep::Token { kind, text } => {
                let range = self.at..self.at + text.len();
                self.at = range.end;
                if let Some(&id) = self.open.last().filter(|_| !kind.is_trivia()) {
                    self.tree.nodes[id].children.push(Child::Token(*kind, range));
                }
            }
            StrStep::Error { msg, pos } => {
                self.tree.failures.push(Failure { at: *pos, reason: (*msg).to_owned() });
            }
        }
    }

    fn enter(&mut self, kind: SyntaxKind) {
        let id = self.tree.nodes.len();
        let parent = self.open.last().copied();
        self.tree.nodes.push(Node { kind, range: self.at..self.at, parent, children: Vec::new() });
        if let Some(parent) = parent {
            self.tree.nodes[parent].children.push(Child::Node(id));
        }
        self.open.push(id);
    }
}

impl Tree<'_> {
    pub(crate) fn kind(&self, id: NodeId) -> SyntaxKind {
        self.nodes[id].kind
    }

    pub(crate) fn text_of(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or("")
    }

    /// Child nodes.
    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes[id].children.iter().filter_map(|child| match child {
            Child::Node(id) => Some(*id),
            Child::Token(..) => None,
        })
    }

    /// The first child node of a kind.
    pub(crate) fn child(&self, id: NodeId, kind: SyntaxKind) -> Option<NodeId> {
        self.children(id).find(|child| self.kind(*child) == kind)
    }

    /// True if a node has a token of that kind as a child.
    pub(crate) fn has_token(&self, id: NodeId, kind: SyntaxKind) -> bool {
        self.nodes[id].children.iter().any(|child| matches!(child, Child::Token(found, _) if *found == kind))
    }

    /// The first token under a node.
    pub(crate) fn first_token(&self, id: NodeId) -> Option<(SyntaxKind, Range<usize>)> {
        self.nodes[id].children.iter().find_map(|child| match child {
            Child::Token(kind, range) => Some((*kind, range.clone())),
            Child::Node(id) => self.first_token(*id),
        })
    }
}
