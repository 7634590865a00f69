//! The side that gives way says so durably, just before the point of no return.

use super::{
    fence::{script, sql},
    run::Switch,
};
use crate::EngineError;
use cleave_journal::EntryEvent;
use cleave_pg::Session;
use cleave_plan::cutover::Step;
use serde_json::json;

impl Switch<'_> {
    /// Cutover: N's fence lets the bridge's role through, which has no bridge yet; N's owner row says that M decides.
    pub(super) async fn half_open(&mut self) -> Result<(), EngineError> {
        let result = self.half_open_in(&self.n).await;
        if result.is_err() {
            // The session is used again; an error here shows at its next use.
            let _ = sql(&self.n, "rollback").await;
        }
        result
    }

    async fn half_open_in(&self, session: &Session) -> Result<(), EngineError> {
        sql(session, "begin").await?;
        self.move_.n_lease.check(&**session).await?;
        sql(session, &self.script.target_fence.half_open).await?;
        let (service, home) = (&self.move_.service, self.new_home());
        cleave_journal::set_pending(&**session, service, home, self.epoch).await?;
        let detail = json!({ "epoch": self.epoch.0 });
        self.move_.journal_n(&**session, &self.step_name(Step::HalfOpen), EntryEvent::Done, &detail).await?;
        sql(session, "commit").await
    }

    /// Takes [`Self::half_open`] back. The fence is closed first; then SHARE ROW EXCLUSIVE is taken and released, so
    /// that no statement begun before is still writing.
    pub(super) async fn close_half_open(&mut self) -> Result<(), EngineError> {
        let session = self.move_.n.connect("switch close").await?;
        self.settle_n(&session, &self.script.target_fence.closed.clone()).await?;
        let tables: Vec<String> =
            self.move_.plan.tables.iter().map(|table| table.target.qualified().quoted()).collect();
        // Whoever undoes tries again when a lock is not to be had in time.
        let lock = format!(
            "begin; set local lock_timeout = '{}ms'; lock table only {} in share row exclusive mode; commit",
            self.move_.limits.lock_timeout.as_millis(),
            tables.join(", only ")
        );
        sql(&session, &lock).await
    }

    /// Rollback: TN commits with the fence closed to everybody but the bridge, which T holds.
    pub(super) async fn close(&mut self) -> Result<(), EngineError> {
        let Some(tn) = self.held.as_mut().and_then(|held| held.tn.take()) else {
            return Err(EngineError::gate(
                "C0705",
                "the switch's transaction at the new home is no longer open",
            ));
        };
        self.move_.n_lease.check(&*tn).await?;
        cleave_journal::set_pending(&*tn, &self.move_.service, self.new_home(), self.epoch).await?;
        let detail = json!({ "epoch": self.epoch.0 });
        self.move_.journal_n(&*tn, &self.step_name(Step::Close), EntryEvent::Done, &detail).await?;
        // The sequences go back to their names with the commit.
        sql(&tn, &script(&[self.home_sequences_back(), "commit".to_owned()])).await
    }

    /// Takes [`Self::close`] back: M has not decided, N goes on as the home.
    pub(super) async fn reopen(&mut self) -> Result<(), EngineError> {
        let session = self.move_.n.connect("switch reopen").await?;
        self.settle_n(&session, &self.script.target_fence.open.clone()).await
    }

    /// One transaction on N: fence, nothing pending.
    async fn settle_n(&self, session: &Session, fence: &str) -> Result<(), EngineError> {
        sql(session, "begin").await?;
        self.move_.n_lease.check(&**session).await?;
        sql(session, fence).await?;
        cleave_journal::clear_pending(&**session, &self.move_.service).await?;
        sql(session, "commit").await
    }

    fn home_sequences_back(&self) -> String {
        let renames = self.move_.plan.sequences.iter().map(|sequence| {
            let target = sequence.target.qualified();
            format!(
                "alter sequence {}.{} rename to {}",
                target.schema.quoted(),
                cleave_model::quote_ident(&cleave_plan::retired_sequence_name(sequence.source_oid)),
                target.name.quoted()
            )
        });
        renames.collect::<Vec<_>>().join(";\n")
    }
}
