//! Which statements an old name still carries after a move, by what the name leads to.
//!
//! One table says it for every layer and feature; docs/design/workload.md shows the same, with where each was measured.

#[cfg(test)]
mod tests;

use crate::BridgeKind;
use cleave_model::QualifiedName;
use cleave_model::workload::{Statement, StatementTrait, Transaction, Workload};
use std::fmt;

/// What an old name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// A foreign table at the new home.
    Forward,
    /// A view over the copy, with triggers that write at the new home.
    Local,
    /// A view over the copy; writes are refused.
    None,
    /// An updatable view over the table in its new schema; the new schema is first in `search_path`.
    View,
    /// `search_path` alone.
    Path,
}

impl Layer {
    /// As it stands in cleave.toml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Local => "local",
            Self::None => "none",
            Self::View => "view",
            Self::Path => "path",
        }
    }
}

impl From<BridgeKind> for Layer {
    fn from(kind: BridgeKind) -> Self {
        match kind {
            BridgeKind::Forward => Self::Forward,
            BridgeKind::Local => Self::Local,
            BridgeKind::None => Self::None,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It does what it did.
    Carried,
    /// It runs, and does something else.
    Differs(&'static str),
    /// It fails.
    Breaks(&'static str),
}

/// What becomes of a statement with that feature whose old name leads to a layer, on a server of that major version.
/// For [`Layer::View`], of a statement that names the old schema; one that does not meets the table itself.
pub fn fate(layer: Layer, major: u32, feature: StatementTrait) -> Fate {
    match layer {
        Layer::Forward => forward(feature),
        Layer::Local | Layer::None => over_copy(major, feature),
        Layer::View => view(major, feature),
        Layer::Path => Fate::Carried,
    }
}

fn forward(feature: StatementTrait) -> Fate {
    use Fate::{Breaks, Carried, Differs};
    use StatementTrait as T;
    match feature {
        T::OnConflictColumns => {
            Breaks("ON CONFLICT (columns) finds no constraint on a foreign table (42P10)")
        }
        T::OnConflictConstraint => Breaks("a foreign table has no constraint of that name (42704)"),
        T::Merge => Breaks("MERGE into a foreign table is not supported (0A000)"),
        T::SkipLocked => Differs("SKIP LOCKED is not sent to the new home: it waits"),
        T::CopyTo => Breaks("COPY cannot read a foreign table (42809); COPY (SELECT ...) can"),
        T::LockTable => Breaks("a foreign table cannot be locked (42809)"),
        T::CurrentOf => Breaks("WHERE CURRENT OF is not supported on a foreign table (0A000)"),
        T::SystemColumn => {
            Differs("xmin, xmax, cmin, cmax and tableoid of a foreign table do not describe the row")
        }
        T::Ddl => Breaks("DDL fails on the foreign table (42809), or changes it alone"),
        T::Maintenance => Differs("it does not reach the table at the new home"),
        T::OnConflictWithoutTarget | T::RowLock | T::Truncate | T::CopyFrom | T::Returning => Carried,
    }
}

fn over_copy(major: u32, feature: StatementTrait) -> Fate {
    use Fate::{Breaks, Carried, Differs};
    use StatementTrait as T;
    match feature {
        T::OnConflictColumns => {
            Breaks("ON CONFLICT (columns) finds no constraint on a view with triggers (42P10)")
        }
        T::OnConflictConstraint => Breaks("a view has no constraint of that name (42704)"),
        T::OnConflictWithoutTarget => {
            Breaks("a conflict is raised (23505): the trigger writes, and DO NOTHING is lost")
        }
        T::Merge if major < 17 => Breaks("MERGE into a view is not supported before PostgreSQL 17 (0A000)"),
        T::RowLock | T::SkipLocked => {
            Differs("it locks rows of the copy, which stop no writer at the new home")
        }
        T::Truncate => Breaks("a view cannot be truncated (42809)"),
        T::CopyTo => Breaks("COPY cannot read a view (42809); COPY (SELECT ...) can"),
        T::LockTable => Differs("it locks the copy, which stops no writer at the new home"),
        T::CurrentOf => Breaks("WHERE CURRENT OF is not supported on a view (0A000)"),
        T::SystemColumn => Breaks("a view has no system columns (42703)"),
        T::Ddl => Breaks("DDL fails on a view (42809), or changes it alone"),
        T::Maintenance => Differs("it skips a view with a warning"),
        T::Merge | T::CopyFrom | T::Returning => Carried,
    }
}

fn view(major: u32, feature: StatementTrait) -> Fate {
    use Fate::{Breaks, Carried, Differs};
    use StatementTrait as T;
    match feature {
        T::OnConflictConstraint => Breaks("the constraint is looked for on the view (42704)"),
        T::Merge if major < 17 => Breaks("MERGE into a view is not supported before PostgreSQL 17 (0A000)"),
        T::Truncate => Breaks("a view cannot be truncated (42809)"),
        T::CopyFrom => Breaks("COPY cannot write to a view (42809)"),
        T::CopyTo => Breaks("COPY cannot read a view (42809); COPY (SELECT ...) can"),
        T::CurrentOf => Breaks("WHERE CURRENT OF is not supported on a view (0A000)"),
        T::SystemColumn => Breaks("a view has no system columns (42703)"),
        T::Ddl => Breaks("DDL fails on a view (42809), or changes it alone"),
        T::Maintenance => Differs("it skips a view with a warning"),
        T::OnConflictColumns
        | T::OnConflictWithoutTarget
        | T::Merge
        | T::RowLock
        | T::SkipLocked
        | T::LockTable
        | T::Returning => Carried,
    }
}

const WRITE_REFUSED: &str = "writes under the old name are refused with the name of the new home (25006)";
const SCHEMA_GONE: &str = "it names the old schema, in which the table no longer is (42P01)";
const SEQUENCE_GONE: &str = "it names a sequence that is at the new home (42P01)";
const SEQUENCE_SCHEMA: &str = "it names a sequence in the old schema, in which it no longer is (42P01)";

/// A statement that the chosen layer does not carry as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementVerdict {
    /// `queryid`, or a hash of the text.
    pub id: String,
    /// The text, its constants replaced.
    pub text: String,
    /// Who sends it.
    pub role: Option<String>,
    /// How often it was seen.
    pub calls: u64,
    /// The moved tables and sequences that it touches.
    pub objects: Vec<QualifiedName>,
    /// Why it would fail.
    pub breaks: Vec<&'static str>,
    /// What it would do otherwise than before.
    pub differs: Vec<&'static str>,
    /// The layers that would carry it as it is.
    pub carried_by: Vec<Layer>,
}

/// What moves, under its old names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedNames {
    /// Tables; a partitioned one by its root.
    pub tables: Vec<QualifiedName>,
    /// Sequences.
    pub sequences: Vec<QualifiedName>,
}

/// What becomes of one statement, reason by reason; empty if it is carried or touches nothing that moves.
pub fn judge(layer: Layer, major: u32, statement: &Statement, moved: &MovedNames) -> Vec<Fate> {
    let touched: Vec<_> = statement.tables.iter().filter(|used| moved.tables.contains(&used.table)).collect();
    let mut fates = Vec::new();
    let qualified = touched.iter().any(|used| used.qualified);
    let meets_layer = !touched.is_empty() && (layer != Layer::View || qualified);
    if meets_layer {
        fates.extend(statement.traits.iter().map(|feature| fate(layer, major, *feature)));
    }
    if layer == Layer::None && touched.iter().any(|used| used.writes) {
        fates.push(Fate::Breaks(WRITE_REFUSED));
    }
    if layer == Layer::Path && qualified {
        fates.push(Fate::Breaks(SCHEMA_GONE));
    }
    for sequence in statement.sequences.iter().filter(|sequence| moved.sequences.contains(sequence)) {
        fates.push(match layer {
            Layer::Forward | Layer::Local | Layer::None => Fate::Breaks(SEQUENCE_GONE),
            Layer::View | Layer::Path if names_schema(&statement.text, sequence) => {
                Fate::Breaks(SEQUENCE_SCHEMA)
            }
            Layer::View | Layer::Path => Fate::Carried,
        });
    }
    fates.retain(|fate| *fate != Fate::Carried);
    fates.sort();
    fates.dedup();
    fates
}

/// Constants are taken out of known statements but for the names of sequences, so that the text says how it was named.
fn names_schema(text: &str, name: &QualifiedName) -> bool {
    let text = text.to_lowercase().replace('"', "");
    text.contains(&format!("{}.{}", name.schema.as_str(), name.name.as_str()).to_lowercase())
}

/// The known statements that a layer does not carry, the most frequent first, and which of the `offered` ones would.
pub fn verdicts(
    workload: &Workload,
    moved: &MovedNames,
    layer: Layer,
    major: u32,
    offered: &[Layer],
) -> Vec<StatementVerdict> {
    let mut verdicts: Vec<StatementVerdict> = workload
        .statements
        .iter()
        .filter_map(|statement| verdict(statement, moved, layer, major, offered))
        .collect();
    verdicts
        .sort_by(|a, b| (a.breaks.is_empty(), b.calls, &a.id).cmp(&(b.breaks.is_empty(), a.calls, &b.id)));
    verdicts
}

fn verdict(
    statement: &Statement,
    moved: &MovedNames,
    layer: Layer,
    major: u32,
    offered: &[Layer],
) -> Option<StatementVerdict> {
    let fates = judge(layer, major, statement, moved);
    if fates.is_empty() {
        return None;
    }
    let (mut breaks, mut differs) = (Vec::new(), Vec::new());
    for fate in fates {
        match fate {
            Fate::Breaks(reason) => breaks.push(reason),
            Fate::Differs(reason) => differs.push(reason),
            Fate::Carried => {}
        }
    }
    let others = offered.iter().filter(|other| **other != layer);
    let tables = statement.tables.iter().map(|used| &used.table).filter(|name| moved.tables.contains(name));
    let sequences = statement.sequences.iter().filter(|name| moved.sequences.contains(name));
    let mut objects: Vec<QualifiedName> = tables.chain(sequences).cloned().collect();
    objects.sort();
    objects.dedup();
    Some(StatementVerdict {
        id: statement.id.clone(),
        text: statement.text.clone(),
        role: statement.role.clone(),
        calls: statement.calls,
        objects,
        breaks,
        differs,
        carried_by: others
            .filter(|other| judge(**other, major, statement, moved).is_empty())
            .copied()
            .collect(),
    })
}

/// Transactions that write to what moves and to what stays, the most frequent first: after the switch their two parts
/// are committed one after the other.
pub fn spanning<'w>(workload: &'w Workload, moved: &MovedNames) -> Vec<&'w Transaction> {
    let is_moved = |name: &QualifiedName| moved.tables.contains(name);
    let spans = |transaction: &&Transaction| {
        let (inside, outside): (Vec<_>, Vec<_>) = transaction.written.iter().partition(|name| is_moved(name));
        !inside.is_empty() && !outside.is_empty()
    };
    let mut found: Vec<&Transaction> = workload.transactions.iter().filter(spans).collect();
    found.sort_by(|a, b| (b.count, &a.written).cmp(&(a.count, &b.written)));
    found
}
