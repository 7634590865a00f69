//! `complete`: the only step that cannot be undone. The way back is removed.

use crate::bridge_use::{has_bridge, refuse_use};
use crate::{EngineError, context::MoveContext, runner::Runner, steps, switch::sql};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::{Direction, labels};
use serde_json::json;
use std::time::Duration;

/// How long the copy's stream may take to pass what the forward stream has written.
const PASS_LIMIT: Duration = Duration::from_secs(60);
/// How long dropping a slot may take, its walsender included.
const DROP_LIMIT: Duration = Duration::from_secs(30);

impl Runner {
    /// Ends the move: from `switched` to `done`. Repeated after a crash, it goes on from `completing`.
    pub(crate) async fn complete(&mut self) -> Result<(), EngineError> {
        let Some(row) = self.row().await? else {
            return Err(self.wrong_state("not started", "complete", Some("apply")));
        };
        if row.state == MoveState::Done {
            return Ok(());
        }
        if !matches!(row.state, MoveState::Switched | MoveState::Completing) {
            return Err(self.wrong_state(row.state.as_str(), "complete", Some("cutover")));
        }
        let move_ = self.context(&row)?;
        if row.state == MoveState::Switched && move_.plan.copy_kept {
            // What follows cannot be undone, and a copy that nothing keeps current must not be what is left.
            self.stream_gate(Direction::Back)?;
        }
        let m = self.journal().await?;
        if row.state == MoveState::Switched && !self.wishes.bridge_in_use && has_bridge(&row)? {
            let n = move_.n.connect("complete").await?;
            refuse_use((&m, &n), &self.service).await?;
        }
        MoveRow::transition(&*m, &self.service, &[MoveState::Switched], MoveState::Completing).await?;
        cleave_failpoint::hit_async("complete.begin").await;
        if move_.plan.whole.is_some() {
            self.refuse_late_tables(&move_).await?;
        }
        self.drop_forward(&move_).await?;
        self.open_home(&move_).await?;
        if move_.plan.copy_kept {
            self.pass_forward_origin(&move_).await?;
        } else {
            self.drop_old(&move_).await?;
        }
        cleave_failpoint::hit_async("complete.end").await;
        sql(&m, "begin").await?;
        move_.m_lease.check(&*m).await?;
        MoveRow::transition(&*m, &self.service, &[MoveState::Completing], MoveState::Done).await?;
        move_.journal_m(&*m, "complete", EntryEvent::Done, &json!({})).await?;
        sql(&m, "commit").await?;
        if let Some(Err(error)) = move_.pooler.as_ref().map(crate::pooler::Pooler::forget) {
            // A comment in a file that leads nobody astray.
            self.events
                .note(Some(&self.service), format!("{error}; the comment in it can be removed by hand"));
        }
        Ok(())
    }

    /// A table made in M by a transaction that was open during the cutover has no fence: its rows would be left behind
    /// unseen.
    async fn refuse_late_tables(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let m = move_.m.connect("complete").await?;
        crate::upgrade::strays::refuse(&m, &move_.m.name, &move_.plan).await
    }

    /// Stream, slot and publication of the forward direction; its origin on N once no slot there can meet it.
    async fn drop_forward(&mut self, move_: &MoveContext) -> Result<(), EngineError> {
        let step = self.events.step(&self.service, "drop_forward", "ends the stream to the new home");
        self.streams.stop(Direction::Forward).await;
        drop_direction(move_, Direction::Forward).await?;
        cleave_failpoint::hit_async("complete.forward_dropped").await;
        step.finish("a rollback is no longer possible");
        Ok(())
    }

    /// The origin of the forward stream goes once the copy's stream has passed its last use: a reader that met a
    /// transaction with a dropped origin would take it for a client's.
    async fn pass_forward_origin(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let n = move_.n.connect("complete").await?;
        let marker = format!("{}/complete/{}/{}", self.service, self.m_lease.epoch, n.backend_pid());
        cleave_pg::wal::emit_message(&n, labels::MESSAGE_MARKER, &marker).await?;
        let passed = match self.streams.get(Direction::Back) {
            Some(stream) => stream.wait_for_marker(&marker, PASS_LIMIT).await,
            None => false,
        };
        if !passed {
            let message =
                "the copy's stream is behind: the forward origin stays until the command is run again";
            return Err(EngineError::gate("C0715", message).next(&["complete", self.service.as_str()]));
        }
        cleave_pg::origins::drop(&n, &labels::origin(&self.service, Direction::Forward)).await?;
        crate::detached::drop_origins(move_, &n).await?;
        cleave_failpoint::hit_async("complete.origin_dropped").await;
        Ok(())
    }

