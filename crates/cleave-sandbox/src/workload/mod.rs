//! The workload writer: connections that keep writing while tables move, as applications do, and a record of what
//! the servers acknowledged.

mod latencies;
mod record;
mod script;
mod token;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub use self::latencies::Latencies;
use self::record::Recorder;
pub use self::record::{ErrorSample, Lap, Record};
pub use self::script::{Endpoint, MalformedStatement, Random, Script, Session, SqlScript};
pub use self::token::{Kind, RunId, Token};
use self::writer::{Shared, Writer, open};
use crate::Error;

/// How a workload writes.
#[derive(Clone, Debug)]
pub struct Pace {
    /// How many connections write, at least 1.
    pub connections: u32,
    /// Transactions per second of all connections together; `None` is as fast as they can.
    pub rate: Option<u32>,
    /// How long an answer may take before the connection counts as lost. It must exceed the longest pause that
    /// applications have to bear.
    pub patience: Duration,
    /// Where the random choices start.
    pub seed: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { connections: 4, rate: Some(100), patience: Duration::from_secs(60), seed: 1 }
    }
}

/// A running workload. Dropping it ends its connections at once, without a record.
#[derive(Debug)]
pub struct Workload {
    shared: Arc<Shared>,
    endpoints: Vec<watch::Sender<Endpoint>>,
    stop: watch::Sender<bool>,
    writers: JoinSet<()>,
}

impl Workload {
    /// Opens all connections to the endpoint and starts to write.
    ///
    /// # Errors
    /// When a connection cannot be made. Connections that are lost later are made anew, as long as it takes.
    pub async fn start<S: Script>(endpoint: &Endpoint, script: S, pace: &Pace) -> Result<Self, Error> {
        let connections = pace.connections.max(1);
        let shared = Arc::new(Shared {
            recorder: Recorder::default(),
            run: RunId::random(),
            tokens: AtomicU64::new(0),
            rate: AtomicU64::new(pace.rate.unwrap_or(0).into()),
            connections,
            patience: pace.patience,
        });
        let script = Arc::new(script);
        let (stop, stop_seen) = watch::channel(false);
        let (mut endpoints, mut writers) = (Vec::new(), Vec::new());
        for number in 0..connections {
            let session = open(endpoint, pace.patience).await?;
            let (sender, receiver) = watch::channel(endpoint.clone());
            endpoints.push(sender);
            writers.push(Writer {
                shared: Arc::clone(&shared),
                script: Arc::clone(&script),
                endpoint: receiver,
                stop: stop_seen.clone(),
                random: Random::with_seed(pace.seed.wrapping_add(number.into())),
                session: Some(session),
                next: Instant::now(),
            });
        }
        // Turns are spread evenly, or all connections would write at the same moments.
        let spread = Duration::from_secs(1) / pace.rate.unwrap_or(1).max(1);
        let begin = Instant::now();
        for (writer, number) in writers.iter_mut().zip(0..) {
            writer.next = begin + spread * number;
        }
        let writers = writers.into_iter().map(Writer::write).collect();
        Ok(Self { shared, endpoints, stop, writers })
    }

    /// Which tokens are this workload's.
    pub fn run(&self) -> RunId {
        self.shared.run
    }

    /// Changes the rate: transactions per second of all connections together; `None` is as fast as they can.
    pub fn set_rate(&self, rate: Option<u32>) {
        self.shared.rate.store(rate.unwrap_or(0).into(), Ordering::Relaxed);
    }

    /// Moves one connection, counted from 0, to another endpoint, after the transaction that it is in. A number
    /// beyond the last connection changes nothing.
    pub fn repoint(&self, connection: usize, endpoint: &Endpoint) {
        if let Some(sender) = self.endpoints.get(connection) {
            sender.send_replace(endpoint.clone());
        }
    }

    /// Moves all connections to another endpoint, each after the transaction that it is in.
    pub fn repoint_all(&self, endpoint: &Endpoint) {
        (0..self.endpoints.len()).for_each(|connection| self.repoint(connection, endpoint));
    }

    /// What happened since the start, with a pause that still lasts.
    pub fn total(&self) -> Lap {
        self.shared.recorder.total()
    }

    /// What happened since the last call of this, or since the start. A pause over the end of a lap counts in both.
    pub fn lap(&self) -> Lap {
        self.shared.recorder.lap()
    }

    /// Waits until so many more commits have been acknowledged; false if that takes longer than the limit.
    pub async fn wait_for(&self, commits: u64, limit: Duration) -> bool {
        let wanted = self.shared.recorder.acknowledged_count() + commits;
        let deadline = Instant::now() + limit;
        while self.shared.recorder.acknowledged_count() < wanted {
            if Instant::now() > deadline {
                return false;
            }
            sleep(Duration::from_millis(2)).await;
        }
        true
    }

    /// Lets every connection finish its transaction and returns the record.
    ///
    /// # Errors
    /// When a script panicked: then nothing can be said about its transaction.
    pub async fn stop(mut self) -> Result<Record, Error> {
        self.shared.recorder.stopping();
        self.stop.send_replace(true);
        while let Some(ended) = self.writers.join_next().await {
            ended.map_err(Error::Script)?;
        }
        Ok(self.shared.recorder.take())
    }
}
