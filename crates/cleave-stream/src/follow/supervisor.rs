//! Keeps a stream going: connects both sides, retries what may pass, stops at what will not.

use super::{
    FollowSpec, FollowState, FollowStatus, checks, item::channel, reader::Reader, slices, source_watch,
    status::Reporter, streaming,
};
use crate::{
    Cancelled, Canceller, Side, StreamError,
    apply::{self, BinaryTypes, Input, RelationMemory, apply, flush_commits},
    cancel::cancellation,
    error::On,
    session::connect_writer,
};
use cleave_journal::{Shape, change_timeline, position};
use cleave_model::{Direction, Lsn, Position};
use cleave_pg::{During, Session, connect, connect_replication, replication::ReplicationSession};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

/// The first pause before a new attempt.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
/// How long the server may take to end a stream that we end.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// Starts streams.
#[derive(Debug)]
pub struct Follow;

/// A running stream. Dropping it ends the stream at once; what is in work is rolled back.
#[derive(Debug)]
pub struct FollowHandle {
    status: watch::Receiver<FollowStatus>,
    stop: Canceller,
    task: JoinHandle<()>,
}

impl Follow {
    /// Starts to follow. Errors are in the status of the handle.
    pub fn start(spec: FollowSpec) -> FollowHandle {
        let (reporter, status) = Reporter::new();
        let (stop, stopped) = cancellation();
        let task = tokio::spawn(supervise(Arc::new(spec), reporter, stopped));
        FollowHandle { status, stop, task }
    }
}

impl FollowHandle {
    /// The stream's report, kept current.
    pub fn status(&self) -> watch::Receiver<FollowStatus> {
        self.status.clone()
    }

    /// Ends the stream after the transaction it is at, confirms what was applied, and frees the slot. Returns the last
    /// report: `Failed` with its error if the stream had stopped by itself.
    pub async fn stop(mut self) -> FollowStatus {
        self.stop.cancel();
        // A task that panicked has said so on standard error; the report then is the last one it made.
        let _ended = (&mut self.task).await;
        self.status.borrow().clone()
    }

    /// True once the stream has ended, by itself or on request.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits until a marker is durably applied on the target.
    ///
    /// # Errors
    /// The stream's own error if it stops first, [`StreamError::Cancelled`] if it was stopped.
    pub async fn marker_applied(&self, marker: &str) -> Result<(), Arc<StreamError>> {
        let mut status = self.status.clone();
        loop {
            {
                let now = status.borrow_and_update();
                if now.has_marker(marker) {
                    return Ok(());
                }
                match (now.state, &now.last_error) {
                    (FollowState::Failed, Some(error)) => return Err(Arc::clone(error)),
                    (FollowState::Stopped, _) => return Err(Arc::new(StreamError::Cancelled)),
                    _ => {}
                }
            }
            if status.changed().await.is_err() {
                return Err(Arc::new(StreamError::Task("the stream's task is gone".into())));
            }
        }
    }
}

