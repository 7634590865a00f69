//! The copy: every table in one snapshot; after a crash the unfinished ones in a later snapshot of their own.

use crate::{EngineError, context::MoveContext};
use cleave_api::Event;
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::{Direction, Ident};
use cleave_stream::{
    Cancelled, CopyFormat, CopyProgress, CopySpec, CopyTable, SnapshotSlot, SnapshotSource, copy_tables,
};
use serde_json::json;

const STEP: &str = "copy";

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
        "reads {} tables of {} with {} jobs",
        move_.plan.row_tables().count(),
        move_.m.name,
        move_.limits.jobs
    );
    let step = move_.events.step(&move_.service, STEP, summary);
    let snapshot = match &made {
        Some(slot) => {
            SnapshotSource::Given { name: slot.snapshot.clone(), consistent_point: slot.consistent_point() }
        }
        None => SnapshotSource::TemporarySlot { name: format!("{}_tmp", move_.slot(Direction::Forward)) },
    };
    cleave_failpoint::hit_async("copy.before").await;
    let (events, service) = (move_.events.clone(), move_.service.to_string());
    let copied = copy_tables(spec(move_, snapshot, cancelled), move |progress: CopyProgress| {
        events.tell(Event::CopyProgress {
            service: service.clone(),
            table: None,
            progress: shown(&progress),
        });
    })
    .await?;
    drop(made);
    if cancelled.is_cancelled() {
        return Err(EngineError::Interrupted);
    }
    cleave_failpoint::hit_async("copy.after").await;
    let rows: u64 = copied.iter().map(|table| table.rows).sum();
    let bytes: u64 = copied.iter().map(|table| table.bytes).sum();
    move_.journal_m(&*m, STEP, EntryEvent::Done, &json!({ "rows": rows, "bytes": bytes })).await?;
    cleave_failpoint::hit_async("copy.journaled").await;
    step.finish(format!("{} rows, {}", cleave_model::format_count(rows), cleave_model::format_bytes(bytes)));
    Ok(())
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
    });
    CopySpec {
        service: move_.service.clone(),
        stream: move_.stream(Direction::Forward),
        source: move_.m.endpoint.clone(),
        target: move_.n.endpoint.clone(),
        tables: tables.collect(),
        snapshot,
        jobs: move_.limits.jobs,
        lease: move_.n_lease.clone(),
        cancelled: cancelled.clone(),
    }
}

/// As it is shown: time left is unknown until bytes flow.
fn shown(progress: &CopyProgress) -> cleave_api::CopyProgress {
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
    }
}