    /// N's fence goes, and identity columns become what they were.
    async fn open_home(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let step =
            self.events.step(&self.service, "open_home", format!("removes the fence in {}", move_.n.name));
        let n = move_.n.connect("complete").await?;
        let unlogged = move_.plan.whole.iter().flat_map(|whole| &whole.unlogged);
        let tables: Vec<_> = move_
            .plan
            .tables
            .iter()
            .map(|table| &table.target)
            .chain(unlogged)
            .map(cleave_plan::Name::qualified)
            .collect();
        for table in &tables {
            let statement = format!(
                "drop trigger if exists {} on {}",
                cleave_model::quote_ident(labels::FENCE_TRIGGER),
                table.quoted()
            );
            steps::with_ladder(move_, &n, &[statement], std::slice::from_ref(table)).await?;
        }
        cleave_failpoint::hit_async("complete.home_open").await;
        step.finish("the tables at the new home are ordinary tables");
        Ok(())
    }

    /// Without a copy the old tables go, and with them the way back's stream. A view or key that still needs them
    /// stops the step by name; nothing is cascaded.
    async fn drop_old(&mut self, move_: &MoveContext) -> Result<(), EngineError> {
        let step = self.events.step(
            &self.service,
            "drop_old",
            match move_.plan.whole {
                Some(_) => format!("ends the stream back to {}", move_.m.name),
                None => format!("drops the old tables in {}", move_.m.name),
            },
        );
        self.streams.stop(Direction::Back).await;
        drop_direction(move_, Direction::Back).await?;
        let n = move_.n.connect("complete").await?;
        cleave_pg::origins::drop(&n, &labels::origin(&self.service, Direction::Forward)).await?;
        crate::detached::drop_origins(move_, &n).await?;
        cleave_failpoint::hit_async("complete.back_dropped").await;
        let m = move_.m.connect("complete").await?;
        cleave_pg::origins::drop(&m, &labels::origin(&self.service, Direction::Back)).await?;
        cleave_failpoint::hit_async("complete.origins_dropped").await;
        if move_.plan.whole.is_some() {
            for session in [&m, &n] {
                identities_back(move_, session).await?;
            }
            step.finish(format!(
                "database {} stays as it is, fenced: drop it when nobody needs it any more",
                move_.m.name
            ));
            return Ok(());
        }
        let schema = move_.plan.copy_schema();
        let tables: Vec<_> =
            move_.plan.tables.iter().map(|t| t.source.qualified().in_schema(&schema)).collect();
        let names: Vec<String> = tables.iter().map(|table| table.quoted()).collect();
        let mut statements = vec![format!("drop table if exists {}", names.join(", "))];
        statements.extend(move_.plan.sequences.iter().filter(|sequence| !sequence.owned).map(|sequence| {
            format!("drop sequence if exists {}", sequence.source.qualified().in_schema(&schema).quoted())
        }));
        statements.push(format!("drop schema if exists {}", schema.quoted()));
        steps::with_ladder(move_, &m, &statements, &tables).await?;
        cleave_failpoint::hit_async("complete.old_dropped").await;
        step.finish("nothing of the service's tables is left behind");
        Ok(())
    }
}

/// Replica identities that `apply` has set for the streams of an upgrade, on either side: names are the same.
async fn identities_back(move_: &MoveContext, session: &cleave_pg::Session) -> Result<(), EngineError> {
    for table in move_.plan.row_tables().filter(|table| table.set_identity.is_some()) {
        let name = table.source.qualified();
        let statement = format!("alter table only {} replica identity default", name.quoted());
        steps::with_ladder(move_, session, &[statement], &[name]).await?;
    }
    Ok(())
}

/// Drops slot, publication and position of a direction. Safe to repeat.
pub(super) async fn drop_direction(move_: &MoveContext, direction: Direction) -> Result<(), EngineError> {
    let source = move_.source_of(direction).connect("drop stream").await?;
    let target = move_.target_of(direction).connect("drop stream").await?;
    // No transaction spans a slot: an operator that was stopped and wakes late must not get this far.
    move_.target_lease_of(direction.opposite()).check(&*source).await?;
    move_.target_lease_of(direction).check(&*target).await?;
    cleave_pg::slots::drop(&source, &move_.slot(direction), DROP_LIMIT).await?;
    if direction == Direction::Forward {
        crate::detached::drop_slots(move_, &source).await?;
    }
    cleave_failpoint::hit_async("drop_direction.slot").await;
    let publication = labels::publication(&move_.service, direction);
    sql(&source, &format!("drop publication if exists {}", publication.quoted())).await?;
    cleave_failpoint::hit_async("drop_direction.publication").await;
    cleave_journal::delete_stream(&*target, &move_.stream(direction)).await?;
    Ok(())
}
