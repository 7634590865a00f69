//! Reads where a text names the split table, and what it is joined with there.

use super::tokens::{Kind, Token, tokens};
use cleave_model::{Ident, QualifiedName};

/// A column that reaches the table, and the part that its rows are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meeting {
    /// The referencing table.
    pub(crate) table: QualifiedName,
    /// Its column.
    pub(crate) column: Ident,
    /// The part.
    pub(crate) part: QualifiedName,
}

/// What becomes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repointed {
    /// It does not name the table.
    Untouched,
    /// It reads these parts now.
    To(String, Vec<QualifiedName>),
    /// It names the table, and not every place says which part is meant.
    Unclear(String),
}

/// How a relation joins what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    First,
    Inner,
    Left,
    Other,
}

/// A relation in a `from` clause.
#[derive(Clone, Debug)]
struct Relation {
    schema: Option<String>,
    name: String,
    alias: String,
    /// The bytes of its name.
    start: usize,
    end: usize,
    /// The `select` it belongs to.
    select: usize,
    join: Join,
}

/// A condition: from `on`, `using` or `where` to its end.
#[derive(Clone, Debug)]
struct Condition {
    select: usize,
    /// The relation that an `on` or `using` joins; none for `where`.
    joins: Option<usize>,
    using: bool,
    from: usize,
    to: usize,
}

/// Replaces the table's name by the part's in every place of `text` that joins it by a column of `meetings`; unqualified
/// names are those of `schema`. All places or none.
pub(crate) fn repoint(
    text: &str,
    table: &QualifiedName,
    key: &Ident,
    schema: &Ident,
    meetings: &[Meeting],
) -> Repointed {
    let tokens = tokens(text);
    let is_table = |schema_of: Option<&str>, name: &str| {
        name == table.name.as_str()
            && schema_of.map_or(*schema == table.schema, |own| own == table.schema.as_str())
    };
    let named = mentions(&tokens, table);
    if named == 0 {
        return Repointed::Untouched;
    }
    if let Some(reason) = out_of_reach(text, &tokens, table) {
        return Repointed::Unclear(reason);
    }
    let mut changes: Vec<(usize, usize, QualifiedName)> = Vec::new();
    for statement in statements(&tokens) {
        let reading = Reading::of(statement);
        for (n, relation) in reading.relations.iter().enumerate() {
            if !is_table(relation.schema.as_deref(), &relation.name) {
                continue;
            }
            match reading.part_of(statement, n, key, schema, meetings) {
                Some(part) => changes.push((relation.start, relation.end, part)),
                None => {
                    return Repointed::Unclear(format!(
                        "where it reads {table}, no join says whose rows it wants"
                    ));
                }
            }
        }
    }
    if changes.is_empty() {
        return Repointed::Untouched;
    }
    let mut out = text.to_owned();
    changes.sort_by_key(|(start, ..)| *start);
    for (start, end, part) in changes.iter().rev() {
        out.replace_range(*start..*end, &part.quoted());
    }
    let mut parts: Vec<QualifiedName> = changes.into_iter().map(|(_, _, part)| part).collect();
    parts.sort();
    parts.dedup();
    Repointed::To(out, parts)
}

/// How often the table's name stands in the text, in any role.
fn mentions(tokens: &[Token], table: &QualifiedName) -> usize {
    tokens.iter().filter(|token| token.name() == Some(table.name.as_str())).count()
}

/// Uses of the table that are no reading of it in a `from` clause.
fn out_of_reach(text: &str, tokens: &[Token], table: &QualifiedName) -> Option<String> {
    for (n, token) in tokens.iter().enumerate() {
        let at = |offset: usize| tokens.get(n + offset);
        let before = |offset: usize| n.checked_sub(offset).and_then(|at| tokens.get(at));
        if token.kind == Kind::Text && text[token.start..token.end].contains(table.name.as_str()) {
            let dynamic = tokens.iter().any(|token| token.is("execute"));
            if dynamic {
                return Some(format!("it puts a statement together that may name {table}"));
            }
        }
        if token.name() != Some(table.name.as_str()) {
            continue;
        }
        let qualified = before(1).is_some_and(|dot| dot.is_symbol('.'));
        let of_schema = qualified && before(2).is_some_and(|s| s.name() == Some(table.schema.as_str()));
        if qualified && !of_schema {
            continue;
        }
        let previous = before(if of_schema { 3 } else { 1 });
        let writes = |word: &str| previous.is_some_and(|token| token.is(word));
        let deletes = previous.is_some_and(|token| token.is("from"))
            && before(if of_schema { 4 } else { 2 }).is_some_and(|token| token.is("delete"));
        if writes("into") || writes("update") || writes("table") || writes("only") || deletes {
            return Some(format!("it writes to {table}, or locks it"));
        }
        if at(1).is_some_and(|token| token.is_symbol('%')) {
            return Some(format!("it has a variable of the type of {table}"));
        }
        if of_schema && at(1).is_some_and(|token| token.is_symbol('.')) {
            return Some(format!("it names columns as {table}.COLUMN"));
        }
    }
    None
}

