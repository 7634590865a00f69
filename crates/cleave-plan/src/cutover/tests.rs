//! The machine against a model of the two databases, under crashes, lost replies and failures at any effect.

use super::*;
use proptest::prelude::*;

/// What the two databases hold. T and TN die with the process or at a failure; everything else is durable.
#[derive(Clone, Debug)]
struct World {
    round: Round,
    home_is_target: bool,
    fence: Fence,
    locked_m: bool,
    locked_n: bool,
    /// The pooler holds its clients back. It goes on doing so when the process dies.
    pool_held: bool,
    pool_leads_to_target: bool,
    /// Written on the home by clients, and what of it the other side has.
    written: u32,
    applied: u32,
    switches: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fence {
    Closed,
    HalfOpen,
    Open,
}

impl World {
    fn new(round: Round) -> Self {
        let (home_is_target, fence) = match round {
            Round::Cutover => (false, Fence::Closed),
            Round::Rollback => (true, Fence::Open),
        };
        Self {
            round,
            home_is_target,
            fence,
            locked_m: false,
            locked_n: false,
            pool_held: false,
            pool_leads_to_target: home_is_target,
            written: 0,
            applied: 0,
            switches: 0,
        }
    }

    fn m_accepts_writes(&self) -> bool {
        !self.home_is_target && !self.locked_m
    }

    fn n_accepts_writes(&self) -> bool {
        let bridge = self.home_is_target && !self.locked_m && self.fence != Fence::Closed;
        (self.fence == Fence::Open || bridge) && !self.locked_n
    }

    /// Clients write whenever they can; a write on the side that has not applied everything before it is a lost update.
    fn clients_write(&mut self) -> Result<(), TestCaseError> {
        prop_assert!(!(self.m_accepts_writes() && self.n_accepts_writes()), "two writers: {self:?}");
        if self.m_accepts_writes() || self.n_accepts_writes() {
            self.written += 1;
        }
        Ok(())
    }

    fn process_dies(&mut self) {
        self.locked_m = false;
        self.locked_n = false;
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Gates | Step::Bridge | Step::Marker | Step::Sequences | Step::Hooks | Step::Tidy => {}
            Step::Pool => self.pool_held = true,
            Step::Repoint => {
                prop_assert!(
                    self.m_accepts_writes() || self.n_accepts_writes(),
                    "clients are let go to a home that is not open"
                );
                self.pool_leads_to_target = self.home_is_target;
                self.pool_held = false;
            }
            Step::Fence => {
                self.locked_m = true;
                self.locked_n = self.round == Round::Rollback;
            }
            Step::Drain => {
                prop_assert!(
                    !self.m_accepts_writes() && !self.n_accepts_writes(),
                    "drained while written to"
                );
                self.applied = self.written;
            }
            Step::HalfOpen => self.fence = Fence::HalfOpen,
            Step::Close => {
                self.fence = Fence::Closed;
                self.locked_n = false;
            }
            Step::Switch => {
                prop_assert_eq!(self.applied, self.written, "the switch left acknowledged writes behind");
                self.home_is_target = self.round == Round::Cutover;
                self.locked_m = false;
                self.switches += 1;
            }
            Step::Open => {
                prop_assert_eq!(
                    self.home_is_target,
                    self.round == Round::Cutover,
                    "opened before the switch"
                );
                self.fence = if self.home_is_target { Fence::Open } else { Fence::Closed };
            }
        }
        Ok(())
    }

    fn undo(&mut self, step: Step) {
        match step {
            Step::Pool => self.pool_held = false,
            Step::Fence => self.process_dies(),
            Step::HalfOpen => self.fence = Fence::Closed,
            Step::Close => self.fence = Fence::Open,
            _ => {}
        }
    }

    fn decision(&mut self) -> Decision {
        self.process_dies();
        if self.home_is_target == (self.round == Round::Cutover) {
            Decision::Committed
        } else {
            Decision::Aborted
        }
    }
}

