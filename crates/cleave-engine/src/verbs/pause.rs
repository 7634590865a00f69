//! `pause` and `resume`: the streams of a service stand still on purpose; their slots keep the log meanwhile.

use crate::{EngineError, runner::Runner};
use cleave_journal::{EntryEvent, MoveRow};
use serde_json::json;

impl Runner {
    /// Stops the streams after their current transactions, and keeps them stopped until `resume`.
    pub(crate) async fn pause(&mut self) -> Result<(), EngineError> {
        let row = self.open_row("pause").await?;
        let session = self.journal().await?;
        MoveRow::set_paused(&*session, &self.service, true).await?;
        self.streams.stop_all().await;
        let move_ = self.context(&row)?;
        move_.journal_m(&*session, "pause", EntryEvent::Note, &json!({})).await
    }

    /// Clears pause and problem and starts the streams again.
    pub(crate) async fn resume_streams(&mut self) -> Result<(), EngineError> {
        let row = self.open_row("resume").await?;
        let session = self.journal().await?;
        MoveRow::set_paused(&*session, &self.service, false).await?;
        MoveRow::set_problem(&*session, &self.service, None).await?;
        let move_ = self.context(&row)?;
        move_.journal_m(&*session, "resume", EntryEvent::Note, &json!({})).await?;
        self.streams.stop_all().await;
        self.resume().await
    }
}
