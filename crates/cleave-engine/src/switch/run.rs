//! The loop between the machine and the servers.

use super::{
    failpoints::points_of,
    party::{Entrant, Party},
};
use crate::{EngineError, context::MoveContext};
use cleave_api::StepTime;
use cleave_journal::EntryEvent;
use cleave_pg::Session;
use cleave_plan::KeyBetween;
use cleave_plan::cutover::{Effect, Event, LadderLimits, Machine, Outcome, Round, Step};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long what is left after the point of no return is tried again before the command gives up. The home has
/// changed then; the same command goes on later.
const AFTERWARDS_LIMIT: Duration = Duration::from_secs(60);
/// How long a session may take to roll back a step that was dropped.
const ABANDON_LIMIT: Duration = Duration::from_millis(500);
const AFTERWARDS_WAIT: Duration = Duration::from_millis(250);
/// The first attempt at the locks that is told when it fails.
const ATTEMPTS_UNTOLD: u32 = 16;

/// What a round came to.
#[derive(Debug)]
pub(crate) struct SwitchReport {
    pub(crate) outcome: Outcome,
    /// From the first lock to the commit of T, of the attempt that ended it.
    pub(crate) pause_ms: u64,
    pub(crate) steps: Vec<StepTime>,
    /// The error behind an outcome other than `Switched`.
    pub(crate) failure: Option<EngineError>,
    /// Rows of each service that were unproven before and differ.
    pub(crate) differing: Vec<u64>,
}

/// What is common to the services of a round.
#[derive(Default)]
pub(crate) struct Common {
    /// On M in T: all locks, and the same the other way round.
    pub(crate) locks: [Vec<String>; 2],
    /// Keys between tables of two of the services.
    pub(crate) between: Vec<KeyBetween>,
}

/// One round of cutover or rollback, of one service or of several that leave one database together.
pub(crate) struct Switch<'a> {
    /// The first service's: M, its lease, limits and hooks are the same for all.
    pub(super) move_: &'a MoveContext,
    pub(super) parties: Vec<Party<'a>>,
    pub(super) names: Vec<String>,
    pub(super) round: Round,
    pub(super) locks: [Vec<String>; 2],
    pub(super) between: Vec<KeyBetween>,
    /// On M, for the journal: its commits need not be flushed before the step goes on, as T's owner rows decide.
    pub(super) m: Session,
    /// The transaction on M whose commit is the switch.
    pub(super) t: Option<Session>,
    /// When the first attempt at the locks began.
    pub(super) ladder_began: Option<Instant>,
    /// Attempts at the fence so far: every second one takes the locks the other way round.
    pub(super) attempts: u32,
    pub(super) pause_began: Option<Instant>,
    pause_ms: u64,
    steps: Vec<StepTime>,
    failure: Option<EngineError>,
    afterwards_began: Option<Instant>,
}

impl<'a> Switch<'a> {
    /// Prepares a round; nothing is touched yet.
    pub(crate) async fn new(
        round: Round,
        first: Entrant<'a>,
        others: Vec<Entrant<'a>>,
        common: Common,
    ) -> Result<Self, EngineError> {
        let move_ = first.move_;
        let m = move_.m.connect("switch journal").await?;
        super::fence::sql(&m, "set synchronous_commit = off").await?;
        let mut parties: Vec<Party<'a>> = Vec::new();
        for entrant in std::iter::once(first).chain(others) {
            let mut party = Party::new(round, entrant).await?;
            party.pooler = party.pooler.and_then(|mut pooler| {
                let held = parties.iter().filter_map(|before| before.pooler.as_ref());
                held.for_each(|before| pooler.leave_to(before));
                (!pooler.names.is_empty()).then_some(pooler)
            });
            parties.push(party);
        }
        Ok(Self {
            names: parties.iter().map(|party| party.move_.service.to_string()).collect(),
            m,
            move_,
            parties,
            round,
            locks: common.locks,
            between: common.between,
            t: None,
            ladder_began: None,
            attempts: 0,
            pause_began: None,
            pause_ms: 0,
            steps: Vec::new(),
            failure: None,
            afterwards_began: None,
        })
    }

