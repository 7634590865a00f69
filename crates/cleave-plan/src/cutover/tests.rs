//! The machine against a model of the databases of one to three services that switch together, under crashes, lost
//! replies, effects that land late, replies that come out of order, and clocks that jump.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// A service: what its two databases and its pooler hold.
#[derive(Clone, Debug)]
struct Service {
    home_is_target: bool,
    fence: Fence,
    /// TN holds its tables.
    locked_n: bool,
    /// The pooler holds its clients back. It goes on doing so when the process dies.
    pool_held: bool,
    pool_leads_to_target: bool,
    /// Written on the home by clients, and what of it the other side has.
    written: u32,
    applied: u32,
    switches: u32,
}

/// T and each TN die with the process or at a failure; everything else is durable.
#[derive(Clone, Debug)]
struct World {
    round: Round,
    services: Vec<Service>,
    /// T holds the tables of all services on M.
    locked_m: bool,
    /// Whose transactions commit: the lease's epoch on every server.
    lease: u32,
    /// What an engine that has lost its lease is still about to do, and under which lease.
    late: Option<(Effect, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fence {
    Closed,
    HalfOpen,
    Open,
}

impl World {
    fn new(round: Round, services: usize) -> Self {
        let (home_is_target, fence) = match round {
            Round::Cutover => (false, Fence::Closed),
            Round::Rollback => (true, Fence::Open),
        };
        let service = Service {
            home_is_target,
            fence,
            locked_n: false,
            pool_held: false,
            pool_leads_to_target: home_is_target,
            written: 0,
            applied: 0,
            switches: 0,
        };
        Self { round, services: vec![service; services], locked_m: false, lease: 1, late: None }
    }

    fn m_accepts_writes(&self, service: &Service) -> bool {
        !service.home_is_target && !self.locked_m
    }

    fn n_accepts_writes(&self, service: &Service) -> bool {
        let bridge = service.home_is_target && !self.locked_m && service.fence != Fence::Closed;
        (service.fence == Fence::Open || bridge) && !service.locked_n
    }

    fn is_written(&self, service: &Service) -> bool {
        self.m_accepts_writes(service) || self.n_accepts_writes(service)
    }

    /// Clients write whenever they can; a write on the side that has not applied everything before it is a lost update.
    fn clients_write(&mut self) -> Result<(), TestCaseError> {
        for at in 0..self.services.len() {
            let service = &self.services[at];
            prop_assert!(
                !(self.m_accepts_writes(service) && self.n_accepts_writes(service)),
                "two writers: {self:?}"
            );
            if self.is_written(service) {
                self.services[at].written += 1;
            }
        }
        let mut homes = self.services.iter().map(|service| service.home_is_target);
        let first = homes.next();
        prop_assert!(homes.all(|home| Some(home) == first), "some have switched and some have not: {self:?}");
        Ok(())
    }

    fn process_dies(&mut self) {
        self.locked_m = false;
        for service in &mut self.services {
            service.locked_n = false;
        }
    }

    /// A step for one service; T is common to all.
    fn run(&mut self, step: Step, at: usize) -> Result<(), TestCaseError> {
        let written = self.is_written(&self.services[at]);
        let round = self.round;
        let service = &mut self.services[at];
        match step {
            Step::Gates | Step::Bridge | Step::Marker | Step::Sequences | Step::Hooks | Step::Tidy => {}
            Step::Pool => service.pool_held = true,
            Step::Repoint => {
                prop_assert!(written, "clients are let go to a home that is not open");
                service.pool_leads_to_target = service.home_is_target;
                service.pool_held = false;
            }
            Step::Fence => {
                service.locked_n = round == Round::Rollback;
                self.locked_m = true;
            }
            Step::Drain => {
                prop_assert!(!written, "drained while written to");
                service.applied = service.written;
            }
            Step::HalfOpen => service.fence = Fence::HalfOpen,
            Step::Close => {
                // Nobody comes by the bridge while T holds it; if T dies, those who do are let through.
                service.fence = Fence::HalfOpen;
                service.locked_n = false;
            }
            Step::Switch => {}
            Step::Open => {
                prop_assert_eq!(service.home_is_target, round == Round::Cutover, "opened before the switch");
                service.fence = if service.home_is_target { Fence::Open } else { Fence::Closed };
            }
        }
        Ok(())
    }

    /// T commits: for all or for none.
    fn commit(&mut self) -> Result<(), TestCaseError> {
        for service in &mut self.services {
            prop_assert_eq!(service.applied, service.written, "the switch left acknowledged writes behind");
            service.home_is_target = self.round == Round::Cutover;
            service.switches += 1;
        }
        self.locked_m = false;
        Ok(())
    }

    fn undo(&mut self, step: Step, at: usize) {
        let service = &mut self.services[at];
        match step {
            Step::Pool => service.pool_held = false,
            Step::Fence => self.process_dies(),
            Step::HalfOpen => service.fence = Fence::Closed,
            Step::Close => service.fence = Fence::Open,
            _ => {}
        }
    }

    /// What a service's own row on M says once T is known to have ended.
    fn decision(&mut self, at: usize) -> Decision {
        self.process_dies();
        if self.services[at].home_is_target == (self.round == Round::Cutover) {
            Decision::Committed
        } else {
            Decision::Aborted
        }
    }

    /// An effect for the first `reached` of `members`, by the holder of a lease. Every effect that lasts checks the lease
    /// in the transaction that makes it last, and what belongs to T or TN has died when the next engine asks how T ended.
    fn perform(
        &mut self,
        effect: Effect,
        members: &[usize],
        reached: usize,
        lease: u32,
    ) -> Result<(), TestCaseError> {
        if lease != self.lease {
            return Ok(());
        }
        match effect {
            Effect::Run(Step::Switch) if reached >= members.len() => self.commit()?,
            Effect::Run(step) => {
                for at in members.iter().take(reached) {
                    self.run(step, *at)?;
                }
            }
            Effect::Undo(step) => members.iter().take(reached).for_each(|at| self.undo(step, *at)),
            Effect::Resolve | Effect::Wait { .. } | Effect::Finish(_) => {}
        }
        Ok(())
    }
}

/// What happens while one effect is performed, and for how many services it was done before that.
#[derive(Clone, Copy, Debug)]
struct Fate {
    kind: Kind,
    reached: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Well,
    LockTimeout,
    /// The time is up, or a clock has jumped so that it seems to be.
    OverBudget,
    Fails,
    /// It was done, or partly done, and the connection is gone.
    ReplyLost,
    /// It was done, and what is heard is the answer to something else.
    OutOfOrder(bool),
    Dies,
    /// A clock jumps past the lease's end, or the process is stopped for so long: another engine takes over, and what
    /// this one was about to do arrives later.
    TakenOver,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let kind = prop_oneof![
        10 => Just(Kind::Well),
        1 => Just(Kind::LockTimeout),
        1 => Just(Kind::OverBudget),
        1 => Just(Kind::Fails),
        1 => Just(Kind::ReplyLost),
        1 => any::<bool>().prop_map(Kind::OutOfOrder),
        1 => Just(Kind::Dies),
        1 => Just(Kind::TakenOver),
    ];
    let fate = (kind, 0usize..=3).prop_map(|(kind, reached)| Fate { kind, reached });
    proptest::collection::vec(fate, 0..40)
}

const LIMITS: LadderLimits = LadderLimits { lock_timeout_ms: 100, lock_budget_ms: 2_000 };

/// Performs one effect under a fate; `None` when the process died.
fn perform(
    world: &mut World,
    effect: Effect,
    members: &[usize],
    fate: Fate,
) -> Result<Option<Event>, TestCaseError> {
    let lease = world.lease;
    let all = fate.reached >= members.len();
    if effect == Effect::Resolve {
        return Ok(match fate.kind {
            Kind::Dies | Kind::TakenOver => None,
            Kind::OutOfOrder(_) => Some(Event::Succeeded),
            Kind::Well => Some(Event::Found(world.decision(members[0]))),
            _ => Some(Event::Failed),
        });
    }
    let reached = match fate.kind {
        Kind::Well | Kind::OutOfOrder(_) => members.len(),
        // A server that says no to a lock or to T's commit has not committed it.
        Kind::LockTimeout if effect == Effect::Run(Step::Switch) => 0,
        _ => fate.reached,
    };
    world.perform(effect, members, reached, lease)?;
    if fate.kind == Kind::TakenOver {
        world.late = Some((effect, lease));
        world.lease += 1;
    }
    // An error rolls T and TN back on the servers.
    if matches!(effect, Effect::Run(_)) && fate.kind != Kind::Well {
        world.process_dies();
    }
    Ok(match fate.kind {
        Kind::Well => Some(Event::Succeeded),
        Kind::LockTimeout => Some(Event::LockTimeout),
        // A failed reply from a commit that happened does not exist: the server says no only if it did not. And who runs
        // out of time there does not know.
        Kind::Fails | Kind::OverBudget if effect == Effect::Run(Step::Switch) && all => {
            Some(Event::OutcomeUnknown)
        }
        Kind::OverBudget => Some(Event::OverBudget),
        Kind::Fails => Some(Event::Failed),
        Kind::ReplyLost => Some(Event::OutcomeUnknown),
        Kind::OutOfOrder(true) => Some(Event::Found(Decision::Committed)),
        Kind::OutOfOrder(false) => Some(Event::Found(Decision::Aborted)),
        Kind::Dies | Kind::TakenOver => None,
    })
}

/// Drives a machine that works on `members` until it ends; `None` when its process died.
fn drive(
    world: &mut World,
    members: &[usize],
    (mut machine, mut effect): (Machine, Effect),
    fates: &mut impl Iterator<Item = Fate>,
) -> Result<Option<Outcome>, TestCaseError> {
    for _ in 0..500 {
        world.clients_write()?;
        if let Effect::Finish(outcome) = effect {
            return Ok(Some(outcome));
        }
        let fate = fates.next().unwrap_or(Fate { kind: Kind::Well, reached: members.len() });
        // What an engine without a lease was about to do comes at any later time.
        if fate.reached == 0
            && let Some((late, lease)) = world.late.take()
        {
            let all: Vec<usize> = (0..world.services.len()).collect();
            world.perform(late, &all, all.len(), lease)?;
        }
        let Some(event) = perform(world, effect, members, fate)? else {
            world.process_dies();
            world.clients_write()?;
            return Ok(None);
        };
        world.clients_write()?;
        (machine, effect) = machine.step(event);
    }
    Err(TestCaseError::fail("the machine does not come to an end"))
}

/// One machine switches all services. What it leaves when it dies is taken up service by service, as an engine does:
/// each asks M for itself, and may die in turn.
fn run_schedule(round: Round, services: usize, seed: u64, fates: Vec<Fate>) -> Result<(), TestCaseError> {
    let mut world = World::new(round, services);
    let mut fates = fates.into_iter();
    let all: Vec<usize> = (0..services).collect();
    let began = Machine::start(round, LIMITS, seed);
    if let Some(outcome) = drive(&mut world, &all, began, &mut fates)? {
        return check_end(&world, &all, outcome);
    }
    let mut outcomes = Vec::new();
    for at in &all {
        let outcome = loop {
            let taken_up = Machine::recover(round, LIMITS, seed);
            if let Some(outcome) = drive(&mut world, &[*at], taken_up, &mut fates)? {
                break outcome;
            }
        };
        check_end(&world, &[*at], outcome)?;
        outcomes.push(outcome);
    }
    let switched = |outcome: &Outcome| *outcome == Outcome::Switched;
    prop_assert!(outcomes.iter().all(switched) || !outcomes.iter().any(switched), "{outcomes:?}");
    Ok(())
}

fn check_end(world: &World, members: &[usize], outcome: Outcome) -> Result<(), TestCaseError> {
    let switched = outcome == Outcome::Switched;
    prop_assert!(!world.locked_m, "locks are left: {:?}", world);
    for service in members.iter().map(|at| &world.services[*at]) {
        prop_assert_eq!(
            switched,
            service.home_is_target == (world.round == Round::Cutover),
            "{:?} {:?}",
            outcome,
            world
        );
        prop_assert_eq!(service.switches, u32::from(switched));
        prop_assert!(!service.locked_n, "locks are left: {:?}", world);
        let fence = if service.home_is_target { Fence::Open } else { Fence::Closed };
        prop_assert_eq!(service.fence, fence, "the fence does not fit the home");
        prop_assert!(!service.pool_held, "the pooler still holds its clients");
        prop_assert_eq!(service.pool_leads_to_target, service.home_is_target, "the pooler leads elsewhere");
    }
    Ok(())
}

/// A quick run takes some thousand schedules, `CLEAVE_TEST_FULL` some millions.
#[test]
fn every_schedule_of_crashes_ends_with_one_writer_and_nothing_lost() {
    let full = std::env::var("CLEAVE_TEST_FULL").is_ok_and(|full| full == "1");
    let cases = if full { 3_000_000 } else { 20_000 };
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let schedules = (any::<bool>(), 1usize..=3, any::<u64>(), fates());
    let ran = TestRunner::new(config).run(&schedules, |(cutover, services, seed, fates)| {
        run_schedule(if cutover { Round::Cutover } else { Round::Rollback }, services, seed, fates)
    });
    if let Err(error) = ran {
        panic!("{error}");
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
