//! Giants of a stream: tables whose ranges were copied in different snapshots, until the stream has passed them all.
//!
//! - `filter`: what becomes of a change, by the start position of its key.
//! - `late`: rows that are read at the source by themselves; `seen`: what their snapshots see.

mod filter;
mod late;
mod seen;

pub(super) use filter::{RowKey, Verdict};

use super::table::TargetTable;
use crate::{FollowSpec, StreamError, copy::condition};
use cleave_journal::{CopiedRow, Ends, Shape, copied_rows, key_ranges};
use cleave_model::{Ident, Lsn, Oid};
use cleave_proto::pgoutput::{Change, Relation, Tuple, Xid};
use filter::{Commit, Giant, Late};
use late::{LateRows, Read};
use seen::Seen;
use std::{collections::HashMap, sync::Arc};
use tokio_postgres::Client;

/// Memory for keys of rows that were read by themselves, per giant: about a million.
const ROW_BYTES_MAX: usize = 128 << 20;

/// The giants that the stream has not passed yet. Empty most of the time.
#[derive(Debug)]
pub(super) struct Giants {
    giants: HashMap<Oid, Giant>,
    /// The transaction that is being read.
    current: Commit,
    late: LateRows,
    /// Rows that were read and are to be recorded with the batch.
    unrecorded: Vec<CopiedRow>,
}

impl Giants {
    /// As the journal has them, for a stream that goes on at `position`.
    pub(super) async fn load(
        client: &Client,
        spec: &Arc<FollowSpec>,
        position: Lsn,
    ) -> Result<Self, StreamError> {
        let stream = spec.whole_stream();
        let mut ranges: HashMap<Oid, Vec<_>> = HashMap::new();
        for range in key_ranges(client, &stream).await? {
            ranges.entry(range.division.source_oid).or_default().push(range);
        }
        let mut rows = copied_rows(client, &stream, position).await?;
        let mut snapshots: HashMap<String, Arc<Seen>> = HashMap::new();
        let mut giants = HashMap::new();
        for (oid, ranges) in ranges {
            // A stream begins when all is copied.
            let Some(division) = ranges.first().map(|range| range.division.clone()) else { continue };
            let ranges = ranges.into_iter().map(|range| (range.ends, range.start.unwrap_or(Lsn(u64::MAX))));
            let giant = Giant::new(&division.key_column, &division.key_type, ranges);
            let mut giant =
                giant.map_err(|problem| StreamError::RouteInvalid { source_oid: oid, problem })?;
            for row in rows.extract_if(.., |row| row.source_oid == oid) {
                let seen = match snapshots.get(&row.seen) {
                    Some(seen) => Arc::clone(seen),
                    None => {
                        let seen = Seen::parse(&row.seen).map(Arc::new);
                        let seen = seen.ok_or_else(|| StreamError::RouteInvalid {
                            source_oid: oid,
                            problem: "a snapshot of its rows cannot be read".to_owned(),
                        })?;
                        snapshots.insert(row.seen, Arc::clone(&seen));
                        seen
                    }
                };
                giant.starts(row.key, Late { start: row.start, seen });
            }
            if giant.until() > position {
                giants.insert(oid, giant);
            }
        }
        Ok(Self {
            giants,
            current: Commit::default(),
            late: LateRows::new(Arc::clone(spec)),
            unrecorded: Vec::new(),
        })
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self, commit_lsn: Lsn, xid: Xid) {
        self.current = Commit { lsn: commit_lsn, xid };
    }

    /// What is to be done with a change of it.
    pub(super) fn judge(&mut self, relation: &Arc<Relation>, change: Change) -> Result<Verdict, StreamError> {
        if self.giants.is_empty() {
            return Ok(Verdict::Plain(change));
        }
        let current = self.current;
        match self.giants.get_mut(&relation.oid).filter(|giant| current.lsn < giant.until()) {
            Some(giant) => giant.judge(relation, current, change),
            None => Ok(Verdict::Plain(change)),
        }
    }

    /// Reads the row that the source has under a key, whose changes start where it is read from now on. `known` is what the
    /// table looks like at this place of the stream.
    pub(super) async fn read(
        &mut self,
        relation: &Arc<Relation>,
        known: Option<&Shape>,
        key: &RowKey,
    ) -> Result<Option<Tuple>, StreamError> {
        let Read { late, text, row } = self.late.read((relation, known), key, self.current.xid).await?;
        let start = late.start;
        let encoded = key.encode().ok_or_else(|| StreamError::GiantChanged {
            table: relation.name.clone(),
            problem: "a value of its key cannot be read".to_owned(),
        })?;
        if let Some(giant) = self.giants.get_mut(&relation.oid) {
            giant.starts(encoded.clone(), late);
            if giant.row_bytes() > ROW_BYTES_MAX {
                return Err(StreamError::GiantRestless { table: relation.name.clone() });
            }
        }
        self.unrecorded.push(CopiedRow { source_oid: relation.oid, key: encoded, start, seen: text });
        Ok(row)
    }

    /// How a truncate of a table is not one of the whole table.
    pub(super) fn truncated(&self, relation: &Relation) -> Option<Emptied> {
        let giant = self.giants.get(&relation.oid)?;
        let ranges = giant.emptied(self.current)?.into_iter().cloned().collect();
        Some(Emptied { column: giant.column().clone(), ranges, kept: giant.rows_behind(self.current) })
    }

    /// What the batch has to record.
    pub(super) fn take_unrecorded(&mut self) -> Vec<CopiedRow> {
        std::mem::take(&mut self.unrecorded)
    }

    /// True once the stream has passed all ranges: nothing is judged, read or recorded any more.
    pub(super) fn is_empty(&self) -> bool {
        self.giants.is_empty() && self.unrecorded.is_empty()
    }

    /// The stream has come to that position.
    pub(super) fn passed(&mut self, position: Lsn) {
        if !self.giants.is_empty() {
            self.giants.retain(|_, giant| giant.until() > position);
            self.late.rest(!self.giants.is_empty());
        }
    }
}

/// A truncate of a part of a giant.
#[derive(Debug)]
pub(super) struct Emptied {
    /// The column on the source whose values are in ranges.
    pub(super) column: Ident,
    /// The ranges that it empties.
    pub(super) ranges: Vec<Ends>,
    /// Rows in them that were read later, and to be read again.
    pub(super) kept: Vec<RowKey>,
}

impl Emptied {
    /// What does it at the target.
    pub(super) fn statements(&self, relation: &Relation, table: &TargetTable) -> Result<String, StreamError> {
        let routed = table.route.columns.iter().find(|routed| routed.source_name == self.column);
        let Some(routed) = routed else {
            let problem = format!("its column {} is not followed any more", self.column);
            return Err(StreamError::GiantChanged { table: relation.name.clone(), problem });
        };
        let name = table.name.quoted();
        let delete =
            |ends: &Ends| format!("delete from only {name} where {}", condition(&routed.target_name, ends));
        Ok(self.ranges.iter().map(delete).collect::<Vec<_>>().join("; "))
    }
}
