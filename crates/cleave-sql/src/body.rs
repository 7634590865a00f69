//! A function's body as pieces that the grammar of SQL reads.

use crate::literal;
use crate::mention::{self, Found};
use crate::statement::{Unread, find_in_sql};
use crate::tokens::{Kind, Token, tokens};
use crate::tree::{self, Grammar, NodeId, Tree};
use squawk_parser::SyntaxKind;
use std::ops::Range;

/// A body in which the grammar stumbles more often is in another language, and no part of it is tried alone.
const FAILURES_MAX: usize = 500;

/// What stands in a body; all places count from the body's start.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) found: Vec<Found>,
    /// Statements in constants that `EXECUTE` gets as they are: the content's place and what it names.
    pub(crate) constants: Vec<(Range<usize>, Found)>,
    /// Expressions whose statement is known at run time only.
    pub(crate) dynamic: Vec<Range<usize>>,
    pub(crate) unread: Vec<Unread>,
}

/// A body of language `sql`.
pub(crate) fn sql(text: &str) -> Body {
    let mut body = Body::default();
    match find_in_sql(text) {
        Ok(found) => body.found.push(found),
        Err(unread) => body.unread.push(unread),
    }
    body.check_names();
    body
}

/// A body of language `plpgsql`.
pub(crate) fn plpgsql(text: &str) -> Body {
    let mut body = Body::default();
    let blanked = without_into(text);
    let tree = match tree::parse(&blanked, Grammar::Plpgsql) {
        Ok(tree) => tree,
        Err(failure) => {
            body.unread.push(failure.into());
            return body;
        }
    };
    let mut found = mention::find(&tree);
    for block in std::mem::take(&mut found.blocks) {
        body.unread.push(Unread { at: block.start, reason: "it has a DO block of its own".to_owned() });
    }
    for expression in std::mem::take(&mut found.dynamic) {
        body.dynamic(text, expression);
    }
    body.found.push(found);
    body.recover(&tree);
    body.check_names();
    body
}

impl Body {
    /// A constant is a statement like any other; everything else is known at run time only.
    fn dynamic(&mut self, text: &str, expression: Range<usize>) {
        let constant =
            only_constant(text, &expression).and_then(|constant| literal::plain_content(text, &constant));
        let read = constant.and_then(|content| {
            let mut found = find_in_sql(text.get(content.clone())?).ok()?;
            found.shift(content.start);
            Some((content, found))
        });
        match read {
            Some(read) => self.constants.push(read),
            None => self.dynamic.push(expression),
        }
    }

    /// What the grammar of plpgsql did not take may still be a statement of SQL.
    fn recover(&mut self, tree: &Tree<'_>) {
        if tree.failures.len() > FAILURES_MAX {
            self.unread.extend(tree.failures.first().cloned().map(Unread::from));
            return;
        }
        let mut errors: Vec<NodeId> = Vec::new();
        for id in 0..tree.nodes.len() {
            let inside =
                errors.last().is_some_and(|outer| tree.nodes[id].range.start < tree.nodes[*outer].range.end);
            if tree.kind(id) == SyntaxKind::ERROR && !inside && !tree.nodes[id].range.is_empty() {
                errors.push(id);
            }
        }
        // A failure stands at the end of the token before the place where it was noticed.
        let holds = |range: &Range<usize>, at: usize| range.start <= at + 1 && at <= range.end;
        let mut told: Vec<Range<usize>> = Vec::new();
        for id in errors {
            let range = tree.nodes[id].range.clone();
            if let Some(Ok(mut found)) = tree.text.get(range.clone()).map(find_in_sql) {
                found.shift(range.start);
                self.found.push(found);
            } else {
                let failure = tree.failures.iter().find(|failure| holds(&range, failure.at));
                let reason =
                    failure.map_or("it is no statement of plpgsql", |failure| failure.reason.as_str());
                self.unread.push(Unread { at: range.start, reason: reason.to_owned() });
            }
            told.push(range);
        }
        let lost = tree.failures.iter().filter(|failure| !told.iter().any(|range| holds(range, failure.at)));
        self.unread.extend(lost.cloned().map(Unread::from));
        self.unread.sort_by_key(|unread| unread.at);
        // One statement that cannot be read is one place, however often the grammar stumbles in it.
        self.unread.dedup_by(|later, earlier| {
            !tree.text.get(earlier.at..later.at).is_some_and(|between| between.contains(';'))
        });
    }

