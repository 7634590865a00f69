//! What a comparison found. Keys stand here for the user's eyes; they are not part of any `Debug` output.

use cleave_model::{Ident, QualifiedName};
use std::fmt;

/// The result of a comparison, one entry per table in the order asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyOutcome {
    /// Per table.
    pub tables: Vec<TableOutcome>,
}

/// The result for a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOutcome {
    /// The table's name on the home.
    pub table: QualifiedName,
    /// What the comparison of it is called.
    pub title: String,
    /// Rows compared, as counted on the home.
    pub rows: u64,
    /// Of these, rows that an earlier comparison has proven, which this one went on from.
    pub resumed: u64,
    /// Rows that looked different at first and were read again.
    pub rechecked: u64,
    /// Rows that are the same on both sides.
    pub equal: u64,
    /// Rows of the home that the follower lacks.
    pub missing: u64,
    /// Rows of the follower that the home does not have.
    pub extra: u64,
    /// Rows that both sides have, with different contents.
    pub different: u64,
    /// Rows that differed at some moment and never held still long enough to be compared.
    pub unproven: u64,
    /// What a full list of differences and unproven rows has: of equal rows without a key one entry, however many differ.
    pub entries: u64,
    /// The first differences, in no particular order.
    pub differences: Vec<Difference>,
    /// The first unproven rows.
    pub unproven_rows: Vec<RowKey>,
}

/// A row that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which row.
    pub row: RowKey,
    /// In what way.
    pub kind: DifferenceKind,
    /// Its values, where they were asked for.
    pub values: Values,
}

/// The values of the columns that differ, or of all where only one side has the row, as they were read once the
/// difference was proven. None of a row without a key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(pub Vec<ColumnValues>);

/// A column's value on both sides, as text. None is null, or that there is no such row.
#[derive(Clone, PartialEq, Eq)]
pub struct ColumnValues {
    /// By its name on the home.
    pub column: Ident,
    /// On the home.
    pub home: Option<String>,
    /// On the follower.
    pub follower: Option<String>,
}

/// In what way a row differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The follower lacks it.
    Missing,
    /// The home does not have it.
    Extra,
    /// Both sides have it, with different values.
    Different {
        /// The columns that differ, by their names on the home. Empty if one side has the key more than once.
        columns: Vec<Ident>,
    },
    /// Both sides differed at some moment, and the row never held still long enough to be compared.
    Unproven,
}

/// How a row is told to the user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    /// The values of the key columns as text.
    Key(Vec<String>),
    /// A row of a table without a key.
    Keyless {
        /// The row's 128-bit hash, 32 hexadecimal digits.
        hash: String,
        /// How often the home has the row.
        home: u64,
        /// How often the follower has it.
        follower: u64,
    },
}

impl VerifyOutcome {
    /// True if every row is proven to be the same.
    pub fn is_clean(&self) -> bool {
        self.tables.iter().all(|table| table.differing() == 0 && table.unproven == 0)
    }

    /// Rows that differ, over all tables.
    pub fn differing(&self) -> u64 {
        self.tables.iter().map(TableOutcome::differing).sum()
    }

    /// Rows that could not be proven, over all tables.
    pub fn unproven(&self) -> u64 {
        self.tables.iter().map(|table| table.unproven).sum()
    }

    /// Rows compared, over all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

impl RowKey {
    /// As a repair is told which row is meant: the key, or the two halves of the hash.
    pub fn identity(&self) -> Vec<String> {
        match self {
            Self::Key(values) => values.clone(),
            Self::Keyless { hash, .. } => {
                let halves = hash.split_at_checked(hash.len() / 2).unwrap_or_default();
                let short = |half: &str| match half.trim_start_matches('0') {
                    "" => "0".to_owned(),
                    digits => digits.to_owned(),
                };
                vec![short(halves.0), short(halves.1)]
            }
        }
    }
}

impl TableOutcome {
    /// Missing, extra and different rows.
    pub fn differing(&self) -> u64 {
        self.missing + self.extra + self.different
    }
}

impl fmt::Display for RowKey {
    /// `(7, it)`, or `row 00c0..., 2 times on the home, 1 time on the follower`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(values) => write!(f, "({})", values.join(", ")),
            Self::Keyless { hash, home, follower } => {
                let times =
                    |count: &u64| if *count == 1 { "1 time".into() } else { format!("{count} times") };
                write!(f, "row {hash}, {} on the home, {} on the follower", times(home), times(follower))
            }
        }
    }
}

impl fmt::Debug for Values {
    /// Without the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({} columns)", self.0.len())
    }
}

impl fmt::Debug for ColumnValues {
    /// Without the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ColumnValues({})", self.column)
    }
}

impl fmt::Debug for RowKey {
    /// Without the key's values, so that a log line cannot show them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(values) => write!(f, "Key({} columns)", values.len()),
            Self::Keyless { .. } => f.write_str("Keyless"),
        }
    }
}
