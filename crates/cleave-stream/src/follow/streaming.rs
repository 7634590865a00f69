//! Reads a slot through a walsender: what commits is here within a millisecond, and the server is answered on our own
//! timer whatever the applier does.

use super::{item::Item, reader::Reader};
use crate::{Cancelled, Side, StreamError, error::On};
use cleave_pg::replication::{ReplicationReader, ReplicationSession, ReplicationWriter};
use cleave_proto::{
    Timestamp,
    replication::{ReplicationMessage, StandbyStatusUpdate},
};
use futures_util::FutureExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Between two status updates.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// Between two positions that only say that nothing came: storing one writes to the target's log, which the stream of
/// the other direction reads as nothing in its turn.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);
/// The same when the server asks where we are, as it does while it waits to shut down.
const IDLE_INTERVAL_ASKED: Duration = Duration::from_millis(500);
/// Messages read between two looks at the clock while there are more.
const MESSAGES_PER_LOOK: u32 = 200;

/// Runs until told to stop, or until the connection fails.
pub(super) async fn run(
    mut reader: Reader,
    session: ReplicationSession,
    stop: Cancelled,
) -> Result<(), StreamError> {
    let options =
        if reader.spec.options.spool_bytes > 0 { reader.options_with_blocks() } else { reader.options() };
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let started = session.start_replication(&reader.spec.slot, reader.delivered, &options).await;
    let (mut messages, writer) = started.on(Side::Source)?.split();
    let mut status = Status { writer, timer: interval(STATUS_INTERVAL) };
    status.timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unwatched = 0;
    loop {
        let more = if unwatched < MESSAGES_PER_LOOK { messages.next().now_or_never() } else { None };
        unwatched = if more.is_some() { unwatched + 1 } else { 0 };
        let message = match more {
            Some(message) => message,
            None => {
                // Half a transaction is of no use to the applier.
                if reader.is_between_transactions() {
                    status.hand_over(&mut reader).await?;
                }
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return farewell(&reader, status, messages).await,
                    _ = status.timer.tick() => {
                        on_timer(&mut reader, &mut status).await?;
                        continue;
                    }
                    message = messages.next() => message,
                }
            }
        };
        let Some(message) = message.on(Side::Source)? else { return Ok(()) };
        on_message(&mut reader, message, &mut status).await?;
        while reader.replay().await? {
            if reader.output.is_due() {
                status.hand_over(&mut reader).await?;
            }
        }
        if reader.spools.is_due() {
            reader.spools.settle().await?;
        }
        if reader.output.is_due() {
            status.hand_over(&mut reader).await?;
        }
    }
}

/// Tells the last position, so that the server can forget the log, and ends the stream.
async fn farewell(
    reader: &Reader,
    mut status: Status,
    mut messages: ReplicationReader,
) -> Result<(), StreamError> {
    status.send(reader).await?;
    status.writer.send_copy_done().await.on(Side::Source)?;
    while messages.next().await.on(Side::Source)?.is_some() {}
    Ok(())
}

async fn on_timer(reader: &mut Reader, status: &mut Status) -> Result<(), StreamError> {
    status.send(reader).await?;
    let lag_bytes = reader.log_end.0.saturating_sub(reader.flushed.borrow().0);
    reader.reporter.change(|report| report.lag_bytes = lag_bytes);
    idle(reader, status).await
}

async fn on_message(
    reader: &mut Reader,
    message: ReplicationMessage,
    status: &mut Status,
) -> Result<(), StreamError> {
    match message {
        ReplicationMessage::PrimaryKeepalive(keepalive) => {
            reader.log_end = reader.log_end.max(keepalive.wal_end);
            if reader.is_between_transactions() {
                reader.delivered = reader.delivered.max(keepalive.wal_end);
            }
            if keepalive.reply_requested {
                reader.asked = true;
                status.send(reader).await?;
                idle(reader, status).await?;
            }
            Ok(())
        }
        ReplicationMessage::XLogData(log) => {
            reader.log_end = reader.log_end.max(log.wal_end);
            reader.read(log.data)
        }
    }
}

/// Moves the position over traffic that is not for us, now and then.
async fn idle(reader: &mut Reader, status: &mut Status) -> Result<(), StreamError> {
    let interval = if reader.asked { IDLE_INTERVAL_ASKED } else { IDLE_INTERVAL };
    let due = reader.is_between_transactions()
        && reader.delivered > reader.handed_over
        && reader.idle_since.elapsed() >= interval
        && reader.output.is_empty();
    if !due {
        return Ok(());
    }
    let lsn = reader.delivered;
    reader.output.gather(Item::Idle { lsn }, 0);
    status.hand_over(reader).await?;
    reader.handed_over = lsn;
    reader.idle_since = Instant::now();
    reader.asked = false;
    Ok(())
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

    /// Waits for room while the server goes on being answered.
    async fn hand_over(&mut self, reader: &mut Reader) -> Result<(), StreamError> {
        loop {
            tokio::select! {
                biased;
                done = reader.output.hand_over() => return done,
                _ = self.timer.tick() => {}
            }
            self.send(reader).await?;
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
