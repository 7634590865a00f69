//! One connection of the workload: connects, paces itself, runs transactions, and knows how each of them ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::{Severity, SqlState};

use super::record::Recorder;
use super::script::{Endpoint, Random, Script, Session};
use super::token::{Kind, RunId, Token};
use crate::{Error, connect};

/// How often one transaction is repeated after 40001 or 40P01 before it counts as refused.
const RETRIES_MAX: u32 = 100;

/// Waits between repetitions and between attempts to connect, doubled up to the second value, with jitter.
const RETRY_BACKOFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
const CONNECT_BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// How far a connection may lag behind its rate and still catch up: after a pause there is no burst.
const BACKLOG: Duration = Duration::from_millis(100);

/// What all connections of a workload share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) recorder: Recorder,
    pub(super) run: RunId,
    pub(super) tokens: AtomicU64,
    /// Transactions per second of the whole workload; 0 is without limit.
    pub(super) rate: AtomicU64,
    pub(super) connections: u32,
    pub(super) patience: Duration,
}

pub(super) struct Writer<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) script: Arc<S>,
    pub(super) endpoint: watch::Receiver<Endpoint>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) random: Random,
    pub(super) session: Option<Session>,
    pub(super) next: Instant,
}

/// How one attempt ended.
enum Outcome {
    Acknowledged(Kind),
    /// It certainly did not commit.
    Failed {
        error: Failure,
        /// The connection can be used again.
        usable: bool,
    },
    Unknown(Kind, Failure),
}

enum Failure {
    Database(tokio_postgres::Error),
    /// The server did not answer in time, or the script hid an error: what happened, for the record.
    Other(&'static str, &'static str),
}

impl Failure {
    fn code(&self) -> &str {
        match self {
            Self::Database(error) => error.code().map_or("connection", SqlState::code),
            Self::Other(code, _) => code,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Database(error) => {
                // The detail would contain row values.
                error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
            }
            Self::Other(_, message) => (*message).to_owned(),
        }
    }

    fn may_be_repeated(&self) -> bool {
        matches!(self.code(), "40001" | "40P01")
    }
}

impl<S: Script> Writer<S> {
    /// Writes until told to stop; a transaction that has begun is brought to its end.
    pub(super) async fn write(mut self) {
        while !*self.stop.borrow() {
            if self.endpoint.has_changed().unwrap_or(false) {
                self.session = None;
            }
            let Some(session) = self.session.take() else {
                self.session = self.reconnect().await;
                continue;
            };
            self.session = Some(session);
            if self.pace().await {
                self.transaction().await;
            }
        }
    }

    /// Connects, again and again until it works; `None` when the workload stops or moves before.
    async fn reconnect(&mut self) -> Option<Session> {
        let endpoint = self.endpoint.borrow_and_update().clone();
        let mut backoff = CONNECT_BACKOFF.0;
        loop {
            match open(&endpoint, self.shared.patience).await {
                Ok(session) => {
                    self.shared.recorder.reconnected();
                    return Some(session);
                }
                Err(error) => self.shared.recorder.error("connect", || shown(&error)),
            }
            tokio::select! {
                () = sleep(jitter(&mut self.random, backoff)) => {}
                _ = self.stop.changed() => return None,
                _ = self.endpoint.changed() => { self.endpoint.mark_changed(); return None },
            }
            backoff = (backoff * 2).min(CONNECT_BACKOFF.1);
        }
    }

    /// Waits for this connection's next turn; false when the workload stops before.
    async fn pace(&mut self) -> bool {
        let rate = self.shared.rate.load(Ordering::Relaxed);
        if rate == 0 {
            // Without a rate nothing else may ever wait on this task's thread.
            tokio::task::yield_now().await;
            return true;
        }
        let interval =
            Duration::from_secs(1) * self.shared.connections / u32::try_from(rate).unwrap_or(u32::MAX);
        let now = Instant::now();
        let earliest = now.checked_sub(BACKLOG).unwrap_or(now);
        let turn = self.next.max(earliest);
        self.next = turn + interval;
        tokio::select! {
            () = sleep(turn.saturating_duration_since(now)) => true,
            _ = self.stop.changed() => false,
        }
    }

