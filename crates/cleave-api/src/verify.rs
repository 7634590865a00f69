//! `cleave verify`.

use crate::{Report, VerificationState};
use serde::{Deserialize, Serialize};

/// The comparison of the two sides of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// The service.
    pub service: String,
    /// The result in one word.
    pub state: VerificationState,
    /// True if a running stream said when the other side had caught up. Without one (two databases that no move
    /// connects) a row counts as different if it was so for as long as the other side was given to catch up, while
    /// the home's row stood still.
    #[serde(default = "aligned")]
    pub aligned: bool,
    /// When it ended.
    pub at: String,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Rows compared.
    pub rows: u64,
    /// Of these, rows that an earlier comparison had proven, whose process died: this one went on where that was.
    #[serde(default)]
    pub resumed: u64,
    /// When that one began: what is known is as old as its oldest part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What was repaired before this comparison, if that was asked for and necessary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<RepairSummary>,
    /// Per table.
    pub tables: Vec<TableVerdict>,
    /// The differences, and behind them the rows that are unproven, up to a limit; [`TableVerdict::entries`] counts all.
    pub differences: Vec<Difference>,
}

impl Report for VerifyReport {
    const KIND: &'static str = "verify";
}

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairSummary {
    /// Rows that were written as the home has them.
    pub written: u64,
    /// Rows that the home does not have and that were removed.
    pub removed: u64,
    /// Rows that changed meanwhile and were left alone.
    pub skipped: u64,
}

fn aligned() -> bool {
    true
}

/// The comparison of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableVerdict {
    /// The table, by its name at the home.
    pub table: String,
    /// Rows compared.
    pub rows: u64,
    /// Rows that looked different at first and were compared again by key.
    pub rechecked: u64,
    /// Rows that changed too often to be compared.
    pub unproven: u64,
    /// Rows that differ.
    pub differences: u64,
    /// What a full list of both has: of equal rows without a key one entry, however many differ.
    #[serde(default)]
    pub entries: u64,
}

/// One row that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The row's key, column by column, as text.
    pub key: Vec<(String, String)>,
    /// How it differs.
    pub kind: DifferenceKind,
    /// The columns that differ, for [`DifferenceKind::Changed`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The values of these columns, or of all where one side lacks the row; only where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValuePair>,
}

/// A column's value on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuePair {
    /// The column, by its name at the home.
    pub column: String,
    /// As text at the home; none is null, or that the row is not there.
    pub home: Option<String>,
    /// At the other side.
    pub other: Option<String>,
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DifferenceKind {
    /// At the home only.
    Missing,
    /// At the other side only.
    Extra,
    /// On both sides, with other values.
    Changed,
    /// Not decided: it differed, and never held still.
    Unproven,
}

impl DifferenceKind {
    /// The word in JSON and text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Changed => "changed",
            Self::Unproven => "unproven",
        }
    }
}
