//! `cutover` and `rollback`: the round, and finishing what an earlier run has left. What must hold before is in `gates`.

use super::{comparing::tables, gates::UnprovenRow, together::together};
use crate::{
    EngineError,
    context::MoveContext,
    hooks::{self, Moment, Occasion},
    planning,
    runner::Runner,
    switch::{Common, Entrant, Switch, SwitchReport},
};
use cleave_api::{CutoverOutcome, CutoverReport, SwitchDirection};
use cleave_journal::{Entry, EntryEvent, MoveRow, Verification, VerificationOutcome};
use cleave_model::{Direction, Epoch, ServiceName};
use cleave_plan::cutover::{Outcome, Round};
use cleave_plan::{KeyBetween, SwitchScript};
use cleave_verify::RowsCheck;
use serde_json::json;
use std::collections::BTreeMap;

impl Runner {
    /// Makes the new home the system of record. Nothing happens when it is already.
    pub(crate) async fn cutover(&mut self, dry_run: bool) -> Result<CutoverReport, EngineError> {
        Box::pin(together(&mut [self], Round::Cutover, dry_run)).await
    }

    /// Makes the old home the system of record again. Nothing happens when it is already.
    pub(crate) async fn rollback(&mut self, dry_run: bool) -> Result<CutoverReport, EngineError> {
        Box::pin(together(&mut [self], Round::Rollback, dry_run)).await
    }

    /// What the comparison of rows needs that is made while writers wait.
    pub(super) async fn rows_check(
        &self,
        move_: &MoveContext,
        unproven: &[UnprovenRow],
    ) -> Result<Option<RowsCheck>, EngineError> {
        if unproven.is_empty() {
            return Ok(None);
        }
        let count = unproven.len();
        let mut by_table: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        for (table, key) in unproven {
            by_table.entry(table.clone()).or_default().push(key.clone());
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
    pub(super) async fn withdraw(&self, row: &MoveRow, differing: u64) -> Result<(), EngineError> {
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

    /// How the round ended, for this service.
    pub(super) async fn journal_end(
        &self,
        move_: &MoveContext,
        round: Round,
        epoch: Epoch,
        done: &SwitchReport,
    ) -> Result<(), EngineError> {
        let session = self.journal().await?;
        let event = if done.outcome == Outcome::Switched { EntryEvent::Done } else { EntryEvent::Failed };
        if event == EntryEvent::Done {
            cleave_journal::forget_bridge_use(&*session, &self.service).await?;
        }
        let detail = json!({ "epoch": epoch.0, "pause_ms": done.pause_ms });
        move_.journal_m(&*session, round.as_str(), event, &detail).await
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
        let fellows = crate::proof::names(entry, "with");
        // Keys between services that switched together are of one T; each service's recovery finishes what is left.
        let mut between = stored_between(&entries)?;
        between.retain(|key| {
            key.services.iter().all(|name| name == self.service.as_str() || fellows.contains(name))
        });
        let entrant = Entrant {
            move_,
            streams: &self.streams,
            script,
            fingerprint: String::new(),
            epoch,
            unproven: None,
        };
        let common = Common { between, ..Common::default() };
        let switch = Box::pin(Switch::new(round, entrant, Vec::new(), common)).await?;
        let done = Box::pin(switch.recover()).await?;
        self.journal_end(move_, round, epoch, &done).await?;
        let switched = done.outcome == Outcome::Switched;
        if switched {
            let all = [vec![self.service.to_string()], fellows.clone()].concat();
            self.run_hooks(move_, round, epoch, (Moment::AfterSwitch, &all)).await?;
        }
        let outcome = if switched { CutoverOutcome::Switched } else { CutoverOutcome::Aborted };
        let epoch = if switched { epoch } else { Epoch(epoch.0 - 1) };
        let report = report(move_, round, outcome, epoch, None);
        step.finish(format!("{} is the home, epoch {}", report.home, report.epoch));
        self.fellows = fellows.iter().filter_map(|name| ServiceName::parse(name).ok()).collect();
        Ok(true)
    }

    /// The statements of an upgrade's round.
    pub(super) fn upgrade_script(
        &self,
        move_: &MoveContext,
        observed: &planning::Observed,
    ) -> Result<SwitchScript, EngineError> {
        let sides = (&observed.source, &observed.target);
        cleave_plan::upgrade_script(&move_.plan, sides, &self.service, &now())
            .map_err(|refusal| drifted(&refusal, cleave_plan::table_differences(sides.0, sides.1)))
    }

    /// Large objects and materialized views of an upgrade, outside the pause.
    pub(super) async fn bring_what_is_not_streamed(
        &self,
        round: Round,
        move_: &MoveContext,
    ) -> Result<(), EngineError> {
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
    pub(super) fn who(&self) -> &str {
        self.m_lease.holder.rsplit_once('/').map_or(self.m_lease.holder.as_str(), |(who, _)| who)
    }

    /// Outside the pause: leases and streams go on meanwhile.
    pub(super) async fn run_hooks(
        &self,
        move_: &MoveContext,
        round: Round,
        epoch: Epoch,
        (moment, services): (Moment, &[String]),
    ) -> Result<(), EngineError> {
        let session = self.journal().await?;
        let occasion = Occasion { services, ..Occasion::of(move_, round, epoch) };
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

pub(super) fn now() -> String {
    crate::status::timestamp(std::time::SystemTime::now())
}

/// What the bridge step of the last cutover stored.
fn last_stored(entries: &[Entry]) -> Option<&serde_json::Value> {
    let stored = entries.iter().rev().filter(|entry| entry.step == "cutover.bridge");
    stored.map(|entry| &entry.detail).find(|detail| detail.get("script").is_some())
}

fn unreadable(error: &serde_json::Error) -> EngineError {
    EngineError::Stored { what: "the script of the cutover".to_owned(), reason: error.to_string() }
}

/// The script of the last cutover.
pub(super) fn stored_script(entries: &[Entry]) -> Result<Option<SwitchScript>, EngineError> {
    let script = last_stored(entries).and_then(|detail| detail.get("script"));
    script.map(|script| serde_json::from_value(script.clone()).map_err(|e| unreadable(&e))).transpose()
}

/// The keys to tables of services that switched with this one in its last cutover.
pub(super) fn stored_between(entries: &[Entry]) -> Result<Vec<KeyBetween>, EngineError> {
    let between = last_stored(entries).and_then(|detail| detail.get("between"));
    let between = between.map(|between| serde_json::from_value(between.clone()).map_err(|e| unreadable(&e)));
    Ok(between.transpose()?.unwrap_or_default())
}

pub(super) fn report(
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
        with: Vec::new(),
    }
}
