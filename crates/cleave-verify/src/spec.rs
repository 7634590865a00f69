//! What is to be compared, and with what limits.

use crate::{Checkpoints, Difference, LoadLimits, VerifyError};
use cleave_model::{Ident, QualifiedName};
use cleave_pg::Endpoint;
use std::{fmt, pin::Pin, sync::Arc, time::Duration};

/// A future that owns what it needs.
pub type BoxedFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Waits until the follower has caught up: called at an instant, it returns once everything that the home committed
/// before that instant is visible on the follower. An error ends the comparison; a stream that has stopped is
/// [`VerifyError::StreamStopped`].
pub type Settle = Arc<dyn Fn() -> BoxedFuture<Result<(), VerifyError>> + Send + Sync>;

/// Is told every difference as soon as it is proven, and every row that is left unproven.
pub type Found = Arc<dyn Fn(&VerifyTable, &Difference) + Send + Sync>;

/// One comparison.
pub struct VerifySpec {
    /// The database that is the system of record.
    pub home: Endpoint,
    /// The database that follows it.
    pub follower: Endpoint,
    /// What to compare.
    pub tables: Vec<VerifyTable>,
    /// Tables compared at a time, at least one. Each takes two connections on each side.
    pub jobs: usize,
    /// See [`Settle`].
    pub settle: Settle,
    /// Bounds of what is tried and kept.
    pub limits: VerifyLimits,
    /// See [`Found`]; for lists that are longer than what is kept.
    pub found: Option<Found>,
    /// How far an earlier comparison has come, and who keeps how far this one has.
    pub checkpoints: Checkpoints,
    /// Ready when the comparison shall stop; running statements are then cancelled.
    pub cancel: BoxedFuture<()>,
}

/// A table on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyTable {
    /// Its name on the home.
    pub home_name: QualifiedName,
    /// Its name on the follower.
    pub follower_name: QualifiedName,
    /// The columns to compare, each by its name on the home and on the follower.
    pub columns: Vec<(Ident, Ident)>,
    /// The columns that tell rows apart, as indexes into `columns`. Without a key (and where a key column may be
    /// null) the rows are compared as a multiset.
    pub key: Option<Vec<usize>>,
    /// The rows of the home that count, as an SQL condition on them; without, all.
    pub home_where: Option<String>,
    /// The same on the follower.
    pub follower_where: Option<String>,
    /// What it is called where several comparisons are of one table of the home; without, as that table.
    pub title: Option<String>,
}

impl VerifyTable {
    /// All rows of two tables with the same columns.
    pub fn whole(
        home_name: QualifiedName,
        follower_name: QualifiedName,
        columns: Vec<(Ident, Ident)>,
        key: Option<Vec<usize>>,
    ) -> Self {
        Self { home_name, follower_name, columns, key, home_where: None, follower_where: None, title: None }
    }

    /// What it is called: no two tables of a comparison by the same name.
    pub fn title(&self) -> String {
        self.title.clone().unwrap_or_else(|| self.home_name.to_string())
    }
}

/// Bounds of what a comparison tries and keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyLimits {
    /// How often a row that differs is read again before it counts as unproven; at least two.
    pub rounds: u32,
    /// Differences listed per table, and as many unproven rows; the others are counted only.
    pub differences_kept: usize,
    /// True if the values of rows that differ are wanted.
    pub values: bool,
    /// A table that takes more is read in parts where an index gives it an order: the first of about a fourth of this, the
    /// others as large as they can be read in a third of `snapshot`.
    pub scan_bytes: u64,
    /// Rows read per second by each of the tables under way, where they can be read in parts; without, as fast as the
    /// servers give them.
    pub rows_per_second_max: Option<u64>,
    /// How long a statement, and with it its snapshot, may last on either side. The servers see to it.
    pub snapshot: Duration,
    /// What the home must not exceed while a part is begun.
    pub load: LoadLimits,
}

/// Read in some ten seconds from a disk that gives 100 MB a second.
const SCAN_BYTES: u64 = 1 << 30;

const SNAPSHOT: Duration = Duration::from_secs(30);

impl Default for VerifyLimits {
    fn default() -> Self {
        Self {
            rounds: 20,
            differences_kept: 100,
            values: false,
            scan_bytes: SCAN_BYTES,
            rows_per_second_max: None,
            snapshot: SNAPSHOT,
            load: LoadLimits::default(),
        }
    }
}

impl fmt::Debug for VerifySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifySpec")
            .field("home", &self.home)
            .field("follower", &self.follower)
            .field("tables", &self.tables)
            .field("jobs", &self.jobs)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
