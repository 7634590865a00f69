//! `cutover` and `rollback`: the round, and finishing what an earlier run has left. What must hold before is in `gates`.

use super::{comparing::tables, gates::UnprovenRow};
use crate::{
    EngineError,
    context::MoveContext,
    hooks::{self, Moment, Occasion},
    planning,
    runner::Runner,
    switch::{Switch, SwitchReport},
};
use cleave_api::{CutoverOutcome, CutoverReport, SwitchDirection};
use cleave_journal::{Entry, EntryEvent, MoveRow, MoveState, Verification, VerificationOutcome};
use cleave_model::{Direction, Epoch};
use cleave_plan::SwitchScript;
use cleave_plan::cutover::{Outcome, Round};
use cleave_verify::RowsCheck;
use serde_json::json;
use std::collections::BTreeMap;

impl Runner {
    /// Makes the new home the system of record. Nothing happens when it is already.
    pub(crate) async fn cutover(&mut self, dry_run: bool) -> Result<CutoverReport, EngineError> {
        Box::pin(self.round(Round::Cutover, MoveState::Following, MoveState::Switched, dry_run)).await
    }

    /// Makes the old home the system of record again. Nothing happens when it is already.
    pub(crate) async fn rollback(&mut self, dry_run: bool) -> Result<CutoverReport, EngineError> {
        Box::pin(self.round(Round::Rollback, MoveState::Switched, MoveState::Following, dry_run)).await
    }

    async fn round(
        &mut self,
        round: Round,
        from: MoveState,
        to: MoveState,
        dry_run: bool,
    ) -> Result<CutoverReport, EngineError> {
        let row = self.open_row(round.as_str()).await?;
        let move_ = self.context(&row)?;
        let session = self.journal().await?;
        let owner = cleave_journal::owner(&*session, &self.service).await?;
        let epoch = owner.map_or(Epoch(0), |owner| owner.epoch);
        if row.state == to && epoch > Epoch(0) {
            return Ok(report(&move_, round, CutoverOutcome::Switched, epoch, None));
        }
        if row.state != from {
            let next = if round == Round::Cutover { "apply" } else { "cutover" };
            return Err(self.wrong_state(row.state.as_str(), round.as_str(), Some(next)));
        }
        self.epoch_gate(epoch).await?;
        let unproven = Box::pin(self.state_gates(round, &row, &move_, epoch)).await?;
        let (script, fingerprint) = Box::pin(self.script(round, &move_)).await?;
        if dry_run {
            return Ok(report(&move_, round, CutoverOutcome::Rehearsed, epoch, None));
        }
        self.bring_what_is_not_streamed(round, &move_).await?;
        self.run_hooks(&move_, round, epoch.next(), Moment::BeforeSwitch).await?;
        let begin = json!({ "epoch": epoch.next().0, "by": self.who() });
        move_.journal_m(&*session, round.as_str(), EntryEvent::Begin, &begin).await?;
        let check = Box::pin(self.rows_check(&move_, unproven)).await?;
        let switch =
            Box::pin(Switch::new(&move_, &self.streams, round, (script, fingerprint), epoch.next())).await?;
        let switch = switch.comparing(check);
        // From here until the round's end is in the journal there may be something to finish or to undo.
        let ran = Box::pin(switch.run()).await;
        self.unsettled |= ran.is_err();
        let done = ran?;
        if done.differing > 0 {
            self.withdraw(&row, done.differing).await?;
        }
        self.end_round(&move_, round, epoch.next(), done).await
    }

    /// What the comparison of rows needs that is made while writers wait.
    async fn rows_check(
        &self,
        move_: &MoveContext,
        unproven: Vec<UnprovenRow>,
    ) -> Result<Option<RowsCheck>, EngineError> {
        if unproven.is_empty() {
            return Ok(None);
        }
        let count = unproven.len();
        let mut by_table: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        for (table, key) in unproven {
            by_table.entry(table).or_default().push(key);
        }
        let tables: Vec<_> = tables(&move_.plan, Direction::Forward)
            .into_iter()
            .filter_map(|table| by_table.remove(&table.title()).map(|rows| (table, rows)))
            .collect();
        self.events.note(
            Some(&self.service),
            format!("{count} rows that are unproven are compared while writers wait"),
        );
        let check = RowsCheck::open(&move_.m.endpoint, &move_.n.endpoint, &tables).await?;
        Ok(Some(check))
    }

