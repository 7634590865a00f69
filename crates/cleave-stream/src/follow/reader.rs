//! Reads a slot: answers the server on its own timer, drops what is not for this stream, hands the rest over.

use super::{
    FollowSpec,
    item::{Item, ItemSender},
    messages::{Meaning, meaning},
    status::Reporter,
};
use crate::{Cancelled, Side, StreamError, error::On};
use bytes::Bytes;
use cleave_model::{Lsn, labels};
use cleave_pg::replication::{ReplicationReader, ReplicationStream, ReplicationWriter};
use cleave_proto::{
    Timestamp,
    pgoutput::{Decoder, ProtocolVersion},
    replication::{ReplicationMessage, StandbyStatusUpdate},
    transaction::{Event, TransactionTracker},
};
use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval},
};

/// Between two status updates.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// Between two positions that only say that nothing came: storing one writes to the target's log, which the stream of
/// the other direction reads as nothing in its turn.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);
/// The same when the server asks where we are, as it does while it waits to shut down.
const IDLE_INTERVAL_ASKED: Duration = Duration::from_millis(500);
/// Messages up to this size are taken out of the read buffer, so that a queue of small ones does not keep it whole.
const SHARED_BYTES_MIN: usize = 16 << 10;

/// The reading side of one connection.
pub(super) struct Reader {
    spec: Arc<FollowSpec>,
    output: ItemSender,
    reporter: Reporter,
    /// What the target has durably applied.
    flushed: watch::Receiver<Lsn>,
    decoder: Decoder,
    tracker: TransactionTracker,
    transaction: Open,
    /// Transactions that commit before it were applied earlier.
    position: Lsn,
    /// End of the log as the server last told it.
    log_end: Lsn,
    /// Everything before it was delivered, and what concerns us of it was handed over.
    delivered: Lsn,
    /// The last position handed over.
    handed_over: Lsn,
    idle_since: Instant,
    asked: bool,
}

/// The transaction that is being read.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    commit_lsn: Lsn,
    /// Applied earlier, or written by the peer.
    dropped: bool,
    /// Its `Begin` was handed over.
    begun: bool,
}

impl Reader {
    pub(super) fn new(
        spec: Arc<FollowSpec>,
        output: ItemSender,
        reporter: Reporter,
        flushed: watch::Receiver<Lsn>,
        position: Lsn,
    ) -> Self {
        Self {
            spec,
            output,
            reporter,
            flushed,
            decoder: Decoder::new(ProtocolVersion::V1),
            tracker: TransactionTracker::new(),
            transaction: Open::default(),
            position,
            log_end: position,
            delivered: position,
            handed_over: position,
            idle_since: Instant::now(),
            asked: false,
        }
    }