    /// The services that a service switches with.
    pub(super) fn fellows(&self, party: &Party<'_>) -> Vec<String> {
        let own = party.move_.service.as_str();
        self.names.iter().filter(|name| *name != own).cloned().collect()
    }

    /// Runs a new round.
    pub(crate) async fn run(self) -> Result<SwitchReport, EngineError> {
        let limits = self.ladder();
        let (machine, effect) = Machine::start(self.round, limits, self.seed());
        Box::pin(self.drive(machine, effect)).await
    }

    /// Finishes or undoes what an earlier run has left.
    pub(crate) async fn recover(self) -> Result<SwitchReport, EngineError> {
        let limits = self.ladder();
        let (machine, effect) = Machine::recover(self.round, limits, self.seed());
        Box::pin(self.drive(machine, effect)).await
    }

    pub(super) fn ladder(&self) -> LadderLimits {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        LadderLimits {
            lock_timeout_ms: ms(self.move_.limits.lock_timeout),
            lock_budget_ms: ms(self.move_.limits.lock_budget),
        }
    }

    /// Spreads the ladders of different rounds.
    fn seed(&self) -> u64 {
        let epoch = self.parties.first().map_or(0, |party| party.epoch.0);
        epoch.unsigned_abs() ^ (self.move_.m_lease.epoch.unsigned_abs() << 32)
    }