    /// Runs one transaction to its end, with repetitions.
    async fn transaction(&mut self) {
        let token = self.shared.run.token(self.shared.tokens.fetch_add(1, Ordering::Relaxed) + 1);
        let begun = Instant::now();
        let (mut repetitions, mut backoff) = (0, RETRY_BACKOFF.0);
        let recorder = &self.shared.recorder;
        while let Some(session) = self.session.as_mut() {
            match attempt(session, &*self.script, token, &mut self.random, self.shared.patience).await {
                Outcome::Acknowledged(kind) => return recorder.acknowledged(token, kind, begun),
                Outcome::Unknown(kind, error) => {
                    recorder.error(error.code(), || error.message());
                    self.session = None;
                    return recorder.unknown(token, kind);
                }
                Outcome::Failed { error, usable } => {
                    recorder.error(error.code(), || error.message());
                    if !usable {
                        self.session = None;
                    }
                    if !usable || !error.may_be_repeated() || repetitions == RETRIES_MAX {
                        return recorder.refused(token);
                    }
                }
            }
            recorder.retried();
            repetitions += 1;
            sleep(jitter(&mut self.random, backoff)).await;
            backoff = (backoff * 2).min(RETRY_BACKOFF.1);
        }
    }
}

/// Opens a connection to the endpoint within the given time.
pub(super) async fn open(endpoint: &Endpoint, patience: Duration) -> Result<Session, Error> {
    let silent = |_| Error::Silent { place: endpoint.name.clone(), seconds: patience.as_secs() };
    let client = timeout(patience, connect(&endpoint.url)).await.map_err(silent)??;
    Ok(Session::new(client, endpoint.clone()))
}

/// Runs one attempt: BEGIN, the script, COMMIT. Until COMMIT is sent, every failure is certain.
async fn attempt<S: Script>(
    session: &mut Session,
    script: &S,
    token: Token,
    random: &mut Random,
    patience: Duration,
) -> Outcome {
    session.failed = false;
    let body = async {
        session.client.batch_execute("begin").await?;
        script.run(&mut *session, token, random).await
    };
    let kind = match timeout(patience, body).await {
        Err(_) => {
            let error = Failure::Other("timeout", "a statement was not answered in time");
            return Outcome::Failed { error, usable: false };
        }
        Ok(Err(error)) => return abandon(session, Failure::Database(error), patience).await,
        Ok(Ok(_)) if session.failed => {
            let error = Failure::Other("script", "the script went on after a failed statement");
            return abandon(session, error, patience).await;
        }
        Ok(Ok(kind)) => kind,
    };
    match timeout(patience, session.client.batch_execute("commit")).await {
        Ok(Ok(())) => Outcome::Acknowledged(kind),
        // An ERROR at COMMIT has rolled back. After FATAL nobody knows: it may have come before or after. The same goes
        // for an error about the connection to another server, which had been told to commit.
        Ok(Err(error)) if is_plain_error(&error) => {
            abandon(session, Failure::Database(error), patience).await
        }
        Ok(Err(error)) => Outcome::Unknown(kind, Failure::Database(error)),
        Err(_) => Outcome::Unknown(kind, Failure::Other("timeout", "COMMIT was not answered in time")),
    }
}

/// Rolls back after a failure.
async fn abandon(session: &mut Session, error: Failure, patience: Duration) -> Outcome {
    let rollback = timeout(patience, session.client.batch_execute("rollback")).await;
    Outcome::Failed { error, usable: matches!(rollback, Ok(Ok(()))) }
}

fn is_plain_error(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        let code = error.code().code();
        let plain = match error.parsed_severity() {
            Some(severity) => severity == Severity::Error,
            None => error.severity() == "ERROR",
        };
        plain && !code.starts_with("08") && !code.starts_with("57P0")
    })
}

/// Between half and the whole of the time.
fn jitter(random: &mut Random, time: Duration) -> Duration {
    time.mul_f64(0.5 + random.f64() / 2.0)
}

/// An error with its causes in one line.
fn shown(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text
}
