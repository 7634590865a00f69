//! What becomes of a change of a giant whose ranges start at different positions. Pure.
//!
//! Kept true after each transaction, for each key: what the target has under it is what the source has under it by the
//! transactions that its copy has seen, and by those that were applied (docs/design/copy.md, "Giants").

use super::seen::Seen;
use crate::StreamError;
use bytes::Bytes;
use cleave_journal::Ends;
use cleave_model::{Ident, Lsn, RangeType, RangeValue};
use cleave_proto::pgoutput::{Cell, Change, Relation, ReplicaIdentity, Tuple, Xid};
use std::{collections::HashMap, sync::Arc};

/// What to do with a change.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is of a table that is no giant, or of one whose start positions have all been passed.
    Plain(Change),
    /// It is in the copy.
    Drop,
    /// To be applied; it may be another than came.
    Apply(Change),
    /// The row of this key is not on the target, and the change does not have all its values.
    Missing(RowKey),
}

/// A row's key in the form that the source sent it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowKey {
    /// In the order of the table's columns.
    pub(crate) cells: Vec<Cell>,
}

/// Beside the bytes of a key that is remembered.
const ROW_OVERHEAD_BYTES: usize = 100;

const TEXT: u8 = b't';
const BINARY: u8 = b'b';

impl RowKey {
    /// The form of its values, then each with its length: as it is stored, and looked up.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let form = match self.cells.first()? {
            Cell::Binary(_) => BINARY,
            _ => TEXT,
        };
        let mut bytes = vec![form];
        for cell in &self.cells {
            let (Cell::Text(value) | Cell::Binary(value)) = cell else { return None };
            bytes.extend(u32::try_from(value.len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(value);
        }
        Some(bytes)
    }

    /// What [`encode`](Self::encode) has made.
    pub(crate) fn decode(encoded: &[u8]) -> Option<Self> {
        let (form, mut rest) = encoded.split_first()?;
        let mut cells = Vec::new();
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            let (value, behind) =
                behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
            let value = Bytes::copy_from_slice(value);
            cells.push(if *form == BINARY { Cell::Binary(value) } else { Cell::Text(value) });
            rest = behind;
        }
        Some(Self { cells })
    }
}

/// A transaction of the source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Commit {
    /// Where its commit record starts.
    pub(crate) lsn: Lsn,
    pub(crate) xid: Xid,
}

/// How a row was read by itself.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    /// Nothing that committed there or behind is seen.
    pub(crate) start: Lsn,
    pub(crate) seen: Arc<Seen>,
}

impl Late {
    fn is_behind(&self, commit: Commit) -> bool {
        commit.lsn < self.start && self.seen.sees(commit.xid)
    }
}

/// A range's upper end, none for the last, and its start position.
#[derive(Debug)]
struct Range {
    upper: Option<RangeValue>,
    ends: Ends,
    start: Lsn,
}

/// Where the columns of the key are in a relation's tuples.
#[derive(Debug)]
struct Places {
    relation: Arc<Relation>,
    key: Vec<usize>,
    range: usize,
}

/// A giant: where each of its keys starts.
#[derive(Debug)]
pub(crate) struct Giant {
    column: Ident,
    kind: RangeType,
    /// In the order of keys.
    ranges: Vec<Range>,
    /// Keys that start where they were read by themselves, later than their range.
    rows: HashMap<Vec<u8>, Late>,
    /// The form of their values: the first byte of each.
    form: Option<u8>,
    row_bytes: usize,
    until: Lsn,
    places: Option<Places>,
}

impl Giant {
    /// From what the journal says of its ranges and rows; the table as the source calls it, for errors.
    pub(crate) fn new(
        column: &str,
        kind: &str,
        ranges: impl IntoIterator<Item = (Ends, Lsn)>,
    ) -> Result<Self, String> {
        let kind = RangeType::parse(kind).ok_or_else(|| format!("type {kind} is not known"))?;
        let mut known = Vec::new();
        for (ends, start) in ranges {
            let upper = match &ends.upper {
                None => None,
                Some(text) => {
                    Some(kind.from_text(text).ok_or_else(|| "an end of a range cannot be read".to_owned())?)
                }
            };
            known.push(Range { upper, ends, start });
        }
        let ordered = known.windows(2).all(|pair| match (&pair[0].upper, &pair[1].upper) {
            (Some(one), Some(next)) => one < next,
            (one, _) => one.is_some(),
        });
        if !ordered || known.last().is_none_or(|last| last.upper.is_some()) {
            return Err("its ranges do not follow each other".to_owned());
        }
        let until = known.iter().map(|range| range.start).max().unwrap_or_default();
        let column = Ident::new(column);
        Ok(Self {
            column,
            kind,
            ranges: known,
            rows: HashMap::new(),
            form: None,
            row_bytes: 0,
            until,
            places: None,
        })
    }

    /// A key starts where it was read by itself.
    pub(crate) fn starts(&mut self, key: Vec<u8>, late: Late) {
        self.until = self.until.max(late.start);
        self.form = key.first().copied();
        self.row_bytes += key.len() + ROW_OVERHEAD_BYTES;
        self.rows.insert(key, late);
    }

    /// The latest of the start positions: changes that committed there or behind are as those of any table.
    pub(crate) fn until(&self) -> Lsn {
        self.until
    }

    /// Memory that its rows take, about.
    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The column whose values are in ranges, on the source.
    pub(crate) fn column(&self) -> &Ident {
        &self.column
    }

