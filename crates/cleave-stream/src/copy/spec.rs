//! What to copy.

use super::LoadLimits;
use crate::Cancelled;
use cleave_journal::Lease;
use cleave_model::{Ident, Lsn, Oid, QualifiedName, RangeType, ServiceName};
use cleave_pg::Endpoint;
use std::time::Duration;

/// Tables to be read in a snapshot of the source and stored on the target.
#[derive(Clone, Debug)]
pub struct CopySpec {
    /// Whose tables they are; part of the workers' origins.
    pub service: ServiceName,
    /// Key in `cleave.copied`: `labels::stream(service, Direction::Forward)`.
    pub stream: String,
    /// Where they are read.
    pub source: Endpoint,
    /// Where they are stored.
    pub target: Endpoint,
    /// Leaf tables: of a partitioned table each partition.
    pub tables: Vec<CopyTable>,
    /// At which point they are read.
    pub snapshot: SnapshotSource,
    /// Pieces of tables, and then indexes, in work at the same time; each takes a session on both sides. At least 1.
    pub jobs: usize,
    /// A table of at least four times this size is read in chunks of about this size.
    pub chunk_bytes: u64,
    /// Bytes per second of all workers together.
    pub bytes_per_second_max: Option<u64>,
    /// While one of the servers is beyond these limits, all workers wait.
    pub load: LoadLimits,
    /// When the tables that are still untouched are read in a new snapshot.
    pub renewal: Option<SnapshotRenewal>,
    /// The target's lease.
    pub lease: Lease,
    /// Asked to stop.
    pub cancelled: Cancelled,
}

/// One table.
#[derive(Clone, Debug)]
pub struct CopyTable {
    /// On the source; the key in `cleave.copied`.
    pub source_oid: Oid,
    /// Present name on the source.
    pub source_name: QualifiedName,
    /// Present name on the target.
    pub target_name: QualifiedName,
    /// Columns to carry, without generated ones: name on the source, name on the target.
    pub columns: Vec<(Ident, Ident)>,
    /// How values travel.
    pub format: CopyFormat,
    /// Expected size in bytes, for order and progress.
    pub bytes_estimate: u64,
    /// Set for a giant: it is read in ranges of its key.
    pub ranges: Option<CopyRanges>,
    /// `search_path` for building its indexes.
    pub search_path: String,
    /// Built when the rows are there, several at a time.
    pub indexes: Vec<CopyIndex>,
}

/// By what a giant is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRanges {
    /// The first column of its primary key, on the source.
    pub column: Ident,
    /// Its type.
    pub kind: RangeType,
    /// About so much is in a range.
    pub bytes: u64,
}

/// An index, and the constraint that it may become.
#[derive(Clone, Debug)]
pub struct CopyIndex {
    /// Its name. If the table has a valid one of that name, it is taken as built.
    pub name: Ident,
    /// A single statement that makes it.
    pub create: String,
    /// A single statement that makes it a constraint, run when all indexes of the table are built.
    pub constraint: Option<String>,
}

/// The format of `COPY` on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// Any two versions, any type.
    Text,
    /// Only where every column's type has the same binary form on both sides.
    Binary,
}

impl CopyFormat {
    pub(super) fn as_sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }
}

/// How long a snapshot may hold back the source's vacuum.
#[derive(Clone, Debug)]
pub struct SnapshotRenewal {
    /// In a snapshot of this age no further table is begun.
    pub age: Duration,
    /// Name of the temporary slots that export the next ones; each puts a number behind it.
    pub slot: String,
}

/// Where the first snapshot comes from.
#[derive(Clone, Debug)]
pub enum SnapshotSource {
    /// Exported by a session that the caller keeps open until the copy has reported
    /// [`CopyProgress::snapshot_taken`](super::CopyProgress).
    Given {
        /// Its name.
        name: String,
        /// Changes committed before it are in the snapshot, later ones are not.
        consistent_point: Lsn,
    },
    /// Exported by a temporary slot made for this copy.
    TemporarySlot {
        /// The slot's name.
        name: String,
    },
}