    fn check_names(&mut self) {
        let all = self.found.iter().chain(self.constants.iter().map(|(_, found)| found));
        let unnamed = all.flat_map(|found| &found.unnamed);
        let reason = "a name in Unicode escapes is not read";
        let unread: Vec<Unread> =
            unnamed.map(|range| Unread { at: range.start, reason: reason.to_owned() }).collect();
        self.unread.extend(unread);
    }
}

/// The constant that an expression consists of.
fn only_constant(text: &str, expression: &Range<usize>) -> Option<Range<usize>> {
    match tokens(text.get(expression.clone())?).as_slice() {
        [only] if only.kind == Kind::Constant => {
            Some(expression.start + only.range.start..expression.start + only.range.end)
        }
        _ => None,
    }
}

/// The body with every `INTO [STRICT] targets` of plpgsql as blanks, as the language takes it out before it hands a
/// statement to the grammar of SQL. Places stay what they are.
fn without_into(text: &str) -> String {
    let tokens = tokens(text);
    let mut blanked = text.to_owned();
    for (at, token) in tokens.iter().enumerate() {
        if !token.is(text, "into") || !is_target(text, &tokens, at) {
            continue;
        }
        let range = token.range.start..end_of_targets(text, &tokens, at);
        let blank: String = text[range.clone()]
            .chars()
            .map(|c| if c == '\n' { "\n".to_owned() } else { " ".repeat(c.len_utf8()) })
            .collect();
        blanked.replace_range(range, &blank);
    }
    blanked
}

/// True for an `INTO` that names variables, in a statement that is not plpgsql's own.
fn is_target(text: &str, tokens: &[Token], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| &tokens[before]) else { return false };
    let boundary = |token: &Token| {
        token.kind == Kind::Semicolon || token.is_any(text, &["then", "else", "begin", "loop"])
    };
    let start = (0..at).rev().find(|index| boundary(&tokens[*index])).map_or(0, |boundary| boundary + 1);
    !before.is_any(text, &["insert", "merge"]) && !tokens[start].is_any(text, &["fetch", "import", "execute"])
}

/// Byte offset where the list of variables after an `INTO` ends.
fn end_of_targets(text: &str, tokens: &[Token], into: usize) -> usize {
    let kind = |at: usize| tokens.get(at).map(|token| token.kind);
    let mut at = into + 1;
    if tokens.get(at).is_some_and(|token| token.is(text, "strict")) {
        at += 1;
    }
    while matches!(kind(at), Some(Kind::Word | Kind::Quoted | Kind::Parameter)) {
        at = end_of_variable(text, tokens, at);
        if kind(at) != Some(Kind::Comma) {
            break;
        }
        at += 1;
    }
    tokens[at - 1].range.end
}

/// The token after a variable with its fields and subscripts.
fn end_of_variable(text: &str, tokens: &[Token], start: usize) -> usize {
    let kind = |at: usize| tokens.get(at).map(|token| token.kind);
    let mut at = start + 1;
    loop {
        match kind(at) {
            Some(Kind::Dot) if kind(at + 1).is_some() => at += 2,
            Some(Kind::Open) if text[tokens[at].range.clone()].starts_with('[') => {
                while kind(at).is_some_and(|kind| kind != Kind::Close) {
                    at += 1;
                }
                at = (at + 1).min(tokens.len());
            }
            _ => return at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::without_into;

    #[test]
    fn the_variables_of_an_into_are_taken_out_and_nothing_else_moves() {
        for (text, without) in [
            ("begin select a into strict x from t; end", "begin select a               from t; end"),
            ("begin select a, b into x.y, z[1] from t; end", "begin select a, b                from t; end"),
            ("begin select into x a from t; end", "begin select        a from t; end"),
            (
                "if c then insert into t values (1) returning a into b;",
                "if c then insert into t values (1) returning a       ;",
            ),
            ("merge into t using s on true", "merge into t using s on true"),
            (
                "begin execute 'x' into y using z; fetch c into y;",
                "begin execute 'x' into y using z; fetch c into y;",
            ),
            ("select 'into x' -- into x", "select 'into x' -- into x"),
        ] {
            assert_eq!(without_into(text), without);
        }
    }
}
