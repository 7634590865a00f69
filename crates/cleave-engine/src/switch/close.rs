//! The side that gives way says so durably, just before the point of no return.

use super::{
    fence::{script, sql},
    party::Party,
    run::Switch,
};
use crate::EngineError;
use cleave_journal::EntryEvent;
use cleave_plan::cutover::Step;

impl Switch<'_> {
    /// Cutover: each N's fence lets the bridge's role through, which has no bridge yet; its owner row says that M decides.
    pub(super) async fn half_open(&mut self) -> Result<(), EngineError> {
        for (at, party) in self.parties.iter().enumerate() {
            between(at, "switch.between_half_open").await;
            if let Err(error) = party.half_open().await {
                // The session is used again; an error here shows at its next use.
                let _ = sql(&party.n, "rollback").await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes [`Self::half_open`] back. Safe for a service whose turn had not come.
    pub(super) async fn close_half_open(&mut self) -> Result<(), EngineError> {
        for (at, party) in self.parties.iter().enumerate() {
            between(at, "switch.between_undo_half_open").await;
            party.close_half_open().await?;
        }
        Ok(())
    }

    /// Rollback: each TN commits with the fence closed to everybody but the bridge, which T holds.
    pub(super) async fn close(&mut self) -> Result<(), EngineError> {
        for (at, party) in self.parties.iter_mut().enumerate() {
            between(at, "switch.between_close").await;
            party.close().await?;
        }
        Ok(())
    }

    /// Takes [`Self::close`] back: M has not decided, each N goes on as the home.
    pub(super) async fn reopen(&mut self) -> Result<(), EngineError> {
        for (at, party) in self.parties.iter().enumerate() {
            between(at, "switch.between_undo_close").await;
            let session = party.move_.n.connect("switch reopen").await?;
            party.settle_n(&session, &party.script.target_fence.open).await?;
        }
        Ok(())
    }
}

/// A kill point between what is done for one service and for the next.
pub(super) async fn between(at: usize, point: &'static str) {
    if at > 0 {
        cleave_failpoint::hit_async(point).await;
    }
}

impl Party<'_> {
    async fn half_open(&self) -> Result<(), EngineError> {
        sql(&self.n, "begin").await?;
        self.move_.n_lease.check(&*self.n).await?;
        sql(&self.n, &self.script.target_fence.half_open).await?;
        cleave_journal::set_pending(&*self.n, &self.move_.service, self.new_home(), self.epoch).await?;
        let (step, detail) = (self.step_name(Step::HalfOpen), self.epoch_detail());
        self.move_.journal_n(&*self.n, &step, EntryEvent::Done, &detail).await?;
        sql(&self.n, "commit").await
    }

    /// The fence is closed first; then SHARE ROW EXCLUSIVE is taken and released, so that no statement begun before is
    /// still writing.
    async fn close_half_open(&self) -> Result<(), EngineError> {
        let session = self.move_.n.connect("switch close").await?;
        self.settle_n(&session, &self.script.target_fence.closed).await?;
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

    async fn close(&mut self) -> Result<(), EngineError> {
        let Some(tn) = self.tn.take() else { return self.tn().map(|_| ()) };
        self.move_.n_lease.check(&*tn).await?;
        cleave_journal::set_pending(&*tn, &self.move_.service, self.new_home(), self.epoch).await?;
        let (step, detail) = (self.step_name(Step::Close), self.epoch_detail());
        self.move_.journal_n(&*tn, &step, EntryEvent::Done, &detail).await?;
        // The sequences go back to their names with the commit.
        sql(&tn, &script(&[self.home_sequences_back(), "commit".to_owned()])).await
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
