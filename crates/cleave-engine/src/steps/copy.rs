//! The copy: every table in one snapshot, then its indexes and keys; after a crash or when the snapshot is too old, the
//! other tables in a later snapshot.

use super::retention::watch_slot;
use crate::{EngineError, context::MoveContext};
use cleave_api::Event;
use cleave_journal::{Copied, Entry, EntryEvent, MoveRow, MoveState};
use cleave_model::{Direction, Ident, Oid, RangeType};
use cleave_plan::{PlannedIndex, PlannedIndexes, PlannedRanges, PlannedTable};
use cleave_stream::{
    Busy, Cancelled, CopyFormat, CopyIndex, CopyProgress, CopyRanges, CopySpec, CopyTable, LoadLimits,
    SnapshotRenewal, SnapshotSlot, SnapshotSource, copy_tables,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};
use tokio::sync::watch;

const STEP: &str = "copy";
/// In a note of the journal: what the copy waits for, or null when it goes on.
const WAITS: &str = "waits";

/// True once every table has its rows, its start position and its key, as M's journal has it: the stream may begin.
pub(crate) async fn is_copied(move_: &MoveContext) -> Result<bool, EngineError> {
    let m = move_.m.connect("copy").await?;
    move_.is_done(&*m, STEP).await
}

/// Copies what is not yet copied. `made` is the slot when it was made by this run: its snapshot is still there.
pub(crate) async fn copy(
    move_: &MoveContext,
    made: Option<SnapshotSlot>,
    cancelled: &Cancelled,
) -> Result<(), EngineError> {
    let m = move_.m.connect("copy").await?;
    if move_.is_done(&*m, STEP).await? {
        return Ok(());
    }
    MoveRow::transition(&*m, &move_.service, &[MoveState::Prepared], MoveState::Copying).await?;
    let summary = format!(
        "reads {} tables of {} with {} jobs, and builds their indexes",
        move_.plan.row_tables().count(),
        move_.m.name,
        move_.limits.jobs
    );
    let step = move_.events.step(&move_.service, STEP, summary);
    tell_ranges(move_).await?;
    let copied = Box::pin(fill(move_, made, (&BTreeSet::new(), false), cancelled)).await?;
    cleave_failpoint::hit_async("copy.after").await;
    let rows: u64 = copied.iter().map(|table| table.rows).sum();
    let bytes: u64 = copied.iter().map(|table| table.bytes).sum();
    move_.journal_m(&*m, STEP, EntryEvent::Done, &json!({ "rows": rows, "bytes": bytes })).await?;
    cleave_failpoint::hit_async("copy.journaled").await;
    step.finish(format!("{} rows, {}", cleave_model::format_count(rows), cleave_model::format_bytes(bytes)));
    Ok(())
}

/// Copies tables that were copied once and whose record was taken back since; how many rows they have. Their indexes are
/// there.
pub(crate) async fn copy_again(
    move_: &MoveContext,
    made: Option<SnapshotSlot>,
    cancelled: &Cancelled,
) -> Result<u64, EngineError> {
    let n = move_.n.connect("copy").await?;
    let there = cleave_journal::copied_tables(&*n, &move_.stream(Direction::Forward)).await?;
    let there: BTreeSet<Oid> = there.into_iter().map(|table| table.source_oid).collect();
    let copied = Box::pin(fill(move_, made, (&there, true), cancelled)).await?;
    Ok(copied.iter().map(|table| table.rows).sum())
}

