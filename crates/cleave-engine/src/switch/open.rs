//! The switch itself, and what may only follow once it is known.

use super::{
    close::between,
    fence::{script, sql},
    party::Party,
    run::Switch,
};
use crate::EngineError;
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::labels;
use cleave_pg::{During, Session};
use cleave_plan::cutover::{Round, Step};
use serde_json::{Value, json};

impl Switch<'_> {
    /// T's last statements and its commit: the point of no return, for all services.
    pub(super) async fn switch(&mut self) -> Result<(), EngineError> {
        let left = self.remaining().unwrap_or_default().as_millis().max(1);
        let t = self.t()?;
        let mut statements = vec![format!("set local statement_timeout = '{left}ms'")];
        let scripts = self.parties.iter().map(|party| &party.script);
        match self.round {
            Round::Cutover => {
                statements.extend(self.between.iter().map(|key| key.drop.clone()));
                statements.extend(scripts.flat_map(|script| script.switch.iter().cloned()));
            }
            Round::Rollback => {
                statements.extend(scripts.clone().flat_map(|script| script.back.copy_locks.iter().cloned()));
                statements.extend(scripts.flat_map(|script| script.back.switch.iter().cloned()));
                statements.extend(self.between.iter().flat_map(|key| key.restore.iter().cloned()));
            }
        }
        sql(t, &script(&statements)).await?;
        for (at, party) in self.parties.iter().enumerate() {
            between(at, "switch.between_switch").await;
            party.decide(t, self.fellows(party)).await?;
        }
        cleave_failpoint::hit_async("switch.commit.before").await;
        sql(t, "commit").await?;
        self.t = None;
        Ok(())
    }

    /// Each N learns what M has decided. The forward stream may have told it already.
    pub(super) async fn open(&mut self) -> Result<(), EngineError> {
        self.forget_transactions();
        for (at, party) in self.parties.iter().enumerate() {
            between(at, "switch.between_open").await;
            party.open(self.fellows(party)).await?;
        }
        Ok(())
    }
}

impl Party<'_> {
    fn decided(&self, fellows: &[String]) -> Value {
        let mut detail = json!({ "epoch": self.epoch.0, "home": self.new_home().as_str() });
        if !fellows.is_empty() {
            detail["with"] = json!(fellows);
        }
        detail
    }

    /// What T says of this service.
    async fn decide(&self, t: &Session, fellows: Vec<String>) -> Result<(), EngineError> {
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
        self.journal(t, Step::Switch, EntryEvent::Done, &self.decided(&fellows)).await
    }

    async fn open(&self, fellows: Vec<String>) -> Result<(), EngineError> {
        let session = self.move_.n.connect("switch open").await?;
        sql(&session, "begin").await?;
        self.move_.n_lease.check(&*session).await?;
        let fence = match self.round {
            Round::Cutover => &self.script.target_fence.open,
            Round::Rollback => &self.script.target_fence.closed,
        };
        sql(&session, fence).await?;
        if self.round == Round::Cutover {
            // In a rollback N's owner row is written by the forward stream when it meets the switch's message: only
            // then may it apply what M writes from now on.
            cleave_journal::set_owner(&*session, &self.move_.service, self.new_home(), self.epoch).await?;
        }
        let (step, detail) = (self.step_name(Step::Open), self.decided(&fellows));
        self.move_.journal_n(&*session, &step, EntryEvent::Done, &detail).await?;
        sql(&session, "commit").await
    }
}
