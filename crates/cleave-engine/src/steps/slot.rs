//! The forward slot: made together with the snapshot that the copy reads.

use crate::{EngineError, context::MoveContext};
use cleave_journal::EntryEvent;
use cleave_model::Direction;
use cleave_pg::replication::SlotLifetime;
use cleave_stream::SnapshotSlot;
use serde_json::json;
use std::time::Duration;

const STEP: &str = "slot";
/// How long dropping a slot may take, its walsender included.
pub(crate) const DROP_LIMIT: Duration = Duration::from_secs(30);

/// Makes the slot, unless it is there with its position row. Returns the snapshot when it was made now; a slot
/// without a position row is one whose snapshot died with an earlier run, and is made anew.
pub(crate) async fn forward_slot(move_: &MoveContext) -> Result<Option<SnapshotSlot>, EngineError> {
    let slot = move_.slot(Direction::Forward);
    let stream = move_.stream(Direction::Forward);
    let m = move_.m.connect("slot").await?;
    let n = move_.n.connect("slot").await?;
    let there = cleave_pg::slots::exists(&m, &slot).await?;
    let position = cleave_journal::position(&*n, &stream).await?;
    if let Some(known) = position.as_ref().filter(|position| there && position.slot == slot) {
        super::failover::refuse_between_copies(move_, &m, known.position).await?;
        return Ok(None);
    }
    if cleave_journal::is_partly_copied(&*n, &stream).await? {
        // A new slot would begin behind changes that the copied tables never get.
        let problem = "is gone, and with it changes of tables that are copied already".to_owned();
        return Err(cleave_stream::StreamError::SlotLost { slot, problem }.into());
    }
    let step = move_.events.step(
        &move_.service,
        STEP,
        format!("makes slot {slot} in {}; waits for open transactions", move_.m.name),
    );
    if there {
        cleave_pg::slots::drop(&m, &slot, DROP_LIMIT).await?;
    }
    // What is known of tables that were being copied stays: rows of theirs are on the target.
    cleave_journal::delete_position(&*n, &stream).await?;
    cleave_failpoint::hit_async("slot.before").await;
    let limit = move_.limits.lock_budget;
    let lifetime = if move_.m.failover_slots { SlotLifetime::Failover } else { SlotLifetime::Permanent };
    let made = cleave_stream::create_slot_with_snapshot(&move_.m.endpoint, &slot, lifetime, limit).await?;
    super::failover::tell(move_, &move_.m, &m).await?;
    cleave_failpoint::hit_async("slot.made").await;
    cleave_stream::write_first_position(&*n, &stream, &slot, made.position).await?;
    cleave_failpoint::hit_async("slot.after").await;
    let detail = json!({ "slot": slot, "consistent_point": made.consistent_point().to_string() });
    move_.journal_m(&*m, STEP, EntryEvent::Done, &detail).await?;
    step.finish(format!("changes from {} on are kept", made.consistent_point()));
    Ok(Some(made))
}