/// Fills the tables that are not copied, but for those that are left out; giants in ranges, unless in one snapshot.
async fn fill(
    move_: &MoveContext,
    made: Option<SnapshotSlot>,
    (left_out, in_one_snapshot): (&BTreeSet<Oid>, bool),
    cancelled: &Cancelled,
) -> Result<Vec<Copied>, EngineError> {
    let snapshot = match &made {
        Some(slot) => {
            SnapshotSource::Given { name: slot.snapshot.clone(), consistent_point: slot.consistent_point() }
        }
        None => SnapshotSource::TemporarySlot { name: temporary_slot(move_) },
    };
    cleave_failpoint::hit_async("copy.before").await;
    let (events, service) = (move_.events.clone(), move_.service.to_string());
    let exporter = Mutex::new(made);
    let (waits, waits_seen) = watch::channel(None);
    let mut spec = spec(move_, snapshot, cancelled);
    spec.tables.retain(|table| !left_out.contains(&table.source_oid));
    if in_one_snapshot {
        // Unique indexes are there: no two rows may be of different ages.
        spec.tables.iter_mut().for_each(|table| table.ranges = None);
    }
    let copying = copy_tables(spec, move |progress: CopyProgress| {
        if progress.snapshot_taken {
            // It would hold back the source's vacuum while indexes are built.
            exporter.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        events.tell(shown(&service, &progress));
        waits.send_if_modified(|told| is_news(told, progress.waits));
    });
    let copied = tokio::select! {
        copied = copying => copied?,
        lost = watch_slot(move_) => return Err(lost),
        failed = tell_waits(move_, waits_seen) => return Err(failed),
    };
    if cancelled.is_cancelled() {
        return Err(EngineError::Interrupted);
    }
    Ok(copied)
}

/// Says which ranges of giants an earlier run has left.
async fn tell_ranges(move_: &MoveContext) -> Result<(), EngineError> {
    let n = move_.n.connect("copy").await?;
    let stream = move_.stream(Direction::Forward);
    let copied = cleave_journal::copied_tables(&*n, &stream).await?;
    let ranges = cleave_journal::key_ranges(&*n, &stream).await?;
    let is_left = |table: &&PlannedTable| !copied.iter().any(|copied| copied.source_oid == table.oid());
    for table in move_.plan.row_tables().filter(is_left) {
        let own: Vec<_> = ranges.iter().filter(|range| range.division.source_oid == table.oid()).collect();
        let there = own.iter().filter(|range| range.start.is_some()).count();
        if there > 0 {
            let name = table.source.qualified();
            let said = format!("of {name} {there} of {} ranges are there; the others are read", own.len());
            move_.events.note(Some(&move_.service), said);
        }
    }
    Ok(())
}

/// Takes over why the copy waits; false if that is no other reason than before.
fn is_news(told: &mut Option<Busy>, now: Option<Busy>) -> bool {
    let same = match (&*told, &now) {
        (Some(told), Some(now)) => told.is_like(now),
        (told, now) => told == now,
    };
    *told = now;
    !same
}

/// Says when the copy begins to wait and when it goes on: to whoever listens, and in M's journal, where `status` finds it.
async fn tell_waits(move_: &MoveContext, mut waits: watch::Receiver<Option<Busy>>) -> EngineError {
    match told_waits(move_, &mut waits).await {
        Err(error) => error,
        Ok(()) => std::future::pending().await,
    }
}

async fn told_waits(
    move_: &MoveContext,
    waits: &mut watch::Receiver<Option<Busy>>,
) -> Result<(), EngineError> {
    let m = move_.m.connect("copy waits").await?;
    let mut waiting = waits_for(&move_.entries(&*m).await?).is_some();
    drop(m);
    loop {
        let now = waits.borrow_and_update().as_ref().map(Busy::to_string);
        // What an earlier run waited for is over with it.
        if waiting || now.is_some() {
            let m = move_.m.connect("copy waits").await?;
            move_.journal_m(&*m, STEP, EntryEvent::Note, &json!({ WAITS: now })).await?;
        }
        match &now {
            Some(reason) => {
                move_.events.note(Some(&move_.service), format!("the copy waits: {reason}"));
            }
            None if waiting => move_.events.note(Some(&move_.service), "the copy goes on"),
            None => {}
        }
        waiting = now.is_some();
        if waits.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// What a copy waits for, by the journal's entries of its move.
pub(crate) fn waits_for(entries: &[Entry]) -> Option<String> {
    let told = entries.iter().rev().find_map(|entry| match entry {
        Entry { event: EntryEvent::Note, step, detail, .. } if step == STEP => detail.get(WAITS),
        _ => None,
    });
    told?.as_str().map(str::to_owned)
}

fn spec(move_: &MoveContext, snapshot: SnapshotSource, cancelled: &Cancelled) -> CopySpec {
    let tables = move_.plan.row_tables().map(|table| CopyTable {
        source_oid: table.oid(),
        source_name: table.source.qualified(),
        target_name: table.target.qualified(),
        columns: table
            .columns
            .iter()
            .map(|column| (Ident::new(column.name.as_str()), Ident::new(column.name.as_str())))
            .collect(),
        format: if table.binary { CopyFormat::Binary } else { CopyFormat::Text },
        bytes_estimate: table.bytes,
        ranges: table.ranges.as_ref().and_then(ranges),
        search_path: indexes(move_, table).map(|own| own.search_path.clone()).unwrap_or_default(),
        indexes: indexes(move_, table)
            .map(|own| own.indexes.iter().filter(|index| !index.late).map(index).collect())
            .unwrap_or_default(),
    });
    CopySpec {
        service: move_.service.clone(),
        stream: move_.stream(Direction::Forward),
        source: move_.m.endpoint.clone(),
        target: move_.n.endpoint.clone(),
        tables: tables.collect(),
        snapshot,
        jobs: move_.limits.jobs,
        chunk_bytes: move_.limits.chunk_bytes,
        bytes_per_second_max: move_.limits.copy_bytes_per_second,
        load: LoadLimits {
            lag_bytes_max: move_.limits.copy_lag_bytes_max,
            sessions_max: move_.limits.copy_sessions_max,
            target_log_bytes_max: move_.limits.copy_target_log_bytes_max,
        },
        renewal: Some(SnapshotRenewal { age: move_.limits.snapshot_age, slot: temporary_slot(move_) }),
        lease: move_.n_lease.clone(),
        cancelled: cancelled.clone(),
    }
}

fn temporary_slot(move_: &MoveContext) -> String {
    format!("{}_tmp", move_.slot(Direction::Forward))
}

fn indexes<'m>(move_: &'m MoveContext, table: &PlannedTable) -> Option<&'m PlannedIndexes> {
    move_.plan.script.tables.iter().find(|own| own.source_oid == table.source_oid)
}

/// None if another version has written the plan and knows more types: the table is then copied whole.
fn ranges(planned: &PlannedRanges) -> Option<CopyRanges> {
    let kind = RangeType::parse(&planned.kind)?;
    Some(CopyRanges { column: Ident::new(planned.column.as_str()), kind, bytes: planned.bytes })
}

fn index(planned: &PlannedIndex) -> CopyIndex {
    CopyIndex {
        name: Ident::new(planned.name.as_str()),
        create: planned.create.clone(),
        constraint: planned.constraint.clone(),
    }
}

/// Rows first; then, when all tables are there, indexes.
fn shown(service: &str, progress: &CopyProgress) -> Event {
    let service = service.to_owned();
    if progress.tables_done < progress.tables_total {
        return Event::CopyProgress { service, table: None, progress: rows(progress) };
    }
    Event::Progress {
        service,
        what: "indexes".to_owned(),
        done: progress.indexes_done as u64,
        total: Some(progress.indexes_total as u64),
        unit: "indexes".to_owned(),
    }
}

/// Time left is unknown until bytes flow.
fn rows(progress: &CopyProgress) -> cleave_api::CopyProgress {
    let left = progress.bytes_estimate.saturating_sub(progress.bytes) as f64;
    let flowing = progress.bytes_per_second > 1.0;
    cleave_api::CopyProgress {
        tables_done: progress.tables_done as u64,
        tables: progress.tables_total as u64,
        rows: progress.rows,
        bytes: progress.bytes,
        bytes_total: Some(progress.bytes_estimate),
        rate_bytes: flowing.then_some(progress.bytes_per_second as u64),
        eta_ms: flowing.then(|| (left * 1000.0 / progress.bytes_per_second) as u64),
        elapsed_ms: None,
        waits: progress.waits.map(|busy| busy.to_string()),
    }
}
