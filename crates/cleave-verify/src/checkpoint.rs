//! How far a comparison has come, kept by the caller, so that one whose process died goes on where it was.

use crate::{VerifyError, VerifyTable, spec::BoxedFuture};
use std::{collections::BTreeMap, sync::Arc};

/// Stores how far a table has come; called after each part, in order. What it stores holds values of the table's key.
pub type Keep = Arc<dyn Fn(&VerifyTable, Reached) -> BoxedFuture<Result<(), VerifyError>> + Send + Sync>;

/// What is kept, and what an earlier comparison of the same tables has kept, by their titles.
#[derive(Clone, Default)]
pub struct Checkpoints {
    /// Taken up.
    pub reached: BTreeMap<String, Reached>,
    /// See [`Keep`].
    pub keep: Option<Keep>,
}

/// The beginning of a table in which every row is proven to be the same on both sides. Parts from the first one on that
/// is not are read again, so that what differs is told by the comparison that ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The columns in whose order the table is read.
    pub order: Vec<String>,
    /// The last row's values of them; none where all of the table is done.
    pub up_to: Option<Vec<String>>,
    /// The same as the follower sorts, where it may sort otherwise: the greatest of all parts' ends.
    pub follower_up_to: Option<Vec<String>>,
    /// True if all of the table is.
    pub done: bool,
    /// Rows of the home in it.
    pub rows: u64,
    /// Of these, rows that were read again.
    pub rechecked: u64,
}