    /// Rows that were unproven differ: the gate is closed until they are repaired.
    async fn withdraw(&self, row: &MoveRow, differing: u64) -> Result<(), EngineError> {
        let Some(last) = row.verification.clone() else { return Ok(()) };
        let found = Verification {
            outcome: VerificationOutcome::Different,
            differences: differing,
            unproven: Vec::new(),
            ..last
        };
        let session = self.journal().await?;
        Ok(MoveRow::set_verification(&*session, &self.service, Some(&found)).await?)
    }

    async fn end_round(
        &self,
        move_: &MoveContext,
        round: Round,
        epoch: Epoch,
        done: SwitchReport,
    ) -> Result<CutoverReport, EngineError> {
        let session = self.journal().await?;
        let event = if done.outcome == Outcome::Switched { EntryEvent::Done } else { EntryEvent::Failed };
        let detail = json!({ "epoch": epoch.0, "pause_ms": done.pause_ms });
        move_.journal_m(&*session, round.as_str(), event, &detail).await?;
        match done.outcome {
            Outcome::Switched => {
                self.run_hooks(move_, round, epoch, Moment::AfterSwitch).await?;
                Ok(report(move_, round, CutoverOutcome::Switched, epoch, Some(done)))
            }
            Outcome::Refused => {
                Err(done.failure.unwrap_or_else(|| EngineError::gate("C0702", "a gate refused")))
            }
            Outcome::Aborted(reason) => {
                let before = Epoch(epoch.0 - 1);
                let why =
                    done.failure.as_ref().map_or_else(|| reason.to_string(), |e| format!("{reason}: {e}"));
                let mut report = report(move_, round, CutoverOutcome::Aborted, before, Some(done));
                report.reason = Some(why);
                Ok(report)
            }
        }
    }

    /// Takes up a round that an earlier run has begun and not ended. True if there was one.
    pub(crate) async fn recover_switch(&mut self, move_: &MoveContext) -> Result<bool, EngineError> {
        let session = self.journal().await?;
        let entries = move_.entries(&*session).await?;
        let rounds = [Round::Cutover, Round::Rollback];
        let last = entries.iter().rev().find_map(|entry| {
            rounds.into_iter().find(|round| round.as_str() == entry.step).map(|round| (round, entry))
        });
        let Some((round, entry)) = last.filter(|(_, entry)| entry.event == EntryEvent::Begin) else {
            return Ok(false);
        };
        let epoch = Epoch(entry.detail.get("epoch").and_then(serde_json::Value::as_i64).unwrap_or(0));
        let step = self.events.step(
            &self.service,
            "recover",
            format!("finishes or undoes the {} of epoch {epoch}", round.as_str()),
        );
        // An earlier run that died before it stored its script has made nothing but, at most, half a bridge.
        let stored = stored_script(&entries)?.unwrap_or_default();
        let target_fence = cleave_plan::fence_script(&move_.plan, &self.service, &now());
        let script = SwitchScript { target_fence, ..stored };
        let switch =
            Box::pin(Switch::new(move_, &self.streams, round, (script, String::new()), epoch)).await?;
        let done = Box::pin(switch.recover()).await?;
        let report = self.end_round(move_, round, epoch, done).await?;
        step.finish(format!("{} is the home, epoch {}", report.home, report.epoch));
        Ok(true)
    }

    /// The statements of the round and the fingerprint that they are made for. A rollback runs what its cutover stored.
    async fn script(&self, round: Round, move_: &MoveContext) -> Result<(SwitchScript, String), EngineError> {
        if round == Round::Rollback {
            let session = self.journal().await?;
            let entries = move_.entries(&*session).await?;
            let stored = stored_script(&entries)?.ok_or_else(|| EngineError::Stored {
                what: "the script of the cutover".to_owned(),
                reason: "it is not in the journal".to_owned(),
            })?;
            let target_fence = cleave_plan::fence_script(&move_.plan, &self.service, &now());
            return Ok((SwitchScript { target_fence, ..stored }, String::new()));
        }
        let observed = planning::observe(&self.topology, self.configured()?).await?;
        if move_.plan.whole.is_some() {
            let sides = (&observed.source, &observed.target);
            let script = cleave_plan::upgrade_script(&move_.plan, sides, &self.service, &now())
                .map_err(|refusal| drifted(&refusal, cleave_plan::table_differences(sides.0, sides.1)))?;
            let fingerprint = cleave_pg::fingerprint(&observed.m_session, &script.fingerprint_oids).await?;
            return Ok((script, fingerprint));
        }
        let seen = self.n.endpoint_seen_from(&self.m.name);
        let reached = cleave_plan::HomeAddress {
            host: seen.host(),
            port: seen.port(),
            database: seen.dbname().to_owned(),
        };
        let sides = (&observed.source, &observed.target);
        let script = cleave_plan::switch_script(&move_.plan, sides, &reached, &self.service, &now())
            .map_err(|refusal| {
                EngineError::gate("C0711", refusal.message).hint("`cleave cancel` and apply a new plan")
            })?;
        let fingerprint = cleave_pg::fingerprint(&observed.m_session, &script.fingerprint_oids).await?;
        Ok((script, fingerprint))
    }