    async fn drive(mut self, mut machine: Machine, mut effect: Effect) -> Result<SwitchReport, EngineError> {
        loop {
            let event = match effect {
                Effect::Run(step) => self.perform(step).await?,
                Effect::Undo(step) => self.take_back(step).await?,
                Effect::Wait { ms } => {
                    self.tell_of_wait(ms).await;
                    let ladder_is = self.ladder_began.map_or(Duration::ZERO, |began| began.elapsed());
                    self.end_blockers(ladder_is).await;
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_millis(ms)) => {}
                        () = self.move_.cancelled.cancelled() => {}
                    }
                    Event::Succeeded
                }
                Effect::Resolve => self.resolve().await?,
                Effect::Finish(outcome) => return Ok(self.report(outcome)),
            };
            (machine, effect) = machine.step(event);
        }
    }

    /// A ladder that says nothing looks like a command that hangs. The first attempts are short and may well fail: they
    /// are not worth a line, and later ones one at each doubling.
    async fn tell_of_wait(&self, ms: u64) {
        if self.attempts < ATTEMPTS_UNTOLD || !self.attempts.is_power_of_two() {
            return;
        }
        let message = format!(
            "attempt {} did not get its locks; writers go on, the next one follows in {ms} ms; in the way: {}",
            self.attempts,
            self.in_the_way().await
        );
        self.note(message);
    }

    /// Tells people; what is about one service names it, what is about several is for all.
    pub(super) fn note(&self, message: String) {
        let only = (self.parties.len() == 1).then_some(&self.move_.service);
        self.move_.events.note(only, message);
    }

    fn report(self, outcome: Outcome) -> SwitchReport {
        let failure = if outcome == Outcome::Switched { None } else { self.failure };
        SwitchReport {
            outcome,
            pause_ms: self.pause_ms,
            steps: self.steps,
            failure,
            differing: self.parties.iter().map(|party| party.differing).collect(),
        }
    }

    /// Runs a step and turns its result into the machine's event.
    async fn perform(&mut self, step: Step) -> Result<Event, EngineError> {
        if self.is_idle(step) {
            // Nothing to do is not worth a line in reports and journal.
            return Ok(Event::Succeeded);
        }
        let [before, after, ..] = points_of(self.round, step);
        let began = Instant::now();
        cleave_failpoint::hit_async(before).await;
        let result = match self.remaining() {
            Some(left) if step.is_inside_pause() && step != Step::Open => {
                if left.is_zero() {
                    return Ok(self.over_budget(step, began));
                }
                match tokio::time::timeout(left, self.run_step(step)).await {
                    Ok(result) => result,
                    Err(_) if step == Step::Switch => return self.lost_answer(began).await,
                    Err(_) => {
                        if matches!(step, Step::Pool | Step::Sequences | Step::HalfOpen) {
                            self.abandon().await;
                        }
                        return Ok(self.over_budget(step, began));
                    }
                }
            }
            _ => self.run_step(step).await,
        };
        cleave_failpoint::hit_async(after).await;
        self.note_time(step.as_str().to_owned(), began);
        if step == Step::Switch {
            self.end_pause();
        }
        match result {
            Ok(()) => {
                self.entry(step, EntryEvent::Done, json!({})).await;
                Ok(Event::Succeeded)
            }
            Err(error) => self.classify(step, error).await,
        }
    }

    /// True for a step that cleave.toml gives nothing to do.
    fn is_idle(&self, step: Step) -> bool {
        match step {
            Step::Hooks => self.move_.hooks.in_pause.is_empty(),
            Step::Pool | Step::Repoint => self.parties.iter().all(|party| party.pooler.is_none()),
            _ => false,
        }
    }

    /// Each step on the heap: the loop's own future stays small.
    async fn run_step(&mut self, step: Step) -> Result<(), EngineError> {
        match step {
            Step::Gates => Box::pin(self.gates()).await,
            Step::Bridge => Box::pin(self.prepare_bridge()).await,
            Step::Pool => Box::pin(self.hold_pool()).await,
            Step::Fence => Box::pin(self.fence()).await,
            Step::Marker => Box::pin(self.write_marker()).await,
            Step::Drain => Box::pin(self.drain()).await,
            Step::Sequences => Box::pin(self.carry_sequences()).await,
            Step::Hooks => Box::pin(self.hooks_in_pause()).await,
            Step::HalfOpen => Box::pin(self.half_open()).await,
            Step::Close => Box::pin(self.close()).await,
            Step::Switch => Box::pin(self.switch()).await,
            Step::Open => Box::pin(self.open()).await,
            Step::Repoint => Box::pin(self.repoint_pool()).await,
            Step::Tidy => Box::pin(self.tidy()).await,
        }
    }

    /// Takes a step back, again and again until it works: every undo is safe to repeat.
    async fn take_back(&mut self, step: Step) -> Result<Event, EngineError> {
        if self.is_idle(step) {
            return Ok(Event::Succeeded);
        }
        let [_, _, before, after] = points_of(self.round, step);
        cleave_failpoint::hit_async(before).await;
        let began = *self.afterwards_began.get_or_insert_with(Instant::now);
        let result = match step {
            Step::Bridge => Box::pin(self.drop_bridge()).await,
            Step::Pool => Box::pin(self.resume_pool()).await,
            Step::Fence => Box::pin(self.release()).await,
            Step::HalfOpen => Box::pin(self.close_half_open()).await,
            Step::Close => Box::pin(self.reopen()).await,
            _ => Ok(()),
        };
        match result {
            Ok(()) => {
                self.afterwards_began = None;
                self.end_pause();
                self.entry(step, EntryEvent::Undone, json!({})).await;
                cleave_failpoint::hit_async(after).await;
                Ok(Event::Succeeded)
            }
            Err(error) => self.again(began, error).await,
        }
    }

    async fn classify(&mut self, step: Step, error: EngineError) -> Result<Event, EngineError> {
        let after_switch = matches!(step, Step::Open | Step::Repoint | Step::Tidy);
        if after_switch {
            let began = *self.afterwards_began.get_or_insert_with(Instant::now);
            return self.again(began, error).await;
        }
        // 55P03 lock timeout; 40P01 deadlock; 57014 statement timeout; 25P03, 25P04 the server's own end of T.
        let event = match error.sqlstate() {
            _ if matches!(error, EngineError::PoolerBusy { .. }) => Event::LockTimeout,
            Some("55P03" | "40P01") => Event::LockTimeout,
            Some("57014" | "25P03" | "25P04") => Event::OverBudget,
            // A server can end a session between a commit and its answer: after any error M is asked.
            _ if step == Step::Switch => Event::OutcomeUnknown,
            _ => Event::Failed,
        };
        let detail = json!({ "code": error.code(), "sqlstate": error.sqlstate() });
        self.failure = Some(match event {
            Event::LockTimeout if step != Step::Pool => self.blocked().await,
            _ => error,
        });
        self.entry(step, EntryEvent::Failed, detail).await;
        Ok(event)
    }

    /// Past the point of no return (or while undoing) there is only one way: try again.
    async fn again(&mut self, began: Instant, error: EngineError) -> Result<Event, EngineError> {
        if began.elapsed() > AFTERWARDS_LIMIT {
            return Err(error);
        }
        tokio::time::sleep(AFTERWARDS_WAIT).await;
        self.reconnect().await;
        Ok(Event::Failed)
    }

    /// A step that was dropped half-way may have left a transaction open on a session that lives on: it is cancelled
    /// and rolled back, or what undoes the step would wait for it.
    async fn abandon(&mut self) {
        let sessions = self.parties.iter().map(|party| &party.n).chain([&self.m]);
        let mut answered = join_all(sessions.map(rolled_back)).await.into_iter();
        // A session that does not answer is replaced; the server ends what it left when it notices.
        for party in &mut self.parties {
            if answered.next() == Some(false)
                && let Ok(fresh) = party.move_.n.connect("switch").await
            {
                party.n = fresh;
            }
        }
        if answered.next() == Some(false) {
            self.reconnect_m().await;
        }
    }

    /// New sessions in place of dead ones; errors show at their next use.
    pub(super) async fn reconnect(&mut self) {
        if self.m.is_closed() {
            self.reconnect_m().await;
        }
        for party in &mut self.parties {
            if party.n.is_closed()
                && let Ok(fresh) = party.move_.n.connect("switch").await
            {
                party.n = fresh;
            }
        }
    }

    async fn reconnect_m(&mut self) {
        if let Ok(fresh) = self.move_.m.connect("switch journal").await {
            self.m = fresh;
            let _ = super::fence::sql(&self.m, "set synchronous_commit = off").await;
        }
    }

    async fn lost_answer(&mut self, began: Instant) -> Result<Event, EngineError> {
        self.note_time(Step::Switch.as_str().to_owned(), began);
        self.failure = Some(EngineError::gate(
            "C0705",
            "the answer to the switch's commit did not come within write_pause",
        ));
        Ok(Event::OutcomeUnknown)
    }

    fn over_budget(&mut self, step: Step, began: Instant) -> Event {
        self.note_time(step.as_str().to_owned(), began);
        let budget = self.move_.limits.write_pause.as_millis();
        let message =
            format!("step {step} was running when the write pause reached its budget of {budget} ms");
        self.failure =
            Some(EngineError::gate("C0701", message).hint("raise write_pause, or try at a quieter time"));
        Event::OverBudget
    }

    /// What is left of the pause; `None` outside it.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let began = self.pause_began?;
        Some(self.move_.limits.write_pause.saturating_sub(began.elapsed()))
    }

    fn end_pause(&mut self) {
        if let Some(began) = self.pause_began.take() {
            self.pause_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
    }

    fn note_time(&mut self, name: String, began: Instant) {
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.steps.push(StepTime { name, ms });
    }

    /// A line of the journal for each service.
    pub(super) async fn entry(&self, step: Step, event: EntryEvent, detail: Value) {
        for party in &self.parties {
            party.entry(&self.m, step, event, &detail).await;
        }
    }
}

/// Cancels what a session runs and rolls back; false if it does not answer.
async fn rolled_back(session: &Session) -> bool {
    let rollback = async {
        session.cancel().await?;
        super::fence::sql(session, "rollback").await
    };
    matches!(tokio::time::timeout(ABANDON_LIMIT, rollback).await, Ok(Ok(())))
}
