//! `cancel`: takes a move back that has not switched. The source is as it was, the target as before `apply`.

use super::complete::drop_direction;
use crate::{
    EngineError,
    context::MoveContext,
    runner::Runner,
    steps,
    switch::{script, sql},
};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::{Direction, labels};
use cleave_pg::{During, Session};
use serde_json::json;

/// Step of the journal.
const CANCEL: &str = "cancel";

impl Runner {
    /// Refuses to go on with a move that is half taken back.
    pub(super) async fn refuse_half_cancelled(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let entries = move_.entries(&*self.journal().await?).await?;
        let last = entries.iter().rev().find(|entry| entry.step == CANCEL);
        if last.is_some_and(|entry| entry.event == EntryEvent::Begin) {
            return Err(self.wrong_state("half cancelled", "apply", Some("cancel")));
        }
        Ok(())
    }

    /// Removes what `apply` has made. Repeated after a crash, it goes on.
    pub(crate) async fn cancel(&mut self) -> Result<(), EngineError> {
        let Some(row) = self.row().await? else {
            return Err(self.wrong_state("not started", "cancel", Some("apply")));
        };
        match row.state {
            MoveState::Cancelled => return Ok(()),
            MoveState::Planned | MoveState::Prepared | MoveState::Copying | MoveState::Following => {}
            MoveState::Switched => return Err(self.wrong_state("switched", "cancel", Some("rollback"))),
            other => return Err(self.wrong_state(other.as_str(), "cancel", None)),
        }
        let move_ = self.context(&row)?;
        let step = self.events.step(
            &self.service,
            "cancel",
            format!("removes what apply made in {} and {}", move_.m.name, move_.n.name),
        );
        // From here on there is no going on with `apply`: the slots go first.
        move_.journal_m(&*self.journal().await?, CANCEL, EntryEvent::Begin, &json!({})).await?;
        self.streams.stop_all().await;
        cleave_failpoint::hit_async("cancel.begin").await;
        for direction in [Direction::Back, Direction::Forward] {
            drop_direction(&move_, direction).await?;
            cleave_failpoint::hit_async("cancel.direction_dropped").await;
        }
        self.drop_target(&move_).await?;
        cleave_failpoint::hit_async("cancel.target_dropped").await;
        self.drop_origins(&move_).await?;
        cleave_failpoint::hit_async("cancel.origins_dropped").await;
        self.drop_bridge_role(&move_).await?;
        cleave_failpoint::hit_async("cancel.role_dropped").await;
        let m = self.journal().await?;
        for table in move_.plan.row_tables().filter(|table| table.set_identity.is_some()) {
            let name = table.source.qualified();
            let statement = format!("alter table {} replica identity default", name.quoted());
            steps::with_ladder(&move_, &m, &[statement], &[name]).await?;
        }
        if move_.plan.whole.is_some() {
            self.drop_old_fence(&move_, &m).await?;
        }
        cleave_failpoint::hit_async("cancel.end").await;
        sql(&m, "begin").await?;
        move_.m_lease.check(&*m).await?;
        cleave_journal::delete_owner(&*m, &self.service).await?;
        MoveRow::transition(&*m, &self.service, &[row.state], MoveState::Cancelled).await?;
        // What has stopped a stream is over with the stream.
        MoveRow::set_problem(&*m, &self.service, None).await?;
        move_.journal_m(&*m, CANCEL, EntryEvent::Done, &json!({})).await?;
        sql(&m, "commit").await?;
        step.finish("the service is where it was");
        Ok(())
    }

    /// The fence that a cutover of an upgrade has left on the source, open.
    async fn drop_old_fence(&self, move_: &MoveContext, m: &Session) -> Result<(), EngineError> {
        let (_, triggers) = cleave_plan::old_fence(&move_.plan, &self.service);
        let fenced = crate::switch::fenced_tables(m, &self.service).await?;
        for (table, _) in triggers.into_iter().filter(|(table, _)| fenced.contains(table)) {
            let drop = format!(
                "drop trigger if exists {} on {}",
                cleave_model::quote_ident(labels::FENCE_TRIGGER),
                table.quoted()
            );
            steps::with_ladder(move_, m, &[drop], std::slice::from_ref(&table)).await?;
        }
        let function = labels::fence_function(&self.service).quoted();
        sql(m, &format!("drop function if exists {}.{function}()", labels::CLEAVE_SCHEMA)).await
    }

    /// Only what this move made. Tables that somebody else has put into the schema, and views on ours, stop the step.
    async fn drop_target(&self, move_: &MoveContext) -> Result<(), EngineError> {
        if move_.plan.whole.is_some() {
            return Box::pin(crate::upgrade::drop_target(move_)).await;
        }
        let n = move_.n.connect("cancel").await?;
        if !cleave_journal::step_is_done(&*n, &self.service, move_.incarnation, "prepare_target").await? {
            return Ok(());
        }
        refuse_foreign_tables(&n, move_).await?;
        let schema = move_.plan.target_schema().quoted();
        let tables: Vec<String> =
            move_.plan.tables.iter().map(|table| table.target.qualified().quoted()).collect();
        let mut statements = vec![
            "begin".to_owned(),
            format!("drop table if exists {}", tables.join(", ")),
            // What is left in it are sequences, types and functions of ours.
            format!("drop schema if exists {schema} cascade"),
            format!(
                "drop function if exists {}.{}() cascade",
                labels::CLEAVE_SCHEMA,
                labels::fence_function(&self.service).quoted()
            ),
        ];
        statements.extend(move_.plan.script.cancel.iter().cloned());
        sql(&n, &script(&statements)).await?;
        move_.n_lease.check(&*n).await?;
        cleave_journal::delete_owner(&*n, &self.service).await?;
        move_.journal_n(&*n, "prepare_target", EntryEvent::Undone, &json!({})).await?;
        sql(&n, "commit").await
    }

    /// A cutover that was rolled back, or did not come to its end, has left the role. Its rights went with the target's
    /// tables.
    async fn drop_bridge_role(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let n = move_.n.connect("cancel").await?;
        if !crate::secret::drop_bridge_role(move_, &n).await? {
            let role = labels::bridge_role(&self.service);
            let message =
                format!("role {role} stays in {}: something there still depends on it", move_.n.name);
            move_.events.note(Some(&self.service), message);
        }
        Ok(())
    }

    /// Both slots are gone, so no reader can meet an origin of this move any more.
    async fn drop_origins(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let n = move_.n.connect("cancel").await?;
        let m = move_.m.connect("cancel").await?;
        cleave_pg::origins::drop(&n, &labels::origin(&self.service, Direction::Forward)).await?;
        cleave_pg::origins::drop(&m, &labels::origin(&self.service, Direction::Back)).await?;
        crate::detached::drop_origins(move_, &n).await
    }
}

async fn refuse_foreign_tables(n: &Session, move_: &MoveContext) -> Result<(), EngineError> {
    let ours: Vec<&str> = move_.plan.tables.iter().map(|table| table.target.name.as_str()).collect();
    let rows = n
        .query(
            "select c.relname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace s on s.oid = c.relnamespace
             where s.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname <> all ($2) order by 1 limit 5",
            &[&move_.plan.target_schema, &ours],
        )
        .await
        .during("looking for objects of others in the target schema")?;
    if rows.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let message = format!(
        "schema {} in {} holds what this move did not make: {}",
        move_.plan.target_schema,
        move_.n.name,
        names.join(", ")
    );
    Err(EngineError::gate("C0712", message).hint("move it elsewhere or drop it; then run the command again"))
}
