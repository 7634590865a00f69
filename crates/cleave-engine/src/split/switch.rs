//! `cutover` and `rollback`: one transaction in which keys, views, functions and the right to write change together.

use super::keys::unknown_keys;
use super::work::{Budget, Pause, Records, SplitWork, Started};
use crate::hooks::{Moment, Occasion};
use crate::{Answer, EngineError};
use cleave_api::{CutoverOutcome, CutoverReport, StepTime, SwitchDirection};
use cleave_journal::{MoveRow, MoveState, VerificationOutcome};
use cleave_model::Epoch;
use cleave_pg::{During, Session};
use cleave_plan::cutover::Round;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

impl SplitWork {
    /// Services read and write their parts from then on; the old name goes on as it was.
    pub(super) async fn cutover(&self, dry_run: bool) -> Result<Answer, EngineError> {
        let session = self.site.connect("cutover").await?;
        let started = self.started(&session, "cutover", &[MoveState::Following], Some("apply")).await?;
        self.gates(&session, &started).await?;
        if dry_run {
            return self
                .report(&session, SwitchDirection::Cutover, CutoverOutcome::Rehearsed, &[], None)
                .await;
        }
        let began = Instant::now();
        self.keys_to_parts(&session, &started).await?;
        let keys = began.elapsed();
        let script = &started.plan.script;
        let mut groups = vec![script.open.clone()];
        groups.extend(script.references.iter().map(|reference| reference.to_part.switch.clone()));
        groups.push(script.repoint.clone());
        let to = (&[MoveState::Following][..], MoveState::Switched);
        self.switch(&session, &started, SwitchDirection::Cutover, (groups, to), keys).await
    }

    /// Everything reads and writes the table again; it has every row as it is.
    pub(super) async fn rollback(&self, dry_run: bool) -> Result<Answer, EngineError> {
        let session = self.site.connect("rollback").await?;
        let started = self.started(&session, "rollback", &[MoveState::Switched], Some("cutover")).await?;
        self.same_columns(&session, &started).await?;
        if dry_run {
            return self
                .report(&session, SwitchDirection::Rollback, CutoverOutcome::Rehearsed, &[], None)
                .await;
        }
        let began = Instant::now();
        self.keys_to_table(&session, &started).await?;
        let keys = began.elapsed();
        let script = &started.plan.script;
        let mut groups = vec![script.close.clone()];
        groups.extend(script.references.iter().map(|reference| reference.to_table.switch.clone()));
        groups.push(script.restore.clone());
        let to = (&[MoveState::Switched][..], MoveState::Following);
        self.switch(&session, &started, SwitchDirection::Rollback, (groups, to), keys).await
    }

    async fn switch(
        &self,
        session: &Session,
        started: &Started,
        direction: SwitchDirection,
        (groups, to): (Vec<Vec<String>>, (&[MoveState], MoveState)),
        keys: Duration,
    ) -> Result<Answer, EngineError> {
        let (name, round) = match direction {
            SwitchDirection::Cutover => ("split.cutover", Round::Cutover),
            SwitchDirection::Rollback => ("split.rollback", Round::Rollback),
        };
        let epoch =
            cleave_journal::owner(&**session, &self.name).await?.map_or(Epoch(0), |owner| owner.epoch);
        let journal = self.site.connect("journal").await?;
        let home = self.database();
        let epoch = Epoch(epoch.0 + 1);
        let occasion = Occasion { round, epoch, home_from: home, home_to: home, services: &[] };
        let around = Pause { journal: &journal, occasion };
        self.hooks(started.row.id, Moment::BeforeSwitch, around, Duration::MAX).await?;
        let step = self.events.step(&self.name, name, "changes keys, views and the right to write");
        cleave_failpoint::hit_async("split.switch.before").await;
        let records = Records { step: name, to: Some(to), epoch: Some(occasion.epoch), pause: Some(around) };
        let tables = started.plan.tables();
        let groups: Vec<Vec<String>> = groups.into_iter().filter(|group| !group.is_empty()).collect();
        let switched =
            self.transact(session, started.row.id, &groups, records, (Budget::WritePause, &tables)).await;
        let pause = match switched {
            Ok(pause) => pause,
            Err(EngineError::Gate { code: "C0703", message, .. }) => {
                step.finish("nothing has changed");
                return self.report(session, direction, CutoverOutcome::Aborted, &[], Some(message)).await;
            }
            Err(error) => return Err(error),
        };
        cleave_failpoint::hit_async("split.switch.after").await;
        MoveRow::set_verification(&**session, &self.name, None).await?;
        step.finish(match direction {
            SwitchDirection::Cutover => "the parts take writes, and the table does too",
            SwitchDirection::Rollback => "everything leads to the table again",
        });
        self.hooks(started.row.id, Moment::AfterSwitch, around, Duration::MAX).await?;
        let times = [("keys", keys), ("switch", pause)];
        self.report(session, direction, CutoverOutcome::Switched, &times, None).await
    }

    async fn report(
        &self,
        session: &Session,
        direction: SwitchDirection,
        outcome: CutoverOutcome,
        times: &[(&str, Duration)],
        reason: Option<String>,
    ) -> Result<Answer, EngineError> {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let owner = cleave_journal::owner(&**session, &self.name).await?;
        Ok(Answer::Switch(CutoverReport {
            service: self.name.to_string(),
            direction,
            outcome,
            pause_ms: times.last().map_or(0, |(_, time)| ms(*time)),
            budget_ms: ms(self.limits().write_pause),
            steps: times
                .iter()
                .map(|(name, time)| StepTime { name: (*name).to_owned(), ms: ms(*time) })
                .collect(),
            epoch: owner.map_or(0, |owner| owner.epoch.0),
            home: self.database().to_string(),
            reason,
            with: Vec::new(),
        }))
    }

    async fn gates(&self, session: &Session, started: &Started) -> Result<(), EngineError> {
        self.proven(started)?;
        self.same_columns(session, started).await?;
        let table = started.plan.table.qualified();
        let unknown = unknown_keys(session, &table, &started.plan.script.references).await?;
        if let Some(first) = unknown.first() {
            return Err(EngineError::gate(
                "C1145",
                format!("{first} leads to {table}, and no part of the split is reached by it"),
            )
            .hint("`cleave cancel`, name it in `reached_by`, and apply anew"));
        }
        Ok(())
    }

    fn proven(&self, started: &Started) -> Result<(), EngineError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let verification = started.row.verification.as_ref();
        let age = verification.map(|verification| now.saturating_sub(verification.at_epoch_s));
        let message = match verification.map(|verification| verification.outcome) {
            Some(VerificationOutcome::Clean)
                if age.is_some_and(|age| age <= self.limits().verify_max_age.as_secs()) =>
            {
                return Ok(());
            }
            Some(VerificationOutcome::Clean) => "the last comparison of table and parts is too old",
            Some(_) => "table and parts differ",
            None => "table and parts have not been compared",
        };
        Err(EngineError::gate("C1158", message).next(&["verify", self.name.as_str()]))
    }

    /// A column that was added since would be missing from the parts.
    async fn same_columns(&self, session: &Session, started: &Started) -> Result<(), EngineError> {
        let rows = session.query(&started.plan.script.columns, &[]).await.during("comparing columns")?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (place, column): (String, String) = (row.get(0), row.get(1));
        let message = format!("column {column} of {place} is not the same in the table and in all its parts");
        Err(EngineError::gate("C1159", message)
            .hint("make it the same everywhere, or cancel (after a rollback) and apply anew"))
    }
}