/// What happens while one effect is performed.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Well,
    LockTimeout,
    OverBudget,
    FailsBefore,
    FailsAfter,
    ReplyLost,
    DiesBefore,
    DiesAfter,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        8 => Just(Fate::Well),
        1 => Just(Fate::LockTimeout),
        1 => Just(Fate::OverBudget),
        1 => Just(Fate::FailsBefore),
        1 => Just(Fate::FailsAfter),
        1 => Just(Fate::ReplyLost),
        1 => Just(Fate::DiesBefore),
        1 => Just(Fate::DiesAfter),
    ];
    proptest::collection::vec(fate, 0..40)
}

const LIMITS: LadderLimits = LadderLimits { lock_timeout_ms: 100, lock_budget_ms: 2_000 };

/// Performs one effect under a fate; `None` when the process died.
fn perform(world: &mut World, effect: Effect, fate: Fate) -> Result<Option<Event>, TestCaseError> {
    let before = matches!(fate, Fate::LockTimeout | Fate::OverBudget | Fate::FailsBefore | Fate::DiesBefore);
    match effect {
        Effect::Run(step) if !before => world.run(step)?,
        Effect::Undo(step) if !before => world.undo(step),
        Effect::Resolve if !before => {
            let decision = world.decision();
            return Ok((!matches!(fate, Fate::DiesAfter)).then_some(Event::Found(decision)));
        }
        _ => {}
    }
    // An error rolls T and TN back on the servers.
    if matches!(effect, Effect::Run(_)) && !matches!(fate, Fate::Well) {
        world.process_dies();
    }
    Ok(match fate {
        Fate::Well => Some(Event::Succeeded),
        Fate::LockTimeout => Some(Event::LockTimeout),
        Fate::OverBudget => Some(Event::OverBudget),
        // A failed reply from a commit that happened does not exist: the server says no only if it did not.
        Fate::FailsAfter if effect == Effect::Run(Step::Switch) => Some(Event::OutcomeUnknown),
        Fate::FailsBefore | Fate::FailsAfter => Some(Event::Failed),
        Fate::ReplyLost => Some(Event::OutcomeUnknown),
        Fate::DiesBefore | Fate::DiesAfter => None,
    })
}

fn run_schedule(round: Round, seed: u64, fates: Vec<Fate>) -> Result<(), TestCaseError> {
    let mut world = World::new(round);
    let mut fates = fates.into_iter();
    let (mut machine, mut effect) = Machine::start(round, LIMITS, seed);
    for _ in 0..500 {
        world.clients_write()?;
        if let Effect::Finish(outcome) = effect {
            return check_end(&world, outcome);
        }
        let fate = fates.next().unwrap_or(Fate::Well);
        let event = perform(&mut world, effect, fate)?;
        world.clients_write()?;
        (machine, effect) = match event {
            Some(event) => machine.step(event),
            None => {
                world.process_dies();
                world.clients_write()?;
                Machine::recover(round, LIMITS, seed)
            }
        };
    }
    Err(TestCaseError::fail("the machine does not come to an end"))
}

fn check_end(world: &World, outcome: Outcome) -> Result<(), TestCaseError> {
    let switched = outcome == Outcome::Switched;
    prop_assert_eq!(
        switched,
        world.home_is_target == (world.round == Round::Cutover),
        "{:?} {:?}",
        outcome,
        world
    );
    prop_assert_eq!(world.switches, u32::from(switched));
    prop_assert!(!world.locked_m && !world.locked_n, "locks are left: {:?}", world);
    let fence = if world.home_is_target { Fence::Open } else { Fence::Closed };
    prop_assert_eq!(world.fence, fence, "the fence does not fit the home");
    prop_assert!(!world.pool_held, "the pooler still holds its clients");
    prop_assert_eq!(world.pool_leads_to_target, world.home_is_target, "the pooler leads elsewhere");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_schedule_of_crashes_ends_with_one_writer_and_nothing_lost(
        cutover in any::<bool>(), seed in any::<u64>(), fates in fates(),
    ) {
        run_schedule(if cutover { Round::Cutover } else { Round::Rollback }, seed, fates)?;
    }
}

fn effects(round: Round, events: &[Event]) -> Vec<Effect> {
    let (mut machine, mut effect) = Machine::start(round, LIMITS, 7);
    let mut seen = vec![effect];
    for event in events {
        (machine, effect) = machine.step(event.clone());
        seen.push(effect);
    }
    seen
}

