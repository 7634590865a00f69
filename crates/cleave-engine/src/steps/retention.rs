//! A copy may take longer than the source keeps its log for a slot that nobody reads yet: somebody must be told in time.

use crate::{EngineError, context::MoveContext};
use cleave_model::{Direction, format_bytes};
use cleave_pg::Session;
use cleave_pg::slots::{Slot, WalStatus};
use cleave_stream::StreamError;
use std::time::Duration;

/// Between two looks at the slot.
const LOOK: Duration = Duration::from_secs(5);

/// How a slot does, from well to lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Danger {
    None,
    /// Less than a quarter of what the server keeps is left.
    Near,
    /// It goes with the next checkpoint.
    Last,
    Lost,
}

/// Watches the forward slot for as long as it is polled; tells each time that it has come nearer to its loss. Returns with
/// C0502 when it is lost: what is copied then is copied in vain.
pub(crate) async fn watch_slot(move_: &MoveContext) -> EngineError {
    let name = move_.slot(Direction::Forward);
    let (mut told, mut session) = (Danger::None, None);
    loop {
        // A source that cannot be reached for a moment is for the copy itself to find out.
        if let Some(slot) = look(move_, &name, &mut session).await {
            let danger = danger(&slot);
            if danger == Danger::Lost {
                let cause = slot.invalidation.as_deref().unwrap_or("wal_removed");
                let problem = format!("is lost on the source while its tables are copied ({cause})");
                return StreamError::SlotLost { slot: name, problem }.into();
            }
            if danger > told {
                move_.events.note(Some(&move_.service), warning(&slot, danger));
            }
            told = danger;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The slot, if it can be seen; the session is kept for the next look.
async fn look(move_: &MoveContext, name: &str, session: &mut Option<Session>) -> Option<Slot> {
    let m = match session.take() {
        Some(m) => m,
        None => move_.m.connect("slot watch").await.ok()?,
    };
    let slot = cleave_pg::slots::health(&m, name).await.ok()?;
    *session = Some(m);
    slot
}

fn danger(slot: &Slot) -> Danger {
    let left = slot.safe_wal_bytes.map(|left| u64::try_from(left).unwrap_or(0));
    match slot.wal_status {
        WalStatus::Lost => Danger::Lost,
        WalStatus::Unreserved => Danger::Last,
        WalStatus::Reserved | WalStatus::Extended => match left {
            // What is kept and what is left are together what the server allows.
            Some(left) if left < (left.saturating_add(slot.retained_bytes)) / 4 => Danger::Near,
            _ => Danger::None,
        },
    }
}

fn warning(slot: &Slot, danger: Danger) -> String {
    let kept = format_bytes(slot.retained_bytes);
    let left = slot
        .safe_wal_bytes
        .and_then(|left| u64::try_from(left).ok())
        .map_or_else(|| "nothing".to_owned(), format_bytes);
    let when = if danger == Danger::Last { "at its next checkpoint" } else { "soon" };
    format!(
        "the source may drop slot {} {when}, and with it this copy: it keeps {kept} of log for it and {left} more; raise \
         max_slot_wal_keep_size on the source and reload it",
        slot.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wal_status: WalStatus, retained_bytes: u64, safe_wal_bytes: Option<i64>, expected: Danger) {
        let slot = Slot {
            name: "s".into(),
            plugin: "pgoutput".into(),
            database: "d".into(),
            temporary: false,
            active_pid: None,
            restart_lsn: None,
            confirmed_flush: None,
            wal_status,
            safe_wal_bytes,
            retained_bytes,
            invalidation: None,
            failover: false,
            synced: false,
        };
        assert_eq!(danger(&slot), expected, "{slot:?}");
    }

    #[test]
    fn a_slot_is_warned_of_before_it_is_lost_and_never_without_a_limit() {
        check(WalStatus::Reserved, 100, None, Danger::None);
        check(WalStatus::Extended, 1 << 40, None, Danger::None);
        check(WalStatus::Extended, 70, Some(30), Danger::None);
        check(WalStatus::Extended, 80, Some(20), Danger::Near);
        check(WalStatus::Extended, 100, Some(-5), Danger::Near);
        check(WalStatus::Unreserved, 100, Some(-5), Danger::Last);
        check(WalStatus::Lost, 0, None, Danger::Lost);
    }
}
