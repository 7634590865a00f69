//! What a stream tells about itself.

use crate::StreamError;
use cleave_model::Lsn;
use cleave_pg::slots::Slot;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::watch;

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FollowState {
    /// Connecting, checking.
    #[default]
    Connecting,
    /// Reading and applying.
    Following,
    /// A change waits until it is known which side is the home.
    Held,
    /// Waiting to reconnect after the last error.
    Retrying,
    /// Stopped on request.
    Stopped,
    /// Stopped by the last error, which reconnecting does not cure.
    Failed,
}

/// Counts since the stream was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowCounters {
    /// Source transactions applied.
    pub transactions: u64,
    /// Target transactions committed.
    pub batches: u64,
    /// Row changes applied.
    pub rows: u64,
    /// Bytes of changes applied.
    pub bytes: u64,
    /// Connections lost and made again.
    pub reconnects: u64,
    /// Changes of columns made on the target.
    pub reshaped: u64,
}

/// A stream's report, replaced as a whole at each change.
#[derive(Clone, Debug, Default)]
pub struct FollowStatus {
    /// Where it is in its life.
    pub state: FollowState,
    /// What the target has durably applied.
    pub position: Option<Lsn>,
    /// The last markers that the target has durably applied, the newest last: whoever waits for one must find it even
    /// if another comes at once.
    pub markers: VecDeque<String>,
    /// Whether the owner row named the source as home, when last looked at.
    pub armed: Option<bool>,
    /// The last error; cleared when following again.
    pub last_error: Option<Arc<StreamError>>,
    /// Counts.
    pub counters: FollowCounters,
    /// Transactions of which a part is here while they are in progress on the source.
    pub in_progress: usize,
    /// Bytes that are kept of them.
    pub in_progress_bytes: u64,
    /// Bytes of log between what is applied and the end of the source's log, when the source last spoke.
    pub lag_bytes: u64,
    /// Age of the last applied commit while changes wait, by the source's clock; 0 when none waits.
    pub lag_ms: u64,
    /// The slot as the source sees it, looked at every 5 s.
    pub slot: Option<Slot>,
}

/// Markers remembered in the report.
const MARKERS_MAX: usize = 64;

impl FollowStatus {
    /// Remembers a marker, unless it is the last one already.
    pub(crate) fn marker_applied(&mut self, marker: String) {
        if self.markers.back() == Some(&marker) {
            return;
        }
        if self.markers.len() == MARKERS_MAX {
            self.markers.pop_front();
        }
        self.markers.push_back(marker);
    }

    /// True if this marker is durably applied.
    pub fn has_marker(&self, marker: &str) -> bool {
        self.markers.iter().any(|applied| applied == marker)
    }
}

/// Who writes the report.
#[derive(Clone, Debug)]
pub(crate) struct Reporter(watch::Sender<FollowStatus>);

impl Reporter {
    pub(crate) fn new() -> (Self, watch::Receiver<FollowStatus>) {
        let (sender, receiver) = watch::channel(FollowStatus::default());
        (Self(sender), receiver)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut FollowStatus)) {
        self.0.send_modify(change);
    }
}