impl Drop for FollowHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn supervise(mut spec: Arc<FollowSpec>, reporter: Reporter, stop: Cancelled) {
    let memory = RelationMemory::default();
    let mut pause = RETRY_PAUSE_MIN;
    loop {
        reporter.change(|status| status.state = FollowState::Connecting);
        let mut worked = false;
        let ended = tokio::select! {
            connected = connected(&spec) => match connected {
                Ok(connected) => {
                    let before = connected.position;
                    let mut applied = 0;
                    reporter.change(|status| applied = status.counters.transactions);
                    let ended = Box::pin(run(&spec, connected, &reporter, &memory, &stop)).await;
                    // What was committed is told as the position only once it is on the disk.
                    reporter.change(|status| {
                        worked = status.position.is_some_and(|now| now > before)
                            || status.counters.transactions > applied;
                    });
                    ended
                }
                Err(error) => Err(error),
            },
            () = stop.cancelled() => Ok(()),
        };
        let error = match ended {
            Ok(()) => {
                reporter.change(|status| status.state = FollowState::Stopped);
                return;
            }
            Err(error) => error,
        };
        let passing = error.is_retryable();
        if matches!(error, StreamError::SpoolFull { .. }) {
            Arc::make_mut(&mut spec).options.spool_bytes = 0;
        }
        if let StreamError::ColumnsChanged { followed, .. } = &error {
            Arc::make_mut(&mut spec).options.binary = *followed;
            worked |= *followed;
        }
        reporter.change(|status| {
            status.state = if passing { FollowState::Retrying } else { FollowState::Failed };
            status.last_error = Some(Arc::new(error));
            status.counters.reconnects += u64::from(passing);
        });
        if !passing {
            return;
        }
        pause = if worked { RETRY_PAUSE_MIN } else { (pause * 2).min(spec.options.retry_pause_max) };
        let jitter = 0.5 + fastrand::f64() / 2.0;
        tokio::select! {
            () = sleep(pause.mul_f64(jitter)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Everything that one connection of the stream consists of.
struct Connected {
    replication: ReplicationSession,
    catch_up: Session,
    binary: BinaryTypes,
    shapes: Vec<Shape>,
    watch: Session,
    partitions: source_watch::Partitions,
    target: Session,
    position: Lsn,
    /// The last marker stored with it: the outcome of the commit that stored it may have been lost on the way.
    marker: Option<String>,
}

async fn connected(spec: &FollowSpec) -> Result<Connected, StreamError> {
    let purpose = format!("follow {}", spec.stream());
    let control = connect(&spec.target, "follow control").await.on(Side::Target)?;
    // Who holds the lease is the only one that may follow.
    spec.lease.check(&*control).await?;
    end_leftover_sessions(&control, &purpose, Side::Target).await?;
    let watch = connect(&spec.source, &format!("watch {}", spec.stream())).await.on(Side::Source)?;
    end_leftover_sessions(&watch, &purpose, Side::Source).await?;
    // The origin is free only once the earlier session is gone, so the position read after it is the last one.
    let target = connect_writer(&spec.target, &purpose, &spec.origin(), spec.options.idle_limit).await?;
    // It may have committed without waiting for the disk. What is read from here on will be confirmed.
    flush_commits(&target, &spec.stream()).await?;
    let stored = position(&*target, &spec.stream()).await?;
    let marker = stored.as_ref().and_then(|stored| stored.marker.clone());
    let mut replication = connect_replication(&spec.source, &purpose).await.on(Side::Source)?;
    let identity = replication.identify_system().await.on(Side::Source)?;
    let known = checks::position(spec, stored, &identity)?;
    checks::timeline(spec, known, &identity, (&mut replication, &watch)).await?;
    let position = known.lsn;
    checks::slot(spec, &watch, position).await?;
    if identity.timeline != known.timeline {
        take_over(spec, control, known, identity.timeline).await?;
    }
    let shapes = shapes_of(spec, &target).await?;
    let routes = apply::reshaped(&spec.routes, &shapes);
    let binary = match spec.options.binary {
        true => BinaryTypes::decide(&routes, &watch, &target).await?,
        false => BinaryTypes::default(),
    };
    let partitions = source_watch::Partitions::read(spec, &target).await?;
    let catch_up = connect(&spec.source, &purpose).await.on(Side::Source)?;
    Ok(Connected { replication, catch_up, binary, shapes, watch, partitions, target, position, marker })
}

/// What is recorded of the source's tables: of those of the copy. On the way back the home is nobody's to alter.
async fn shapes_of(spec: &FollowSpec, target: &Session) -> Result<Vec<Shape>, StreamError> {
    match spec.direction {
        Direction::Forward => Ok(cleave_journal::shapes(&**target, &spec.whole_stream()).await?),
        Direction::Back => Ok(Vec::new()),
    }
}

/// Stores that the position is one of the promoted source's timeline.
async fn take_over(
    spec: &FollowSpec,
    mut control: Session,
    position: Position,
    timeline: u32,
) -> Result<(), StreamError> {
    let what = "taking the position to the promoted source";
    let transaction = control.transaction().await.during(what).on(Side::Target)?;
    spec.lease.check(&transaction).await?;
    change_timeline(&transaction, &spec.stream(), position, timeline).await?;
    transaction.commit().await.during(what).on(Side::Target)
}

/// The slot's side of a connection.
async fn read(
    mut reader: Reader,
    catch_up: Session,
    replication: ReplicationSession,
    stop: Cancelled,
) -> Result<(), StreamError> {
    slices::catch_up(&mut reader, &catch_up, &stop).await?;
    drop(catch_up);
    if stop.is_cancelled() {
        return Ok(());
    }
    streaming::run(reader, replication, stop).await
}

/// Ends sessions of this stream that an earlier engine has left: a process that was stopped, or one behind a dead
/// network, keeps slot and origin in use for as long as its connections seem to live.
async fn end_leftover_sessions(session: &Session, purpose: &str, side: Side) -> Result<(), StreamError> {
    let name = format!("cleave {purpose}");
    // The server keeps 63 bytes of an application's name.
    session
        .execute(
            "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
             where application_name = pg_catalog.left($1, 63) and datname = pg_catalog.current_database() and usename = current_user",
            &[&name],
        )
        .await
        .during("ending sessions of an earlier run of the stream")
        .on(side)?;
    Ok(())
}

/// Runs reader, applier and watch until one of them ends.
async fn run(
    spec: &Arc<FollowSpec>,
    connected: Connected,
    reporter: &Reporter,
    memory: &RelationMemory,
    stop: &Cancelled,
) -> Result<(), StreamError> {
    let Connected {
        replication,
        catch_up,
        binary,
        shapes,
        watch: watch_session,
        partitions,
        target,
        position,
        marker,
    } = connected;
    let (looks, looks_seen) = watch::channel(None);
    let (flushed, flushed_seen) = watch::channel(position);
    let (output, items) = channel(spec.options.memory_bytes);
    reporter.change(|status| {
        status.state = FollowState::Following;
        status.position = Some(position);
        status.last_error = None;
        (status.in_progress, status.in_progress_bytes) = (0, 0);
        marker.into_iter().for_each(|marker| status.marker_applied(marker));
    });
    let (end_reading, reading_ended) = cancellation();
    let reader = Reader::new(Arc::clone(spec), output, reporter.clone(), flushed_seen, position, &binary);
    // In a set, so that they end with this function whatever happens.
    let mut reading = JoinSet::new();
    reading.spawn(read(reader, catch_up, replication, reading_ended));
    let input = Input {
        spec: Arc::clone(spec),
        session: target,
        items,
        position,
        flushed,
        reporter: reporter.clone(),
        memory: memory.clone(),
        binary,
        shapes,
        looks: looks_seen,
    };
    let applied = tokio::select! {
        biased;
        applied = apply(input, stop) => applied,
        read = reading.join_next() => match read {
            Some(Ok(Ok(()))) => Err(StreamError::Task("the reader ended before it was told to".into())),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(StreamError::Task(error.to_string())),
            None => Err(StreamError::Task("the reader was never started".into())),
        },
        watched = source_watch::run(spec, &watch_session, &partitions, reporter, &looks) => watched.map(|never| match never {}),
    };
    if applied.is_ok() {
        end_reading.cancel();
        // The position is stored on the target; a server that does not hear of it will hear of it at the next start.
        let _unheard = timeout(FAREWELL_LIMIT, reading.join_next()).await;
    }
    applied
}
