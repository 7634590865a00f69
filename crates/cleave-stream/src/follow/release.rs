//! While slices are read, nobody reads the stream's own slot: so it is moved along with what the target has durably
//! stored, by the server's own means, which read the log without decoding it. The source may forget that log, and the
//! walsender that comes after the slices has little to decode again. `docs/design/apply.md` says more.
//!
//! Nothing depends on it: whatever goes wrong here, the slot stays where it was, and the walsender begins there.

use super::FollowSpec;
use cleave_model::Lsn;
use cleave_pg::{Canceller, PgError, Session, connect, slots};
use std::time::Duration;
use tokio::{sync::watch, task::JoinSet, time::timeout};

/// Each move reads the log from the slot's restart position on. It takes about a millisecond for each MB.
const STEP_BYTES: u64 = 256 << 20;
/// Less than this is left to the walsender.
const GAIN_BYTES_MIN: u64 = 4 << 20;
/// One move may take so long on the server. A failover slot may have to wait for its standby.
const MOVE_LIMIT: Duration = Duration::from_secs(60);
/// How long the server may take to end a move that is not wanted any more.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// Moves the slot until told that the slices are through.
pub(super) struct Release {
    task: JoinSet<()>,
    canceller: Canceller,
    /// The slices are through, and this is what they handed over.
    through: watch::Sender<Option<Lsn>>,
}

impl Release {
    /// Starts, if the server can be trusted with it. `copy` is the temporary slot that the slices are read from.
    pub(super) async fn start(spec: &FollowSpec, copy: &str, flushed: watch::Receiver<Lsn>) -> Option<Self> {
        let session = connect(&spec.source, &format!("follow {}", spec.stream())).await.ok()?;
        if !slots::advance_is_safe(session.server_version_num()) {
            return None;
        }
        let limit = format!("set statement_timeout = {}", MOVE_LIMIT.as_millis());
        session.batch_execute(&limit).await.ok()?;
        let (through, told) = watch::channel(None);
        let canceller = session.canceller();
        let mut task = JoinSet::new();
        let mover = Mover { session, slot: spec.slot.clone(), copy: copy.to_owned(), flushed, told };
        task.spawn(async move {
            // Without it everything is as it would be: the walsender reads more.
            let _moved = mover.run().await;
        });
        Some(Self { task, canceller, through })
    }

    /// The slices are through, up to here. Once the target has stored that, the slot is moved a last time.
    pub(super) fn finish_at(&self, delivered: Lsn) {
        self.through.send_replace(Some(delivered));
    }

    /// Returns once nothing more will be done to the slot. Dropping the future changes nothing.
    pub(super) async fn ended(&mut self) {
        while self.task.join_next().await.is_some() {}
    }

    /// Gives up what is being done to the slot: somebody else wants to read it.
    pub(super) async fn give_up(mut self) {
        let _ended = timeout(FAREWELL_LIMIT, async {
            let _asked = self.canceller.cancel().await;
            self.task.abort_all();
            self.ended().await;
        })
        .await;
    }
}

/// Who moves it.
struct Mover {
    session: Session,
    slot: String,
    copy: String,
    flushed: watch::Receiver<Lsn>,
    told: watch::Receiver<Option<Lsn>>,
}

impl Mover {
    async fn run(mut self) -> Result<(), PgError> {
        while let Some((restart, confirmed)) = self.position(&self.slot).await? {
            let through = *self.told.borrow();
            let flushed = *self.flushed.borrow();
            if let Some(goal) = through
                && flushed >= goal
            {
                return self.last(restart).await;
            }
            // If the restart position stays, each move reads everything again: so they become rarer.
            let due = confirmed.0 + STEP_BYTES.max(confirmed.0.saturating_sub(restart.0));
            if through.is_none() && flushed.0 >= due {
                slots::advance(&self.session, &self.slot, flushed).await?;
                continue;
            }
            let seen = tokio::select! {
                seen = self.flushed.changed() => seen,
                seen = self.told.changed() => seen,
            };
            if seen.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The first move brings the slot to the restart position that it has met first, the second to the last.
    async fn last(&self, restart: Lsn) -> Result<(), PgError> {
        // Where the slices' own slot would begin again, this one could.
        let possible = self.position(&self.copy).await?.map_or(restart, |(restart, _)| restart);
        let mut restart = restart;
        for _ in 0..2 {
            if possible.0.saturating_sub(restart.0) < GAIN_BYTES_MIN {
                break;
            }
            let flushed = *self.flushed.borrow();
            slots::advance(&self.session, &self.slot, flushed).await?;
            restart = self.position(&self.slot).await?.map_or(restart, |(restart, _)| restart);
        }
        Ok(())
    }

    /// A slot's restart and confirmed positions.
    async fn position(&self, slot: &str) -> Result<Option<(Lsn, Lsn)>, PgError> {
        let slot = slots::health(&self.session, slot).await?;
        Ok(slot.and_then(|slot| Some((slot.restart_lsn?, slot.confirmed_flush?))))
    }
}
