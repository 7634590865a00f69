//! What an engine says about itself while it runs: for probes and metrics, which must not ask the databases for it.

use cleave_api::{Problem, StreamDirection};
use cleave_model::{DatabaseName, ServiceName};
use cleave_stream::{FollowState, FollowStatus};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How often an engine that waits for something says that it is alive.
const BEAT: Duration = Duration::from_secs(1);

/// What the engine does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It connects and takes up what is there.
    Starting,
    /// No service has an open move: it looks for one now and then.
    Idle,
    /// It cannot work, and tries again.
    Waiting(Box<Problem>),
    /// It holds the leases and keeps the streams going.
    Running,
    /// It was told to stop.
    Stopping,
}

impl Phase {
    /// In a word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Waiting(_) => "waiting",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

/// The engine at one moment.
#[derive(Clone, Debug)]
pub struct Beat {
    /// What it does.
    pub phase: Phase,
    /// When it last said so.
    pub at: Instant,
    /// When it began.
    pub since: Instant,
    /// The databases whose leases it holds.
    pub leases: Vec<DatabaseName>,
    /// Its services' streams.
    pub streams: BTreeMap<ServiceName, Vec<StreamBeat>>,
    /// How often it began anew after something had failed.
    pub restarts: u64,
}

/// One stream at one moment.
#[derive(Clone, Debug)]
pub struct StreamBeat {
    /// Which way it flows.
    pub direction: StreamDirection,
    /// Its report.
    pub status: FollowStatus,
}

impl StreamBeat {
    /// True if it was stopped by an error that reconnecting does not cure.
    pub fn has_failed(&self) -> bool {
        self.status.state == FollowState::Failed
    }
}

/// Where an engine writes what it does, and probes read it. Clones share it.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<watch::Sender<Beat>>);

impl Default for Pulse {
    fn default() -> Self {
        let now = Instant::now();
        Self(Arc::new(watch::Sender::new(Beat {
            phase: Phase::Starting,
            at: now,
            since: now,
            leases: Vec::new(),
            streams: BTreeMap::new(),
            restarts: 0,
        })))
    }
}

impl Pulse {
    /// The engine now.
    pub fn beat(&self) -> Beat {
        self.0.borrow().clone()
    }

    /// Waits until the engine does its work for the first time; never returns if it does not.
    pub async fn running(&self) {
        let mut beats = self.0.subscribe();
        if beats.wait_for(|beat| beat.phase == Phase::Running).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Beat)) {
        self.0.send_modify(|beat| {
            change(beat);
            beat.at = Instant::now();
        });
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.change(|beat| {
            if phase != Phase::Running {
                beat.leases.clear();
                beat.streams.clear();
            }
            beat.phase = phase;
        });
    }

    /// Runs something that has limits of its own, and says meanwhile that the process is alive.
    pub(crate) async fn during<F: Future>(&self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                () = tokio::time::sleep(BEAT) => self.change(|_| ()),
            }
        }
    }
}
