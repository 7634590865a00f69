//! One service of a switch: what it has for itself. The source, T and the budget are common to all.

use super::fence::sql;
use crate::{EngineError, context::MoveContext, pooler::Pooler, streams::StreamPair};
use cleave_journal::EntryEvent;
use cleave_model::{DatabaseName, Epoch, labels};
use cleave_pg::{During, Session};
use cleave_plan::SwitchScript;
use cleave_plan::cutover::{Round, Step};
use cleave_verify::RowsCheck;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a round is begun with, for each of its services.
pub(crate) struct Entrant<'a> {
    pub(crate) move_: &'a MoveContext,
    pub(crate) streams: &'a StreamPair,
    pub(crate) script: SwitchScript,
    /// Fingerprint of `script.fingerprint_oids` at the gates.
    pub(crate) fingerprint: String,
    /// Epoch that the switch sets.
    pub(crate) epoch: Epoch,
    /// Rows that never held still, to be compared once they do.
    pub(crate) unproven: Option<RowsCheck>,
}

/// A service in a round.
pub(super) struct Party<'a> {
    pub(super) move_: &'a MoveContext,
    pub(super) streams: &'a StreamPair,
    pub(super) round: Round,
    pub(super) script: SwitchScript,
    pub(super) epoch: Epoch,
    pub(super) fingerprint: String,
    /// On M or N: writes markers, flushed at once.
    pub(super) marker_session: Session,
    pub(super) n: Session,
    /// In a rollback: the open transaction that fences N.
    pub(super) tn: Option<Session>,
    pub(super) marker: String,
    pub(super) unproven: Option<RowsCheck>,
    pub(super) differing: u64,
    /// Less the databases that a service before it in the round holds already.
    pub(super) pooler: Option<Pooler>,
}

impl<'a> Party<'a> {
    pub(super) async fn new(round: Round, entrant: Entrant<'a>) -> Result<Self, EngineError> {
        let Entrant { move_, streams, script, fingerprint, epoch, unproven } = entrant;
        let home = if round == Round::Cutover { &move_.m } else { &move_.n };
        Ok(Self {
            marker_session: home.connect("switch marker").await?,
            n: move_.n.connect("switch").await?,
            move_,
            streams,
            round,
            script,
            epoch,
            fingerprint,
            tn: None,
            marker: String::new(),
            unproven,
            differing: 0,
            pooler: move_.pooler.clone(),
        })
    }

    /// The database that the round makes the home.
    pub(super) fn new_home(&self) -> &DatabaseName {
        match self.round {
            Round::Cutover => &self.move_.n.name,
            Round::Rollback => &self.move_.m.name,
        }
    }

    /// Step name in the journal.
    pub(super) fn step_name(&self, step: Step) -> String {
        format!("{}.{step}", self.round.as_str())
    }

    /// A line of M's journal that nothing depends on: recovery reads the owner row, these tell people what happened.
    pub(super) async fn entry(&self, m: &Session, step: Step, event: EntryEvent, detail: &Value) {
        let _ = self.move_.journal_m(&**m, &self.step_name(step), event, detail).await;
    }

    /// A line of M's journal about T, or in T.
    pub(super) async fn journal(
        &self,
        m: &Session,
        step: Step,
        event: EntryEvent,
        detail: &Value,
    ) -> Result<(), EngineError> {
        self.move_.journal_m(&**m, &self.step_name(step), event, detail).await
    }

    /// An unfenced marker makes the round trip in under a third of the budget, or the pause could not end in time.
    pub(super) async fn round_trip(&self) -> Result<(), EngineError> {
        let marker = self.new_marker("rehearsal");
        let limit = self.move_.limits.write_pause / 3;
        let began = Instant::now();
        self.emit(&marker).await?;
        let stream = self.streams.feeding_new_home(self.round)?;
        // A stream that was idle may need to be woken by its first change: three tries are fair.
        if stream.wait_for_marker(&marker, limit.max(Duration::from_millis(50)) * 3).await {
            if began.elapsed() <= limit {
                return Ok(());
            }
            let again = self.new_marker("rehearsal_2");
            let began = Instant::now();
            self.emit(&again).await?;
            if stream.wait_for_marker(&again, limit).await && began.elapsed() <= limit {
                return Ok(());
            }
        }
        let message = format!(
            "a marker did not make the round trip within {} ms, a third of write_pause",
            limit.as_millis()
        );
        Err(EngineError::gate("C0702", message)
            .hint("let the stream catch up (`cleave status`), raise write_pause, or try at a quieter time"))
    }

