//! What to copy.

use crate::Cancelled;
use cleave_journal::Lease;
use cleave_model::{Ident, Lsn, Oid, QualifiedName, ServiceName};
use cleave_pg::Endpoint;

/// Tables to be read in one snapshot of the source and stored on the target.
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
    /// Tables in work at the same time; each takes a session on both sides. At least 1.
    pub jobs: usize,
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

/// Where the snapshot comes from.
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