    /// Large objects and materialized views of an upgrade, outside the pause.
    async fn bring_what_is_not_streamed(&self, round: Round, move_: &MoveContext) -> Result<(), EngineError> {
        if move_.plan.whole.is_none() {
            return Ok(());
        }
        let (from, to, lease) = match round {
            Round::Cutover => (&move_.m, &move_.n, &move_.n_lease),
            Round::Rollback => (&move_.n, &move_.m, &move_.m_lease),
        };
        crate::upgrade::large_objects::carry(move_, (from, to), lease).await?;
        let (home, there) = (from.connect("views").await?, to.connect("views").await?);
        crate::upgrade::views::refresh(move_, &home, &there).await
    }

    /// This engine, for people: the holder of its lease without what makes it unique.
    fn who(&self) -> &str {
        self.m_lease.holder.rsplit_once('/').map_or(self.m_lease.holder.as_str(), |(who, _)| who)
    }

    /// Outside the pause: leases and streams go on meanwhile.
    async fn run_hooks(
        &self,
        move_: &MoveContext,
        round: Round,
        epoch: Epoch,
        moment: Moment,
    ) -> Result<(), EngineError> {
        let session = self.journal().await?;
        let occasion = Occasion::of(move_, round, epoch);
        hooks::run(move_.into(), &session, moment, occasion, move_.hooks.limit).await
    }
}

/// What has changed since the plan, as far as the two sides differ.
fn drifted(refusal: &cleave_plan::Finding, differences: Vec<String>) -> EngineError {
    const SHOWN_MAX: usize = 5;
    let code = if refusal.code == "C1210" { "C1210" } else { "C0711" };
    let mut message = refusal.message.clone();
    let more = differences.len().saturating_sub(SHOWN_MAX);
    for difference in differences.iter().take(SHOWN_MAX) {
        message += &format!("; {difference}");
    }
    if more > 0 {
        message += &format!("; and {more} more differences");
    }
    EngineError::gate(code, message).hint(
        "take the change back on the source; or `cleave cancel` and apply again, which takes everything as it is then",
    )
}

fn now() -> String {
    crate::status::timestamp(std::time::SystemTime::now())
}

/// The script of the last cutover, as its bridge step stored it.
fn stored_script(entries: &[Entry]) -> Result<Option<SwitchScript>, EngineError> {
    let stored = entries.iter().rev().filter(|entry| entry.step == "cutover.bridge");
    let Some(script) = stored.filter_map(|entry| entry.detail.get("script")).next() else { return Ok(None) };
    serde_json::from_value(script.clone()).map(Some).map_err(|error| EngineError::Stored {
        what: "the script of the cutover".to_owned(),
        reason: error.to_string(),
    })
}

fn report(
    move_: &MoveContext,
    round: Round,
    outcome: CutoverOutcome,
    epoch: Epoch,
    done: Option<SwitchReport>,
) -> CutoverReport {
    let at_new_home = (round == Round::Cutover) == (outcome == CutoverOutcome::Switched);
    let (pause_ms, steps) = done.map_or((0, Vec::new()), |done| (done.pause_ms, done.steps));
    CutoverReport {
        service: move_.service.to_string(),
        direction: match round {
            Round::Cutover => SwitchDirection::Cutover,
            Round::Rollback => SwitchDirection::Rollback,
        },
        outcome,
        pause_ms,
        budget_ms: u64::try_from(move_.limits.write_pause.as_millis()).unwrap_or(u64::MAX),
        steps,
        epoch: epoch.0,
        home: if at_new_home { move_.n.name.to_string() } else { move_.m.name.to_string() },
        reason: None,
    }
}
