//! `pause` and `resume`: the streams of a service stand still on purpose; their slots keep the log meanwhile.

use crate::{EngineError, runner::Runner};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use serde_json::json;

impl Runner {
    /// Stops the streams after their current transactions, and keeps them stopped until `resume`.
    pub(crate) async fn pause(&mut self) -> Result<(), EngineError> {
        let row = self.followed_row("pause").await?;
        let session = self.journal().await?;
        MoveRow::set_paused(&*session, &self.service, true).await?;
        self.streams.stop_all().await;
        let move_ = self.context(&row)?;
        move_.journal_m(&*session, "pause", EntryEvent::Note, &json!({})).await
    }

    /// Clears pause and problem and starts the streams again.
    pub(crate) async fn resume_streams(&mut self) -> Result<(), EngineError> {
        let row = self.followed_row("resume").await?;
        let session = self.journal().await?;
        MoveRow::set_paused(&*session, &self.service, false).await?;
        MoveRow::set_problem(&*session, &self.service, None).await?;
        let move_ = self.context(&row)?;
        move_.journal_m(&*session, "resume", EntryEvent::Note, &json!({})).await?;
        self.streams.stop_all().await;
        // What stops a stream again is told again.
        self.reported = [None, None];
        let copied = Box::pin(self.recopy_where_needed(&row)).await;
        // Where nothing is copied the streams go on as they were.
        Box::pin(self.resume()).await?;
        if copied? { self.drop_copy_origins(&row).await } else { Ok(()) }
    }

    /// The open move, or one that has ended and whose copy is still followed.
    async fn followed_row(&self, verb: &'static str) -> Result<MoveRow, EngineError> {
        match self.row().await? {
            Some(row) if row.state == MoveState::Done && self.context(&row)?.plan.copy_kept => Ok(row),
            _ => self.open_row(verb).await,
        }
    }
}