fn statements(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    tokens.split(|token| token.is_symbol(';'))
}

#[derive(Debug, Default)]
struct Reading {
    relations: Vec<Relation>,
    conditions: Vec<Condition>,
}

/// What is open between a pair of parentheses.
#[derive(Clone, Debug)]
struct Frame {
    select: usize,
    reads: bool,
    in_from: bool,
    expects: bool,
    join: Join,
    condition: Option<Condition>,
}

const ENDS: [&str; 14] = [
    "where",
    "group",
    "order",
    "having",
    "limit",
    "window",
    "union",
    "except",
    "intersect",
    "offset",
    "fetch",
    "for",
    "returning",
    "loop",
];

const NO_ALIAS: [&str; 16] = [
    "on", "using", "join", "left", "right", "full", "inner", "cross", "natural", "where", "group", "order",
    "union", "limit", "set", "as",
];

impl Reading {
    fn of(tokens: &[Token]) -> Self {
        let mut reading = Self::default();
        let new = |select: usize| Frame {
            select,
            reads: false,
            in_from: false,
            expects: false,
            join: Join::First,
            condition: None,
        };
        let mut selects = 0;
        let mut frames = vec![new(0)];
        let mut n = 0;
        while n < tokens.len() {
            let token = &tokens[n];
            let Some(frame) = frames.last_mut() else { break };
            match &token.kind {
                Kind::Symbol('(') => {
                    // A parenthesis where a relation is expected holds a join, or a query of its own.
                    let inner = if frame.expects {
                        Frame { reads: true, in_from: true, expects: true, condition: None, ..frame.clone() }
                    } else {
                        new(frame.select)
                    };
                    frame.expects = false;
                    frames.push(inner);
                }
                Kind::Symbol(')') => {
                    if let Some(closed) = frames.pop() {
                        reading.close(closed.condition, n);
                    }
                    if frames.is_empty() {
                        frames.push(new(selects));
                    }
                }
                Kind::Symbol(',') if frame.in_from => {
                    reading.close(frame.condition.take(), n);
                    (frame.expects, frame.join) = (true, Join::Inner);
                }
                Kind::Word(word) => {
                    n = reading.word(word, tokens, n, frame, &mut selects);
                    continue;
                }
                Kind::Quoted(_) if frame.expects => {
                    n = reading.relation(tokens, n, frame);
                    continue;
                }
                _ => {}
            }
            n += 1;
        }
        while let Some(frame) = frames.pop() {
            reading.close(frame.condition, tokens.len());
        }
        reading
    }

    fn word(
        &mut self,
        word: &str,
        tokens: &[Token],
        n: usize,
        frame: &mut Frame,
        selects: &mut usize,
    ) -> usize {
        let previous = n.checked_sub(1).and_then(|at| tokens.get(at));
        match word {
            _ if previous.is_some_and(|token| token.is_symbol('.')) => {}
            "select" => {
                self.close(frame.condition.take(), n);
                *selects += 1;
                *frame = Frame {
                    select: *selects,
                    reads: true,
                    in_from: false,
                    expects: false,
                    join: Join::First,
                    condition: None,
                };
            }
            "from" if frame.reads && !previous.is_some_and(|token| token.is("distinct")) => {
                (frame.in_from, frame.expects, frame.join) = (true, true, Join::First);
            }
            "join" if frame.in_from => {
                self.close(frame.condition.take(), n);
                (frame.expects, frame.join) = (true, join_kind(tokens, n));
            }
            "on" | "using" if frame.in_from => {
                let joins = self.relations.len().checked_sub(1);
                let (select, using) = (frame.select, word == "using");
                frame.condition = Some(Condition { select, joins, using, from: n + 1, to: n + 1 });
            }
            "lateral" if frame.expects => {}
            word if ENDS.contains(&word) => {
                self.close(frame.condition.take(), n);
                (frame.in_from, frame.expects) = (false, false);
                if word == "where" {
                    let select = frame.select;
                    frame.condition =
                        Some(Condition { select, joins: None, using: false, from: n + 1, to: n + 1 });
                }
            }
            _ if frame.expects => return self.relation(tokens, n, frame),
            _ => {}
        }
        n + 1
    }

    fn close(&mut self, condition: Option<Condition>, to: usize) {
        self.conditions.extend(condition.map(|condition| Condition { to, ..condition }));
    }

    /// Reads `[schema.]name [[as] alias]`; a function is none.
    fn relation(&mut self, tokens: &[Token], n: usize, frame: &mut Frame) -> usize {
        frame.expects = false;
        let Some(first) = tokens[n].name() else { return n + 1 };
        let dotted = tokens.get(n + 1).is_some_and(|dot| dot.is_symbol('.'));
        let (schema, last) = if dotted { (Some(first.to_owned()), n + 2) } else { (None, n) };
        let Some(name) = tokens.get(last).and_then(Token::name) else { return last + 1 };
        if tokens.get(last + 1).is_some_and(|open| open.is_symbol('(')) {
            return last + 1;
        }
        let mut next = last + 1;
        if tokens.get(next).is_some_and(|token| token.is("as")) {
            next += 1;
        }
        let alias = tokens
            .get(next)
            .filter(|token| !matches!(&token.kind, Kind::Word(word) if NO_ALIAS.contains(&word.as_str()) || ENDS.contains(&word.as_str())))
            .and_then(Token::name);
        let (alias, next) = alias.map_or((name, last + 1), |alias| (alias, next + 1));
        self.relations.push(Relation {
            schema,
            name: name.to_owned(),
            alias: alias.to_owned(),
            start: tokens[n].start,
            end: tokens[last].end,
            select: frame.select,
            join: frame.join,
        });
        next
    }

