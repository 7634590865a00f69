//! `cutover` and `rollback`: state gates, the round, and finishing what an earlier run has left.

use crate::{
    EngineError,
    context::MoveContext,
    planning,
    runner::Runner,
    switch::{Switch, SwitchReport},
};
use cleave_api::{CutoverOutcome, CutoverReport, SwitchDirection};
use cleave_journal::{Entry, EntryEvent, MoveRow, MoveState, VerificationOutcome};
use cleave_model::{Direction, Epoch, Oid};
use cleave_pg::During;
use cleave_plan::SwitchScript;
use cleave_plan::cutover::{Outcome, Round};
use serde_json::json;
use std::time::Duration;

/// How long a stream that was just started may take to catch up before a round.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);

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
        Box::pin(self.state_gates(round, &row, &move_)).await?;
        let (script, fingerprint) = Box::pin(self.script(round, &move_)).await?;
        if dry_run {
            return Ok(report(&move_, round, CutoverOutcome::Rehearsed, epoch, None));
        }
        self.run_hooks(&move_, &move_.hooks.before_switch).await?;
        let begin = json!({ "epoch": epoch.next().0 });
        move_.journal_m(&*session, round.as_str(), EntryEvent::Begin, &begin).await?;
        let switch =
            Box::pin(Switch::new(&move_, &self.streams, round, (script, fingerprint), epoch.next())).await?;
        // From here until the round's end is in the journal there may be something to finish or to undo.
        let ran = Box::pin(switch.run()).await;
        self.unsettled |= ran.is_err();
        let done = ran?;
        self.end_round(&move_, round, epoch.next(), done).await
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
                self.run_hooks(move_, &move_.hooks.after_switch).await?;
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

    /// Gates about the move's state; the round itself checks those about the moment.
    async fn state_gates(&self, round: Round, row: &MoveRow, move_: &MoveContext) -> Result<(), EngineError> {
        if row.paused {
            return Err(self.wrong_state("paused", round.as_str(), Some("resume")));
        }
        for direction in [Direction::Forward, Direction::Back] {
            self.stream_gate(direction)?;
        }
        self.caught_up(round, move_).await?;
        self.locks_gate(round, move_).await?;
        match round {
            Round::Cutover => self.verification_gate(row, move_).await,
            Round::Rollback => self.partitions_gate(move_).await,
        }
    }

    /// A source that was restored from a backup does not know of switches that the target has seen.
    async fn epoch_gate(&self, epoch: Epoch) -> Result<(), EngineError> {
        let n = self.n.connect("gates").await?;
        let there = cleave_journal::owner(&*n, &self.service).await?.map_or(Epoch(0), |owner| owner.epoch);
        if there <= epoch {
            return Ok(());
        }
        let message = format!(
            "{} has seen epoch {there}, but {} knows only epoch {epoch}: it is older than its last switch",
            self.n.name, self.m.name
        );
        Err(EngineError::gate("C0706", message)
            .hint("restore it to a later point, or settle by hand which is right"))
    }

    /// A partition that came to the home later has no fence and no route.
    async fn partitions_gate(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let n = move_.n.connect("gates").await?;
        let oids: Vec<u32> =
            crate::streams::oids_at_target(&n, move_).await?.into_values().map(|oid| oid.0).collect();
        let other = n
            .query_opt(
                "select inhrelid::regclass::text from pg_catalog.pg_inherits
                 where inhparent = any ($1) and inhrelid <> all ($1) order by 1 limit 1",
                &[&oids],
            )
            .await
            .during("looking for partitions that are not in the plan")?;
        let Some(other) = other else { return Ok(()) };
        let other: String = other.get(0);
        let message = format!("partition {other} was added in {} after the plan was made", move_.n.name);
        Err(EngineError::gate("C0711", message).hint("move its rows to a planned partition and detach it"))
    }

    pub(super) fn stream_gate(&self, direction: Direction) -> Result<(), EngineError> {
        let Some(stream) = self.streams.get(direction) else {
            return Err(EngineError::gate("C0708", format!("the {direction} stream is not running"))
                .next(&["resume", self.service.as_str()]));
        };
        match stream.failure() {
            Some(error) => match crate::help::lease_lost(&error) {
                Some(lost) => Err(lost),
                None => {
                    Err(EngineError::gate("C0708", format!("the {direction} stream has stopped: {error}"))
                        .hint(crate::help::for_stopped(&error, direction, &self.service))
                        .next(&["explain", error.code()]))
                }
            },
            None => Ok(()),
        }
    }

    /// A stream that was just started first has to catch up; the round's own gate then measures the round trip.
    async fn caught_up(&self, round: Round, move_: &MoveContext) -> Result<(), EngineError> {
        let home = if round == Round::Cutover { &move_.m } else { &move_.n };
        let session = home.connect("gates").await?;
        let marker = format!("{}/catch_up/{}/{}", self.service, self.m_lease.epoch, session.backend_pid());
        cleave_pg::wal::emit_message(&session, cleave_model::labels::MESSAGE_MARKER, &marker).await?;
        let stream = self.streams.feeding_new_home(round)?;
        if stream.wait_for_marker(&marker, CATCH_UP_LIMIT).await {
            return Ok(());
        }
        for direction in [Direction::Forward, Direction::Back] {
            self.stream_gate(direction)?;
        }
        let why = stream.problem().unwrap_or_else(|| "it is behind".to_owned());
        let message = format!("the stream did not catch up within {} s: {why}", CATCH_UP_LIMIT.as_secs());
        Err(EngineError::gate("C0702", message).next(&["status", self.service.as_str()]))
    }

    /// A prepared transaction holds its locks until somebody ends it: no ladder gets past it.
    async fn locks_gate(&self, round: Round, move_: &MoveContext) -> Result<(), EngineError> {
        let (site, oids) = match round {
            Round::Cutover => (&move_.m, move_.plan.source_oids()),
            Round::Rollback => {
                let n = move_.n.connect("gates").await?;
                let oids = crate::streams::oids_at_target(&n, move_).await?;
                (&move_.n, oids.into_values().map(|oid| oid.0).collect())
            }
        };
        let session = site.connect("gates").await?;
        let oids: Vec<Oid> = oids.into_iter().map(Oid).collect();
        let blockers = cleave_pg::locks::blockers_of_relations(&session, &oids).await?;
        let Some(prepared) = blockers.iter().find_map(|blocker| blocker.prepared.clone()) else {
            return Ok(());
        };
        let message = format!("prepared transaction {prepared:?} in {} holds locks on the tables", site.name);
        Err(EngineError::gate("C0703", message).hint("commit or roll it back: `commit prepared '...'`"))
    }

    /// Verified clean, lately, and for what is there now.
    async fn verification_gate(&self, row: &MoveRow, move_: &MoveContext) -> Result<(), EngineError> {
        let refuse = |message: String| {
            Err(EngineError::gate("C0710", message).next(&["verify", self.service.as_str()]))
        };
        let Some(verification) = &row.verification else {
            return refuse(format!("service {} is not verified", self.service));
        };
        match verification.outcome {
            VerificationOutcome::Clean => {}
            VerificationOutcome::Unproven => {
                return refuse("the last verification left rows unproven".to_owned());
            }
            VerificationOutcome::Different => {
                return refuse("the last verification found differences".to_owned());
            }
        }
        let now = super::verify::bound_to(move_).await?;
        if verification.at_epoch_s + move_.limits.verify_max_age.as_secs() < now.at_epoch_s {
            return refuse("the verification is older than verify_max_age".to_owned());
        }
        if verification.fingerprints != now.fingerprints {
            let names = super::verify::altered(&verification.fingerprints, &now.fingerprints);
            return refuse(format!("altered since the verification: {}", names.join(", ")));
        }
        if (&verification.slot, verification.clusters) != (&now.slot, now.clusters) {
            return refuse("the verification was made with another slot or another server".to_owned());
        }
        Ok(())
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

    async fn run_hooks(&self, move_: &MoveContext, hooks: &[String]) -> Result<(), EngineError> {
        for command in hooks {
            self.events.note(Some(&self.service), format!("runs hook `{command}`"));
            let mut shell = std::process::Command::new("sh");
            shell.arg("-c").arg(command).current_dir(&move_.folder);
            // It may take long: leases and streams go on meanwhile.
            let reason = match tokio::task::spawn_blocking(move || shell.status()).await {
                Ok(Ok(status)) if status.success() => continue,
                Ok(Ok(status)) => format!("it ended with {status}"),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            return Err(EngineError::Hook { command: command.clone(), reason });
        }
        Ok(())
    }
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
