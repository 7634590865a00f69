//! `cleave plan`.

use crate::{Problem, Report, Severity};
use serde::Serialize;

/// What a move will do, before the first byte.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanReport {
    /// The service.
    pub service: String,
    /// The database that has the tables now.
    pub source: String,
    /// The wanted home, `database/schema`.
    pub home: String,
    /// Where the old tables stay as a read-only copy, `database/schema`; null: they are dropped by `complete`.
    pub copy: Option<String>,
    /// What the old names lead to after the switch: `forward`, `local` or `none`; `view` or `path`
    /// inside one database.
    pub bridge: String,
    /// The role that owns the tables at the new home; null: the role that Cleave connects as.
    pub owner: Option<String>,
    /// Identifies this very plan; `apply` refuses once the databases differ from it.
    pub fingerprint: String,
    /// The tables that move.
    pub tables: Vec<PlannedTable>,
    /// The sequences that move with them, by their names at the source.
    pub sequences: Vec<String>,
    /// What crosses the boundary between moved and staying objects.
    pub crossings: Vec<Crossing>,
    /// Functions whose text is changed at the switch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<FunctionChange>,
    /// Roles that the target lacks.
    pub missing_roles: Vec<MissingRole>,
    /// What will be done, in order.
    pub steps: Vec<PlanStep>,
    /// Locks that will be taken.
    pub locks: Vec<LockUse>,
    /// How long writers are expected to wait at the switch.
    pub expected_pause_ms: Option<u64>,
    /// How long they may wait.
    pub write_pause_ms: u64,
    /// What applications are known to do with what moves; null: nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<PlanWorkload>,
    /// What was found, by object, errors first. An error among them: the move cannot be done.
    pub findings: Vec<Problem>,
}

impl PlanReport {
    /// True if nothing stands against the move.
    pub fn is_possible(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

impl Report for PlanReport {
    const KIND: &'static str = "plan";
}

impl Report for Vec<PlanReport> {
    const KIND: &'static str = "plan";
}

/// A table that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedTable {
    /// Its name at the source: `public.film`.
    pub name: String,
    /// Its name at the new home.
    pub target: String,
    /// Rows, as the statistics have it.
    pub rows: u64,
    /// Size with TOAST, without indexes.
    pub bytes: u64,
    /// What identifies a row: `key (film_id)`, `full row`, `by partition`.
    pub identity: String,
    /// True for a partition of another table of the plan.
    pub partition: bool,
}

/// Something that connects what moves with what stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crossing {
    /// What it is.
    pub kind: CrossingKind,
    /// Its name.
    pub object: String,
    /// What becomes of it.
    pub fate: String,
}

/// Kinds of crossings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CrossingKind {
    /// A foreign key from or to a table that stays.
    ForeignKey,
    /// A view over moved tables.
    View,
    /// A materialized view over moved tables.
    MaterializedView,
    /// A function that names moved tables.
    Function,
    /// A trigger on a moved table.
    Trigger,
    /// A sequence that both sides use.
    Sequence,
    /// A statement seen in the workload.
    Statement,
    /// Transactions seen in the workload.
    Transaction,
}

impl CrossingKind {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForeignKey => "foreign key",
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::Function => "function",
            Self::Trigger => "trigger",
            Self::Sequence => "sequence",
            Self::Statement => "statement",
            Self::Transaction => "transaction",
        }
    }
}

/// What applications are known to do with what moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanWorkload {
    /// Where it was seen: `pg_stat_statements since 2026-11-01`, `server.log (stderr)`.
    pub sources: Vec<String>,
    /// Known statements that touch what moves.
    pub statements: u64,
    /// Statements that could not be read, whatever they touch.
    pub unread: u64,
    /// Those that the bridge does not carry as they are: first those that break, the most frequent first.
    pub at_risk: Vec<StatementAtRisk>,
    /// Transactions that write on both sides of the boundary, the most frequent first.
    pub spanning: Vec<SpanningTransaction>,
}

/// A statement that the bridge does not carry as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatementAtRisk {
    /// `queryid` of `pg_stat_statements`, or a `t` and a hash of the text.
    pub id: String,
    /// Its text without constants.
    pub text: String,
    /// The role that sends it, where that is known.
    pub role: Option<String>,
    /// How often it was seen.
    pub calls: u64,
    /// The moved tables and sequences that it touches.
    pub objects: Vec<String>,
    /// Why it would fail under the old name; empty: it would not.
    pub breaks: Vec<String>,
    /// What it would do otherwise than before.
    pub differs: Vec<String>,
    /// The values of `bridge` that would carry it as it is.
    pub carried_by: Vec<String>,
}

/// Transactions that write to the same tables, some of which move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpanningTransaction {
    /// The tables that move.
    pub moved: Vec<String>,
    /// The tables that stay.
    pub staying: Vec<String>,
    /// How many were seen.
    pub count: u64,
}

/// A function whose text is changed at the switch of a move inside one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionChange {
    /// `schema.name(arguments)`.
    pub function: String,
    /// What is done to it, as a phrase.
    pub what: String,
    /// Lines that differ: `- old`, `+ new`.
    pub diff: Vec<String>,
}

/// A role that must exist at the target first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingRole {
    /// The role.
    pub role: String,
    /// The database whose server lacks it.
    pub database: String,
    /// Why it is needed.
    pub reason: String,
    /// The statement that makes it.
    pub sql: String,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanStep {
    /// Its name in the journal.
    pub name: String,
    /// What it does, in a line.
    pub summary: String,
    /// Where.
    pub side: ChangeSide,
    /// Its statements, where they are known beforehand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<String>,
}

/// Which database a step changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeSide {
    /// Where the tables come from.
    Source,
    /// The new home.
    Target,
    /// Both.
    Both,
}

impl ChangeSide {
    /// The word in JSON and text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Both => "both",
        }
    }
}

/// A lock that a step takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockUse {
    /// The database.
    pub database: String,
    /// The relation.
    pub object: String,
    /// `ACCESS EXCLUSIVE`, as in the manual, section 13.3.
    pub mode: String,
    /// The step that takes it.
    pub step: String,
    /// How long it is held; null where it is not known beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
}