    /// A marker that no other round has used.
    pub(super) fn new_marker(&self, what: &str) -> String {
        let lease = self.move_.m_lease.epoch;
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        format!("{}/{}/{}/{lease}/{what}/{nanos}", self.move_.service, self.round.as_str(), self.epoch)
    }

    pub(super) async fn emit(&self, marker: &str) -> Result<(), EngineError> {
        self.marker_session
            .execute(
                "select pg_catalog.pg_logical_emit_message(true, $1, $2)",
                &[&labels::MESSAGE_MARKER, &marker],
            )
            .await
            .during("writing a marker")?;
        Ok(())
    }

    /// The marker behind the last write that the fence let through.
    pub(super) async fn write_marker(&mut self) -> Result<(), EngineError> {
        self.marker = self.new_marker("fence");
        self.emit(&self.marker).await
    }

    /// Waits until the other side has applied and flushed the marker; the caller limits the wait.
    pub(super) async fn drain(&self, left: Duration) -> Result<(), EngineError> {
        let stream = self.streams.feeding_new_home(self.round)?;
        if stream.wait_for_marker(&self.marker, left).await {
            return Ok(());
        }
        let message = match stream.problem() {
            Some(problem) => format!("the stream stopped during the drain: {problem}"),
            None => "the stream did not reach the marker within write_pause".to_owned(),
        };
        Err(EngineError::gate("C0701", message))
    }

    /// Compares the rows that never held still before: now they do, and both sides have all of them.
    pub(super) async fn compare_unproven(&mut self, t: &Session) -> Result<(), EngineError> {
        let Some(rows) = &self.unproven else { return Ok(()) };
        let differing = rows.differing(t).await?;
        self.differing = differing;
        if differing == 0 {
            return Ok(());
        }
        let message = format!("{differing} rows that the verification had left unproven differ");
        Err(EngineError::gate("C0620", message).next(&["verify", self.move_.service.as_str()]))
    }

    /// The definitions are those of the gates; T holds the locks.
    pub(super) async fn is_unaltered(&self, t: &Session) -> Result<(), EngineError> {
        let found = cleave_pg::fingerprint(t, &self.script.fingerprint_oids).await?;
        if found == self.fingerprint {
            return Ok(());
        }
        Err(EngineError::gate("C0704", "the tables were altered between the gates and the locks")
            .hint("run the command again; it makes its script anew"))
    }

    /// The open transaction on N; an error when an earlier failure has ended it.
    pub(super) fn tn(&self) -> Result<&Session, EngineError> {
        self.tn.as_ref().ok_or_else(|| {
            EngineError::gate("C0705", "the switch's transaction at the new home is no longer open")
        })
    }

    /// Rollback: writers of N queue; its fence lets the bridge's role through. The role stays let through: nobody can
    /// come by it while T holds the bridge, and if T dies after TN's commit, those who write through the old names go on
    /// at N at once, without waiting for somebody to repeat the command.
    pub(super) async fn fence_n(&self) -> Result<(), EngineError> {
        let mut statements = self.script.back.home_locks.clone();
        statements.push(self.script.target_fence.half_open.clone());
        sql(self.tn()?, &super::script(&statements)).await
    }

    /// One transaction on N: fence, nothing pending.
    pub(super) async fn settle_n(&self, session: &Session, fence: &str) -> Result<(), EngineError> {
        sql(session, "begin").await?;
        self.move_.n_lease.check(&**session).await?;
        sql(session, fence).await?;
        cleave_journal::clear_pending(&**session, &self.move_.service).await?;
        sql(session, "commit").await
    }

    /// `{ "epoch": ... }`, for the journal.
    pub(super) fn epoch_detail(&self) -> Value {
        json!({ "epoch": self.epoch.0 })
    }
}