    /// The part that the `n`th relation, which is the table, is joined for.
    fn part_of(
        &self,
        tokens: &[Token],
        n: usize,
        key: &Ident,
        schema: &Ident,
        meetings: &[Meeting],
    ) -> Option<QualifiedName> {
        let table = &self.relations[n];
        let same = |relation: &&Relation| relation.select == table.select;
        if self.relations.iter().filter(same).filter(|other| other.alias == table.alias).count() != 1 {
            return None;
        }
        let mut found = Vec::new();
        for condition in self.conditions.iter().filter(|condition| condition.select == table.select) {
            let Some(span) = tokens.get(condition.from..condition.to) else { continue };
            if span.iter().any(|token| token.is("or") || token.is("case")) || negates(span) {
                continue;
            }
            let allowed = match condition.joins {
                None => table.join != Join::Other,
                Some(joined) if joined == n => matches!(table.join, Join::Inner | Join::Left),
                Some(joined) => self.relations[joined].join == Join::Inner && table.join != Join::Other,
            };
            if !allowed || self.relations.iter().filter(same).any(|relation| relation.join == Join::Other) {
                continue;
            }
            if condition.using {
                found.extend(self.using(span, condition, n, key, schema, meetings));
            } else {
                found.extend(self.equal(span, table, key, schema, meetings));
            }
        }
        found.sort();
        found.dedup();
        // Joined for two services at once, it wants rows that both have: either part has them.
        found.into_iter().next()
    }

    fn meets(
        &self,
        table: &Relation,
        alias: &str,
        column: &str,
        schema: &Ident,
        meetings: &[Meeting],
    ) -> Option<QualifiedName> {
        let mut others =
            self.relations.iter().filter(|other| other.select == table.select && other.alias == alias);
        let (other, second) = (others.next()?, others.next());
        if second.is_some() {
            return None;
        }
        let schema = other.schema.as_deref().unwrap_or(schema.as_str());
        let meeting = meetings.iter().find(|meeting| {
            meeting.table.name.as_str() == other.name
                && meeting.table.schema.as_str() == schema
                && meeting.column.as_str() == column
        })?;
        Some(meeting.part.clone())
    }

    /// `a.x = b.y`, either way round.
    fn equal(
        &self,
        span: &[Token],
        table: &Relation,
        key: &Ident,
        schema: &Ident,
        meetings: &[Meeting],
    ) -> Option<QualifiedName> {
        for window in span.windows(7) {
            let [a, dot, x, equals, b, second_dot, y] = window else { continue };
            if !dot.is_symbol('.') || !equals.is_symbol('=') || !second_dot.is_symbol('.') {
                continue;
            }
            let (Some(a), Some(x), Some(b), Some(y)) = (a.name(), x.name(), b.name(), y.name()) else {
                continue;
            };
            for ((own, own_column), (alias, column)) in [((a, x), (b, y)), ((b, y), (a, x))] {
                if own == table.alias && own_column == key.as_str() {
                    let part = self.meets(table, alias, column, schema, meetings);
                    if part.is_some() {
                        return part;
                    }
                }
            }
        }
        None
    }

    /// `join table using (key)`, where one relation before it has a column of that name that reaches the table.
    fn using(
        &self,
        span: &[Token],
        condition: &Condition,
        n: usize,
        key: &Ident,
        schema: &Ident,
        meetings: &[Meeting],
    ) -> Option<QualifiedName> {
        if !span.iter().any(|token| token.name() == Some(key.as_str())) {
            return None;
        }
        let joined = condition.joins?;
        let table = &self.relations[n];
        let others: Vec<QualifiedName> = self.relations[..=joined]
            .iter()
            .enumerate()
            .filter(|(other, relation)| *other != n && relation.select == table.select)
            .filter_map(|(_, relation)| self.meets(table, &relation.alias, key.as_str(), schema, meetings))
            .collect();
        match others.as_slice() {
            [one] if joined == n || joined == n + 1 => Some(one.clone()),
            _ => None,
        }
    }
}

fn negates(span: &[Token]) -> bool {
    span.windows(2).any(|pair| pair[0].is("not") && pair[1].is_symbol('('))
}

fn join_kind(tokens: &[Token], n: usize) -> Join {
    let mut before = tokens[..n].iter().rev();
    let first = before.next();
    let first = if first.is_some_and(|token| token.is("outer")) { before.next() } else { first };
    match first {
        Some(token) if token.is("left") => Join::Left,
        Some(token) if token.is("right") || token.is("full") || token.is("natural") => Join::Other,
        _ => Join::Inner,
    }
}