    /// What is to be done with a change of a transaction.
    pub(crate) fn judge(
        &mut self,
        relation: &Arc<Relation>,
        commit: Commit,
        change: Change,
    ) -> Result<Verdict, StreamError> {
        self.look_at(relation)?;
        let (old, new) = match &change {
            Change::Insert { new } => (None, Some(self.key(new, None))),
            Change::Delete { old } => (Some(self.key(old.tuple(), None)), None),
            Change::Update { old, new } => {
                let before = old.as_ref().map(|old| old.tuple());
                (before.map(|tuple| self.key(tuple, None)), Some(self.key(new, before)))
            }
        };
        let is_new = |key: &Option<RowKey>| match key {
            None => Ok(None),
            Some(key) => self.is_in_copy(relation, key, commit).map(|is_in| Some(!is_in)),
        };
        let (old_is_new, new_is_new) = (is_new(&old)?, is_new(&new)?);
        Ok(match (old_is_new, new_is_new) {
            (Some(true), Some(false)) => match change {
                Change::Update { old: Some(old), .. } => Verdict::Apply(Change::Delete { old }),
                _ => Verdict::Drop,
            },
            (Some(false), Some(true)) => match (change, new) {
                (Change::Update { new: tuple, .. }, Some(key)) => missing(tuple, key),
                _ => Verdict::Drop,
            },
            (Some(true), _) | (None, Some(true)) => Verdict::Apply(change),
            (Some(false), _) | (None, _) => Verdict::Drop,
        })
    }

    /// Which ranges a truncate empties; none if it is the whole table.
    pub(crate) fn emptied(&self, commit: Commit) -> Option<Vec<&Ends>> {
        if commit.lsn >= self.until {
            return None;
        }
        Some(self.ranges.iter().filter(|range| commit.lsn >= range.start).map(|range| &range.ends).collect())
    }

    /// Rows that were read behind a truncate.
    pub(crate) fn rows_behind(&self, commit: Commit) -> Vec<RowKey> {
        let behind = self.rows.iter().filter(|(_, late)| late.is_behind(commit));
        behind.filter_map(|(key, _)| RowKey::decode(key)).collect()
    }

    fn look_at(&mut self, relation: &Arc<Relation>) -> Result<(), StreamError> {
        if self.places.as_ref().is_some_and(|places| Arc::ptr_eq(&places.relation, relation)) {
            return Ok(());
        }
        if relation.replica_identity != ReplicaIdentity::Default {
            return Err(changed(relation, "its replica identity is not its primary key any more"));
        }
        let columns = relation.columns.iter().enumerate();
        let key: Vec<usize> = columns.filter(|(_, column)| column.key).map(|(place, _)| place).collect();
        let range = key
            .iter()
            .copied()
            .find(|place| relation.columns.get(*place).is_some_and(|column| column.name == self.column));
        let Some(range) = range else {
            let problem = format!("its key has no column {} any more", self.column);
            return Err(changed(relation, problem));
        };
        self.places = Some(Places { relation: Arc::clone(relation), key, range });
        Ok(())
    }

    /// A value of the key that is stored out of line is not sent if it has not changed; the old row has it then.
    fn key(&self, tuple: &Tuple, old: Option<&Tuple>) -> RowKey {
        let at = |tuple: &Tuple, place: usize| tuple.cells.get(place).cloned();
        let cell = |place: &usize| match at(tuple, *place) {
            Some(Cell::Unchanged) => old.and_then(|old| at(old, *place)).unwrap_or(Cell::Unchanged),
            cell => cell.unwrap_or(Cell::Null),
        };
        RowKey { cells: self.places.iter().flat_map(|places| &places.key).map(cell).collect() }
    }

    /// True if what a transaction did to a key is in the copy of its range, or in its row that was read by itself.
    fn is_in_copy(&self, relation: &Relation, key: &RowKey, commit: Commit) -> Result<bool, StreamError> {
        let unreadable = || changed(relation, "a value of its key cannot be read");
        if !self.rows.is_empty() {
            let encoded = key.encode().ok_or_else(unreadable)?;
            if self.form.as_ref() != encoded.first() {
                return Err(changed(relation, "values come in another form than when rows of it were read"));
            }
            if let Some(late) = self.rows.get(&encoded) {
                return Ok(late.is_behind(commit));
            }
        }
        let places = self.places.as_ref().ok_or_else(unreadable)?;
        let at = places.key.iter().position(|place| *place == places.range).ok_or_else(unreadable)?;
        let value = match key.cells.get(at) {
            Some(Cell::Binary(bytes)) => self.kind.from_binary(bytes),
            Some(Cell::Text(bytes)) => {
                std::str::from_utf8(bytes).ok().and_then(|text| self.kind.from_text(text))
            }
            _ => None,
        };
        let value = value.ok_or_else(unreadable)?;
        let below = |range: &Range| range.upper.as_ref().is_some_and(|upper| *upper <= value);
        let range = self.ranges.get(self.ranges.partition_point(below)).ok_or_else(unreadable)?;
        Ok(commit.lsn < range.start)
    }
}

/// A row that its old range no longer had when it was read, and its new one had not yet.
fn missing(new: Tuple, key: RowKey) -> Verdict {
    if new.cells.iter().any(|cell| matches!(cell, Cell::Unchanged)) {
        Verdict::Missing(key)
    } else {
        Verdict::Apply(Change::Insert { new })
    }
}

fn changed(relation: &Relation, problem: impl Into<String>) -> StreamError {
    StreamError::GiantChanged { table: relation.name.clone(), problem: problem.into() }
}

#[cfg(test)]
mod tests;
