//! The switch itself, and what may only follow once it is known.

use super::{
    fence::{script, sql},
    run::Switch,
};
use crate::EngineError;
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::labels;
use cleave_pg::During;
use cleave_plan::cutover::{Round, Step};
use serde_json::json;

impl Switch<'_> {
    /// T's last statements and its commit: the point of no return.
    pub(super) async fn switch(&mut self) -> Result<(), EngineError> {
        let left = self.remaining().unwrap_or_default().as_millis().max(1);
        let held = self.held()?;
        let t = &held.t;
        let mut statements = vec![format!("set local statement_timeout = '{left}ms'")];
        match self.round {
            Round::Cutover => statements.extend(self.script.switch.iter().cloned()),
            Round::Rollback => {
                statements.extend(self.script.back.copy_locks.iter().cloned());
                statements.extend(self.script.back.switch.iter().cloned());
            }
        }
        sql(t, &script(&statements)).await?;
        let (service, home) = (&self.move_.service, self.new_home());
        self.move_.m_lease.check(&**t).await?;
        if !cleave_journal::set_owner(&**t, service, home, self.epoch).await? {
            return Err(EngineError::gate("C0706", format!("epoch {} has been reached already", self.epoch)));
        }
        let (from, to) = match self.round {
            Round::Cutover => (MoveState::Following, MoveState::Switched),
            Round::Rollback => (MoveState::Switched, MoveState::Following),
        };
        MoveRow::transition(&**t, service, &[from], to).await?;
        let message = json!({ "service": service.as_str(), "epoch": self.epoch.0, "home": home.as_str() });
        t.execute(
            "select pg_catalog.pg_logical_emit_message(true, $1, $2)",
            &[&labels::MESSAGE_SWITCH, &message.to_string()],
        )
        .await
        .during("writing the switch's message")?;
        let detail = json!({ "epoch": self.epoch.0, "home": home.as_str() });
        self.move_.journal_m(&**t, &self.step_name(Step::Switch), EntryEvent::Done, &detail).await?;
        cleave_failpoint::hit_async("switch.commit.before").await;
        sql(t, "commit").await?;
        self.held = None;
        Ok(())
    }

    /// N learns what M has decided. The forward stream may have told it already.
    pub(super) async fn open(&mut self) -> Result<(), EngineError> {
        self.held = None;
        let session = self.move_.n.connect("switch open").await?;
        sql(&session, "begin").await?;
        self.move_.n_lease.check(&*session).await?;
        let fence = match self.round {
            Round::Cutover => &self.script.target_fence.open,
            Round::Rollback => &self.script.target_fence.closed,
        };
        sql(&session, fence).await?;
        let (service, home) = (&self.move_.service, self.new_home());
        if self.round == Round::Cutover {
            // In a rollback N's owner row is written by the forward stream when it meets the switch's message: only
            // then may it apply what M writes from now on.
            cleave_journal::set_owner(&*session, service, home, self.epoch).await?;
        }
        let detail = json!({ "epoch": self.epoch.0, "home": home.as_str() });
        self.move_.journal_n(&*session, &self.step_name(Step::Open), EntryEvent::Done, &detail).await?;
        sql(&session, "commit").await
    }
}
