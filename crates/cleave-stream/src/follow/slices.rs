//! Catches up through SQL: a walsender sends each change by itself and wakes its reader for each, which takes far
//! longer than decoding; a COPY of what decoding gives takes a fraction of that. `docs/design/apply.md` says why it is
//! as exact and what bounds it.
//!
//! The stream's own slot is not read. A temporary copy of it is, slice after slice of whole transactions, and dies with
//! its session; the stream's slot is confirmed as ever, once the target has stored what it was told (`release`).

use super::{
    reader::{Reader, protocol},
    release::Release,
};
use crate::{Cancelled, Side, StreamError, error::On};
use cleave_pg::{During, Session, copy::copy_out, slots, wal};
use cleave_proto::copy::binary::BinaryRows;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::sleep;

/// Less log than this is left to the walsender.
const BACKLOG_BYTES_MIN: u64 = 4 << 20;
/// More too: what a slice decodes is kept on the source's disk until its last transaction is complete, and the size of
/// a transaction is bounded only by that of the log.
const BACKLOG_BYTES_MAX: u64 = 8 << 30;
/// Messages of the first slice, so that the applier has something to do soon.
const MESSAGES_MIN: u32 = 50_000;
/// Each slice decodes from the slot's restart position on, which seldom moves: so slices grow.
const MESSAGES_MAX: u32 = 1_600_000;
/// The server's own default for what it keeps in memory while it decodes. Past it, it writes the largest transaction to
/// disk and reads it again, which takes twice as long as all the rest.
const DECODING_MEMORY_MB_MIN: u64 = 64;
/// The source may take so long to say which transactions run.
const NOTE_LIMIT: Duration = Duration::from_millis(200);
/// Between two slices of the few changes that come while the target stores the rest.
const TAIL_INTERVAL: Duration = Duration::from_millis(50);
/// The server cannot build a value over 1 GB.
const ROW_BYTES_MAX: usize = 1 << 30;

/// Reads until little is left, or until told to stop, or not at all if it would not pay.
pub(super) async fn catch_up(
    reader: &mut Reader,
    session: &Session,
    stop: &Cancelled,
) -> Result<(), StreamError> {
    let behind = |end: cleave_model::Lsn, reader: &Reader| end.0.saturating_sub(reader.delivered.0);
    let end = wal::current_wal_lsn(session).await.on(Side::Source)?;
    if !(BACKLOG_BYTES_MIN..BACKLOG_BYTES_MAX).contains(&behind(end, reader)) {
        return Ok(());
    }
    // Behind it, slices and walsender have a place to decode from that is not before the backlog.
    slots::note_running_transactions(session, NOTE_LIMIT).await;
    let copy = format!("cleave_catch_up_{}", session.backend_pid());
    if !slots::copy_temporary(session, &reader.spec.slot, &copy).await.on(Side::Source)? {
        return Ok(());
    }
    // Decoded, a change takes about half as much again as in the log.
    let memory_mb = (behind(end, reader) / (1 << 19))
        .min(reader.spec.options.source_memory_bytes >> 20)
        .max(DECODING_MEMORY_MB_MIN);
    let memory = format!("set logical_decoding_work_mem = '{memory_mb}MB'");
    session.batch_execute(&memory).await.during("preparing to read slices").on(Side::Source)?;
    let mut release = Release::start(&reader.spec, &copy, reader.flushed.clone()).await;
    let read = slices(reader, session, &copy, release.as_mut(), stop).await;
    match release {
        Some(release) if read.is_err() || stop.is_cancelled() => release.give_up().await,
        _ => {}
    }
    read?;
    reader.start_over();
    Ok(())
}

/// Reads slices until one comes short, and then, while the target stores what came and the slot is moved, those of what is
/// written meanwhile.
async fn slices(
    reader: &mut Reader,
    session: &Session,
    copy: &str,
    mut release: Option<&mut Release>,
    stop: &Cancelled,
) -> Result<(), StreamError> {
    let (mut messages, mut through) = (MESSAGES_MIN, false);
    loop {
        let flushed = wal::flushed_lsn(session).await.on(Side::Source)?;
        let read = slice(reader, session, copy, messages, stop).await?;
        if stop.is_cancelled() {
            return Ok(());
        }
        if read >= messages {
            messages = messages.saturating_mul(2).min(MESSAGES_MAX);
            continue;
        }
        // It has been read to the end of the log.
        reader.delivered = reader.delivered.max(flushed);
        let Some(release) = &mut release else { return Ok(()) };
        if !std::mem::replace(&mut through, true) {
            reader.hand_over_position().await?;
            release.finish_at(reader.delivered);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = release.ended() => return Ok(()),
            () = sleep(TAIL_INTERVAL) => {}
        }
    }
}

/// Reads whole transactions of at least so many messages, or all there are. Returns how many messages came.
async fn slice(
    reader: &mut Reader,
    session: &Session,
    slot: &str,
    messages: u32,
    stop: &Cancelled,
) -> Result<u32, StreamError> {
    reader.log_end = wal::current_wal_lsn(session).await.on(Side::Source)?;
    let lag_bytes = reader.log_end.0.saturating_sub(reader.flushed.borrow().0);
    reader.reporter.change(|report| report.lag_bytes = lag_bytes);
    let options = reader.options();
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sql = format!("copy ({}) to stdout (format binary)", slots::read_sql(slot, messages, &options));
    let mut out = copy_out(session, &sql, "reading a slice of the stream").await.on(Side::Source)?;
    let (mut rows, mut read) = (BinaryRows::new(ROW_BYTES_MAX), 0);
    while let Some(chunk) = out.next().await {
        rows.push(chunk.on(Side::Source)?);
        while let Some(row) = rows.next_row().map_err(|error| protocol(&error))? {
            if let Some(data) = row.fields.into_iter().next().flatten() {
                reader.read(data)?;
                read += 1;
            }
        }
        if reader.output.is_due() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(read),
                done = reader.output.hand_over() => done?,
            }
        }
    }
    rows.finish().map_err(|error| protocol(&error))?;
    reader.output.hand_over().await?;
    Ok(read)
}
