//! What the report says.

use crate::picture::Survey;

/// Everything on the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// When it was made, as a phrase: the page has no clock.
    pub made: String,
    /// `PostgreSQL 16.4`, where known.
    pub server: String,
    /// What was found, the worst first.
    pub findings: Vec<FindingCard>,
    /// Checks that were made, those without a finding included; 0: none were.
    pub checks: u64,
    /// What could not be looked at and why, a sentence each.
    pub unread: Vec<String>,
    /// Ways to part the tables, the recommended one first.
    pub alternatives: Vec<Alternative>,
    /// What crosses between services.
    pub boundary: Vec<BoundaryLine>,
    /// The pictures' source.
    pub survey: Survey,
}

/// How much a finding matters, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Stands against a move.
    Blocker,
    /// Should be changed first.
    Warning,
    /// Worth knowing.
    Note,
}

impl Weight {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocker => "blocker",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingCard {
    /// Its code, which `cleave explain` takes.
    pub code: String,
    /// How much it matters.
    pub weight: Weight,
    /// The database.
    pub database: String,
    /// The object, if it is about one.
    pub object: Option<String>,
    /// What was seen.
    pub seen: String,
    /// Why it matters.
    pub why: String,
    /// SQL or a setting that mends it.
    pub fix: Option<String>,
}

/// One way to part the tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alternative {
    /// `balanced`, or where it comes from.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// What it costs: how many, of what.
    pub prices: Vec<(u64, String)>,
    /// Its services.
    pub services: Vec<ProposedService>,
    /// What is said beside it: candidates for a split, tables left aside.
    pub notes: Vec<String>,
}

/// A service of an alternative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProposedService {
    /// Name.
    pub name: String,
    /// Its tables.
    pub tables: Vec<ProposedTable>,
}

/// A table and how sure its place is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProposedTable {
    /// Name.
    pub name: String,
    /// 0 to 100, where it was computed.
    pub confidence_percent: Option<u8>,
    /// Competing services, where it is unsure.
    pub note: Option<String>,
}

/// One thing that crosses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundaryLine {
    /// `key`, `view`, `function`, `trigger`, `sequence`, `statement`, `transaction`.
    pub kind: String,
    /// Its name.
    pub object: String,
    /// The services that it connects.
    pub between: Vec<String>,
    /// How it is known.
    pub evidence: String,
    /// What can be done.
    pub remedy: String,
}