/// Every step before the switch succeeds.
fn up_to_the_switch() -> Vec<Event> {
    let before = Round::Cutover.steps().iter().take_while(|step| **step != Step::Switch);
    before.map(|_| Event::Succeeded).collect()
}

#[test]
fn an_undisturbed_cutover_runs_its_steps_in_order() {
    let steps: Vec<Effect> = Round::Cutover.steps().iter().copied().map(Effect::Run).collect();
    let seen = effects(Round::Cutover, &vec![Event::Succeeded; steps.len()]);
    assert_eq!(seen[..steps.len()], steps);
    assert_eq!(seen[steps.len()], Effect::Finish(Outcome::Switched));
}

#[test]
fn a_refused_gate_changes_nothing() {
    assert_eq!(effects(Round::Cutover, &[Event::Failed])[1], Effect::Finish(Outcome::Refused));
}

#[test]
fn a_lock_timeout_lets_writers_through_before_the_next_attempt() {
    let mut events = vec![Event::Succeeded; 3];
    events.push(Event::LockTimeout);
    events.extend(vec![Event::Succeeded; 4]);
    let seen = effects(Round::Cutover, &events);
    assert_eq!(seen[4..6], [Step::Fence, Step::Pool].map(Effect::Undo));
    assert!(matches!(seen[6], Effect::Wait { ms: 15..=30 }), "{:?}", seen[6]);
    assert_eq!(seen[7..], [Step::Pool, Step::Fence].map(Effect::Run));
}

#[test]
fn clients_of_a_pooler_that_do_not_come_to_rest_go_on_before_the_next_attempt() {
    let events = [Event::Succeeded, Event::Succeeded, Event::LockTimeout, Event::Succeeded, Event::Succeeded];
    let seen = effects(Round::Cutover, &events);
    assert_eq!(seen[3], Effect::Undo(Step::Pool));
    assert!(matches!(seen[4], Effect::Wait { .. }), "{:?}", seen[4]);
    assert_eq!(seen[5], Effect::Run(Step::Pool));
}

#[test]
fn a_lock_that_the_bridge_could_not_have_is_tried_again_with_the_bridge() {
    let seen = effects(
        Round::Cutover,
        &[Event::Succeeded, Event::LockTimeout, Event::Succeeded, Event::Succeeded, Event::Succeeded],
    );
    assert_eq!(seen[2], Effect::Undo(Step::Bridge));
    assert!(matches!(seen[3], Effect::Wait { .. }), "{:?}", seen[3]);
    assert_eq!(seen[4..], [Step::Bridge, Step::Pool].map(Effect::Run));
}

#[test]
fn the_lock_ladder_ends_with_its_budget() {
    let (mut machine, mut effect) = Machine::start(Round::Cutover, LIMITS, 7);
    let mut attempts = 0;
    while !matches!(effect, Effect::Finish(_)) {
        let event = if effect == Effect::Run(Step::Fence) {
            attempts += 1;
            Event::LockTimeout
        } else {
            Event::Succeeded
        };
        (machine, effect) = machine.step(event);
    }
    assert_eq!(effect, Effect::Finish(Outcome::Aborted(AbortReason::Locks)));
    assert!((3..20).contains(&attempts), "{attempts}");
}

#[test]
fn a_pause_over_budget_takes_back_the_half_open_fence_and_the_locks() {
    let mut events = up_to_the_switch();
    events.push(Event::OverBudget);
    events.extend(vec![Event::Succeeded; 4]);
    let seen = effects(Round::Cutover, &events);
    let expected = [Step::HalfOpen, Step::Fence, Step::Pool, Step::Bridge].map(Effect::Undo);
    let undoing = up_to_the_switch().len() + 1;
    assert_eq!(seen[undoing..undoing + 4], expected);
    assert_eq!(seen[undoing + 4], Effect::Finish(Outcome::Aborted(AbortReason::Budget)));
}

#[test]
fn a_lost_answer_at_the_switch_is_decided_by_m_alone() {
    let mut events = up_to_the_switch();
    events.extend([Event::OutcomeUnknown, Event::Failed, Event::Found(Decision::Committed)]);
    let seen = effects(Round::Cutover, &events);
    let resolving = up_to_the_switch().len() + 1;
    assert_eq!(seen[resolving..], [Effect::Resolve, Effect::Resolve, Effect::Run(Step::Open)]);
}
