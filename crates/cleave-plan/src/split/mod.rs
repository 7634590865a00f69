//! The plan of a split: from `[splits.NAME]` and the catalog to a value with every statement in it.
//!
//! The executor runs the lists of [`SplitScript`] and decides nothing about SQL; see `docs/design/split.md`.

mod draft;
mod findings;
mod joins;
mod paths;
mod rows;
mod script;
#[cfg(test)]
mod tests;

pub use draft::{SplitDraft, draft_split};
pub use findings::statements;
pub use paths::{hides_bare_names, judge_bare_names, judge_paths};
pub use rows::judge_rows;

use crate::{Crossing, Finding, Name, Weight};
use serde::{Deserialize, Serialize};

/// Version of the stored form; raised when a field changes its meaning.
pub const SPLIT_PLAN_VERSION: u32 = 1;

/// What `complete` leaves under the old name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OldName {
    /// Nothing.
    Removed,
    /// The rows that no service reaches, as a table.
    Rest,
    /// A view over the parts.
    View,
}

/// What is done with rows that no service reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrphanRows {
    /// None may be there.
    Refuse,
    /// They stay under the old name.
    Keep,
    /// This service takes them.
    Service(String),
}

/// A part of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPart {
    /// The service that owns it.
    pub service: String,
    /// Where it will stand.
    pub place: Name,
    /// The role that will own it.
    pub owner: String,
    /// Columns that reach its rows: `public.customer.address_id`.
    pub reached_by: Vec<String>,
}

/// How many rows each service reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// True if a sample was counted.
    pub estimated: bool,
    /// Rows looked at.
    pub rows: u64,
    /// Reached by no service.
    pub orphans: u64,
    /// Reached by several.
    pub shared: u64,
    /// Reached by each part's service.
    pub parts: Vec<u64>,
}

/// A key that reaches rows, and its way to a part and back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceScript {
    /// The referencing table.
    pub table: Name,
    /// The key's name.
    pub key: String,
    /// One transaction; SHARE ROW EXCLUSIVE on the referencing table.
    pub triggers: Vec<String>,
    /// Before the switch: a second key, to the part.
    pub to_part: KeyScript,
    /// Before the switch back: a second key, to the table.
    pub to_table: KeyScript,
    /// Drops what triggers there are.
    pub drop_triggers: Vec<String>,
}

/// A second key beside the one in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyScript {
    /// `NOT VALID`: a moment's SHARE ROW EXCLUSIVE.
    pub add: Vec<String>,
    /// Reads the table while writers go on.
    pub validate: Vec<String>,
    /// For a partitioned table its own key.
    pub adopt: Vec<String>,
    /// In the switch: it takes the place of the old one.
    pub switch: Vec<String>,
    /// Drops it.
    pub drop: Vec<String>,
}

/// Every statement of a split, in lists that are run as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitScript {
    /// One transaction: schemas, parts, functions. Leaves `search_path` empty.
    pub prepare: Vec<String>,
    /// One transaction, with a lock on the table that lets readers pass.
    pub table_triggers: Vec<String>,
    /// The keys that reach rows.
    pub references: Vec<ReferenceScript>,
    /// Places the next `$1` rows; returns how many it looked at.
    pub fill: String,
    /// Compares the keys beyond `$1`, about `$2` of them.
    pub check: String,
    /// Rows if the columns of table and parts are not the same.
    pub columns: String,
    /// In the switch: parts take writes.
    pub open: Vec<String>,
    /// In the switch back: they do not.
    pub close: Vec<String>,
    /// In the switch: views and functions read the parts.
    pub repoint: Vec<String>,
    /// In the switch back: they read the table.
    pub restore: Vec<String>,
    /// `cancel`, after the triggers of the references: the table's own.
    pub release: Vec<String>,
    /// `cancel`, at last: parts and schema.
    pub drop: Vec<String>,
    /// `complete`, one transaction.
    pub complete: Vec<String>,
}

/// The plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitPlan {
    /// [`SPLIT_PLAN_VERSION`].
    pub version: u32,
    /// The split.
    pub split: String,
    /// The database, as cleave.toml calls it.
    pub database: String,
    /// The table.
    pub table: Name,
    /// Its OID.
    pub table_oid: u32,
    /// The column that tells rows apart.
    pub key: String,
    /// Estimated rows.
    pub rows: u64,
    /// Heap and index bytes.
    pub bytes: u64,
    /// The parts.
    pub parts: Vec<PlannedPart>,
    /// Where rows wait that no service has reached.
    pub pending: Name,
    /// True if a row may belong to several services.
    pub shared: bool,
    /// Rows that no service reaches.
    pub orphans: OrphanRows,
    /// What `complete` leaves under the old name.
    pub old_name: OldName,
    /// How many rows go where; none until they have been counted.
    pub counts: Option<RowCounts>,
    /// Views and functions that read the table, and what becomes of each.
    pub crossings: Vec<Crossing>,
    /// Findings, refusals first.
    pub findings: Vec<Finding>,
    /// The SQL.
    pub script: SplitScript,
}

impl SplitPlan {
    /// True if `apply` will not start.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.weight == Weight::Refusal)
    }

    /// The table and those that reach it: what locks are about.
    pub fn tables(&self) -> Vec<cleave_model::QualifiedName> {
        let references = self.script.references.iter().map(|reference| &reference.table);
        [&self.table].into_iter().chain(references).map(Name::qualified).collect()
    }

    /// Table and parts.
    pub fn places(&self) -> Vec<cleave_model::QualifiedName> {
        let parts = self.parts.iter().map(|part| &part.place);
        [&self.table, &self.pending].into_iter().chain(parts).map(Name::qualified).collect()
    }
}
