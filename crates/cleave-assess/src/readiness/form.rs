//! The form of a finding.

use super::{Ground, Observed};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// A move works, but somebody should look first.
    Warning,
    /// A move of what it names cannot be begun, or would not end well.
    Blocker,
}

impl Severity {
    /// `blocker`, `warning` or `note`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Blocker => "blocker",
        }
    }
}

/// Which database of a move a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that tables leave.
    Source,
    /// The one that they come to.
    Target,
    /// Each.
    Either,
    /// Both together.
    Pair,
}

/// What a finding is and how it is found.
pub struct Rule {
    /// Stable code.
    pub code: &'static str,
    /// Heading of its page.
    pub title: &'static str,
    /// What it weighs at most.
    pub severity: Severity,
    /// Where it is looked for.
    pub side: Side,
    /// True if the plan of a service has a finding of its own about the same thing.
    pub in_plan: bool,
    /// `table is unlogged`, `tables are unlogged`: what its objects are. Empty where each hit is a sentence.
    pub nouns: (&'static str, &'static str),
    /// Why it matters, one sentence without a capital and a full stop.
    pub why: &'static str,
    /// The page's section "Cause": what PostgreSQL does, and what that means for a move.
    pub cause: &'static str,
    /// The page's section "Fix".
    pub fix: &'static str,
    /// Has the finding.
    pub bad: Example,
    /// Has it not.
    pub good: Example,
    /// Looks for it.
    pub check: Check,
}

/// An example, which is also a test.
pub enum Example {
    /// SQL that is run in an empty database.
    Sql(&'static str),
    /// What no SQL in one database brings about: said in words, and brought about as a change of what was observed after
    /// some SQL.
    Observed(&'static str, &'static str, fn(&mut Observed)),
    /// The same of two databases, the source and the target; the SQL is run in the source.
    Pair(&'static str, &'static str, fn(&mut Observed, &mut Observed)),
}

impl Example {
    /// The SQL that is run.
    pub fn sql(&self) -> &'static str {
        match self {
            Self::Sql(sql) | Self::Observed(_, sql, _) | Self::Pair(_, sql, _) => sql,
        }
    }

    /// What else is so, in words.
    pub fn words(&self) -> Option<&'static str> {
        match self {
            Self::Sql(_) => None,
            Self::Observed(words, ..) | Self::Pair(words, ..) => Some(words),
        }
    }
}

/// A check.
#[derive(Clone, Copy)]
pub enum Check {
    /// Of one database.
    One(fn(&Ground<'_>, &mut Found)),
    /// Of a source and a target.
    Two(fn(&Ground<'_>, &Ground<'_>, &mut Found)),
}

/// What a check has found.
#[derive(Debug, Default)]
pub struct Found {
    pub(super) hits: Vec<Hit>,
}

/// One thing that was found: an object, or a sentence.
#[derive(Clone, Debug, Default)]
pub struct Hit {
    pub(super) object: Option<String>,
    pub(super) sentence: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) fix: Option<String>,
    pub(super) severity: Option<Severity>,
}

impl Found {
    /// An object that has it. Objects of one rule are told in one finding.
    pub(super) fn object(&mut self, name: impl ToString) -> &mut Hit {
        self.push(Hit { object: Some(name.to_string()), ..Hit::default() })
    }

    /// A finding of its own: what was seen, in one sentence without a capital and a full stop.
    pub(super) fn sentence(&mut self, seen: impl Into<String>) -> &mut Hit {
        self.push(Hit { sentence: Some(seen.into()), ..Hit::default() })
    }

    fn push(&mut self, hit: Hit) -> &mut Hit {
        self.hits.push(hit);
        let last = self.hits.len() - 1;
        &mut self.hits[last]
    }
}

impl Hit {
    /// What is special about this object.
    pub(super) fn detail(&mut self, detail: impl Into<String>) -> &mut Self {
        self.detail = Some(detail.into());
        self
    }

    /// The object, table, role or setting that a sentence is about.
    pub(super) fn about(&mut self, object: impl ToString) -> &mut Self {
        self.object = Some(object.to_string());
        self
    }

    /// SQL or a setting that changes it.
    pub(super) fn fix(&mut self, sql: impl Into<String>) -> &mut Self {
        self.fix = Some(sql.into());
        self
    }

    /// Weighs less than the rule says.
    pub(super) fn weighs(&mut self, severity: Severity) -> &mut Self {
        self.severity = Some(severity);
        self
    }
}