    /// Runs until told to stop, or until the connection fails.
    pub(super) async fn run(mut self, stream: ReplicationStream, stop: Cancelled) -> Result<(), StreamError> {
        let (mut messages, writer) = stream.split();
        let mut status = Status { writer, timer: interval(STATUS_INTERVAL) };
        status.timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.farewell(status, messages).await,
                _ = status.timer.tick() => self.on_timer(&mut status).await?,
                message = messages.next() => match message.on(Side::Source)? {
                    Some(message) => self.on_message(message, &mut status).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    /// Tells the last position, so that the server can forget the log, and ends the stream.
    async fn farewell(&self, mut status: Status, mut messages: ReplicationReader) -> Result<(), StreamError> {
        status.send(self).await?;
        status.writer.send_copy_done().await.on(Side::Source)?;
        while messages.next().await.on(Side::Source)?.is_some() {}
        Ok(())
    }

    async fn on_timer(&mut self, status: &mut Status) -> Result<(), StreamError> {
        status.send(self).await?;
        let lag_bytes = self.log_end.0.saturating_sub(self.flushed.borrow().0);
        self.reporter.change(|report| report.lag_bytes = lag_bytes);
        self.idle(status).await
    }

    async fn on_message(
        &mut self,
        message: ReplicationMessage,
        status: &mut Status,
    ) -> Result<(), StreamError> {
        match message {
            ReplicationMessage::PrimaryKeepalive(keepalive) => {
                self.log_end = self.log_end.max(keepalive.wal_end);
                if self.tracker.is_between_transactions() {
                    self.delivered = self.delivered.max(keepalive.wal_end);
                }
                if keepalive.reply_requested {
                    self.asked = true;
                    status.send(self).await?;
                    self.idle(status).await?;
                }
                Ok(())
            }
            ReplicationMessage::XLogData(log) => {
                self.log_end = self.log_end.max(log.wal_end);
                if self.transaction.dropped && matches!(log.data.first(), Some(b'I' | b'U' | b'D')) {
                    return Ok(());
                }
                self.on_data(log.data, status).await
            }
        }
    }

    async fn on_data(&mut self, data: Bytes, status: &mut Status) -> Result<(), StreamError> {
        let bytes = data.len();
        let data = if bytes < SHARED_BYTES_MIN { Bytes::copy_from_slice(&data) } else { data };
        let decoded = self.decoder.decode(data).map_err(|error| protocol(&error))?;
        match self.tracker.step(decoded).map_err(|error| protocol(&error))? {
            Event::Begin(begin) => {
                let dropped = begin.final_lsn < self.position;
                self.transaction = Open { commit_lsn: begin.final_lsn, dropped, begun: false };
            }
            Event::Origin(origin) => {
                self.transaction.dropped |=
                    labels::is_peer_origin(&self.spec.service, self.spec.direction, &origin.name);
            }
            Event::Change { relation, change, .. } => {
                self.hand_over(Item::Change { relation, change }, bytes, status).await?;
            }
            Event::Truncate { relations, restart_identity, .. } => {
                self.hand_over(Item::Truncate { relations, restart_identity }, bytes, status).await?;
            }
            Event::Logical { message, .. } => match meaning(&self.spec, &message)? {
                Meaning::Nothing => {}
                Meaning::Marker(id) => self.hand_over(Item::Marker(id), bytes, status).await?,
                Meaning::Switch(switch) => self.hand_over(Item::Switch(switch), bytes, status).await?,
            },
            Event::Commit(ended) => {
                let begun = std::mem::take(&mut self.transaction).begun;
                self.delivered = self.delivered.max(ended.end_lsn);
                if begun {
                    let (end_lsn, commit_time) = (ended.end_lsn, ended.commit_time);
                    self.put(Item::Commit { end_lsn, commit_time }, 0, status).await?;
                    self.handed_over = end_lsn;
                    self.idle_since = Instant::now();
                }
            }
            Event::Relation { .. } | Event::Type { .. } => {}
            Event::StreamStart(_)
            | Event::StreamStop { .. }
            | Event::StreamCommit(_)
            | Event::StreamAbort(_) => {
                let problem = "a transaction in progress came, which was not asked for".to_owned();
                return Err(StreamError::Protocol { problem });
            }
        }
        Ok(())
    }

    /// Hands a piece of the open transaction over, after its `Begin`, unless the transaction is dropped.
    async fn hand_over(&mut self, item: Item, bytes: usize, status: &mut Status) -> Result<(), StreamError> {
        if self.transaction.dropped {
            return Ok(());
        }
        if !std::mem::replace(&mut self.transaction.begun, true) {
            let commit_lsn = self.transaction.commit_lsn;
            self.put(Item::Begin { commit_lsn }, 0, status).await?;
        }
        self.put(item, bytes, status).await
    }

    /// Waits for room while the server goes on being answered.
    async fn put(&self, item: Item, bytes: usize, status: &mut Status) -> Result<(), StreamError> {
        let mut room = pin!(self.output.reserve(bytes));
        loop {
            tokio::select! {
                biased;
                permit = &mut room => {
                    // An applier that is gone has its own error to tell.
                    let _taken = self.output.send(item, permit?);
                    return Ok(());
                }
                _ = status.timer.tick() => status.send(self).await?,
            }
        }
    }

    /// Moves the position over traffic that is not for us, now and then.
    async fn idle(&mut self, status: &mut Status) -> Result<(), StreamError> {
        let interval = if self.asked { IDLE_INTERVAL_ASKED } else { IDLE_INTERVAL };
        let due = self.tracker.is_between_transactions()
            && self.delivered > self.handed_over
            && self.idle_since.elapsed() >= interval
            && self.output.is_empty();
        if !due {
            return Ok(());
        }
        self.put(Item::Idle { lsn: self.delivered }, 0, status).await?;
        self.handed_over = self.delivered;
        self.idle_since = Instant::now();
        self.asked = false;
        Ok(())
    }
}

/// Our word to the server, on its own timer.
struct Status {
    writer: ReplicationWriter,
    timer: Interval,
}

impl Status {
    async fn send(&mut self, reader: &Reader) -> Result<(), StreamError> {
        let flushed = *reader.flushed.borrow();
        let written = reader.delivered.max(flushed);
        let update =
            StandbyStatusUpdate { written, flushed, applied: flushed, clock: now(), reply_requested: false };
        self.writer.send_status(&update).await.on(Side::Source)
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn protocol(error: &dyn std::error::Error) -> StreamError {
    StreamError::Protocol { problem: error.to_string() }
}
