//! How did T end? M alone can say.

use super::{locks, run::Switch};
use crate::EngineError;
use cleave_journal::EntryEvent;
use cleave_plan::cutover::{Decision, Event, Step};
use std::time::{Duration, Instant};

/// How long M is asked before the command gives up; nothing is decided then, and the same command asks again.
const RESOLVE_LIMIT: Duration = Duration::from_secs(120);
const RESOLVE_WAIT: Duration = Duration::from_millis(200);

impl Switch<'_> {
    /// Ends T if it is still in progress, then reads M's owner row.
    pub(super) async fn resolve(&mut self) -> Result<Event, EngineError> {
        self.forget_transactions();
        let began = Instant::now();
        loop {
            match self.ask().await {
                Ok(Some(decision)) => return Ok(Event::Found(decision)),
                Ok(None) => {}
                Err(error) if began.elapsed() > RESOLVE_LIMIT => return Err(error),
                Err(_) => self.reconnect().await,
            }
            if began.elapsed() > RESOLVE_LIMIT {
                let message =
                    "the switch's transaction is still in progress on the source and cannot be ended";
                return Err(EngineError::gate("C0707", message)
                    .hint("end the session `cleave switch T` on the source"));
            }
            tokio::time::sleep(RESOLVE_WAIT).await;
        }
    }

    /// `None` while T is in progress.
    async fn ask(&mut self) -> Result<Option<Decision>, EngineError> {
        let session = self.move_.m.connect("switch resolve").await?;
        if let Some((xid, pid)) = self.last_transaction(&session).await?
            && locks::is_in_progress(&session, &xid).await?
        {
            locks::terminate_transaction(&session, &xid, pid).await?;
            return Ok(None);
        }
        // T has written the rows of all services, or of none: the first one's says it for all.
        let Some(party) = self.parties.first() else { return Ok(Some(Decision::Aborted)) };
        let owner = cleave_journal::owner(&*session, &party.move_.service).await?;
        let committed = owner.is_some_and(|owner| owner.epoch >= party.epoch);
        Ok(Some(if committed { Decision::Committed } else { Decision::Aborted }))
    }

    /// Number and process of the last T of this round, as its fence journaled them.
    async fn last_transaction(
        &self,
        session: &cleave_pg::Session,
    ) -> Result<Option<(String, i32)>, EngineError> {
        let Some(party) = self.parties.first() else { return Ok(None) };
        let name = party.step_name(Step::Fence);
        let entries = party.move_.entries(&**session).await?;
        let begun = entries.iter().rev().find(|entry| entry.step == name && entry.event == EntryEvent::Begin);
        Ok(begun.and_then(|entry| {
            let xid = entry.detail.get("xid")?.as_str()?.to_owned();
            let pid = i32::try_from(entry.detail.get("pid")?.as_i64()?).ok()?;
            Some((xid, pid))
        }))
    }
}
