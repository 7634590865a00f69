//! Cutover and rollback as one pure state machine (DESIGN section 7).
//!
//! The machine holds no connection and reads no clock. [`Machine::start`] and [`Machine::recover`] give the first
//! effects; the executor performs one effect at a time and feeds the result back through [`Machine::step`]. What has
//! to be undone is a function of what has been done, so that no failure path is written twice.
//!
//! Both directions are a list of steps with exactly one point of no return, [`Step::Switch`]: the commit of T on the
//! source of the move (M). Before it everything is undone in reverse order; after it everything left is repeated
//! until it is done; at it, when the answer is lost, M's owner row decides.

mod backoff;
mod step;

pub use backoff::{Backoff, LadderLimits};
pub use step::{Round, Step};

use std::fmt;

/// What the executor reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The effect was performed.
    Succeeded,
    /// A lock could not be had within `lock_timeout`. T has been rolled back by the error.
    LockTimeout,
    /// The pause has reached its budget, or a server ended T because of it.
    OverBudget,
    /// The effect failed for good: a gate refused, the catalog changed, a server said no.
    Failed,
    /// The connection was lost while T's commit was under way.
    OutcomeUnknown,
    /// Answer to [`Effect::Resolve`].
    Found(Decision),
}

/// What M's owner row says once T is known to have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// T committed: the new home accepts writes.
    Committed,
    /// T did not commit: the old home does.
    Aborted,
}

/// What the executor is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Perform a step.
    Run(Step),
    /// Take a step back. Safe to repeat, and safe where the step was only begun.
    Undo(Step),
    /// Let writers through for a while, then go on.
    Wait {
        /// Milliseconds.
        ms: u64,
    },
    /// End T if it is still in progress, then read M's owner row. Repeat until M answers.
    Resolve,
    /// It is over.
    Finish(Outcome),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The home has changed.
    Switched,
    /// A gate refused before anything was made; exit code 4.
    Refused,
    /// Everything was undone, traffic is still at the old home; exit code 6.
    Aborted(AbortReason),
}

/// Why a switch gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortReason {
    /// `lock_budget` is used up.
    Locks,
    /// `write_pause` is used up.
    Budget,
    /// A step failed.
    Failure(Step),
    /// An earlier run died before its point of no return.
    Recovered,
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locks => f.write_str("the locks could not be had within lock_budget"),
            Self::Budget => f.write_str("the write pause reached its budget"),
            Self::Failure(step) => write!(f, "step {step} failed"),
            Self::Recovered => f.write_str("an earlier run ended before its point of no return"),
        }
    }
}

/// Where the machine stands. Private: callers see effects.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Performing `round.steps()[at]`.
    Running { at: usize },
    /// Waiting before the ladder's next rung; `round.steps()[from]` is to be tried again.
    Waiting { ms: u64, from: usize },
    /// Asking M how T ended; the reason is what an abort will be put down to.
    Resolving { reason: AbortReason },
    /// Undoing `round.steps()[at]`, downwards.
    Undoing { at: usize, then: AfterUndo },
    /// Over.
    Finished(Outcome),
}

/// What follows when everything is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterUndo {
    /// Try again from `round.steps()[from]` after a pause.
    Retry { ms: u64, from: usize },
    /// Give up.
    Finish(Outcome),
}

/// The machine. `step(state, event) -> (state, effect)` with the state inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    round: Round,
    state: State,
    backoff: Backoff,
}

impl Machine {
    /// A new attempt. `seed` spreads the waits of the ladder; any number will do.
    pub fn start(round: Round, limits: LadderLimits, seed: u64) -> (Self, Effect) {
        let machine = Self { round, state: State::Running { at: 0 }, backoff: Backoff::new(limits, seed) };
        let effect = machine.effect();
        (machine, effect)
    }

    /// Takes up what an earlier run has left: first find out how T ended, then go on or undo.
    pub fn recover(round: Round, limits: LadderLimits, seed: u64) -> (Self, Effect) {
        let state = State::Resolving { reason: AbortReason::Recovered };
        (Self { round, state, backoff: Backoff::new(limits, seed) }, Effect::Resolve)
    }

    /// The step being performed, undone or resolved: for progress and errors.
    pub fn current_step(&self) -> Option<Step> {
        match self.state {
            State::Running { at } | State::Undoing { at, .. } => self.round.steps().get(at).copied(),
            State::Resolving { .. } => Some(Step::Switch),
            State::Waiting { from, .. } => self.round.steps().get(from).copied(),
            State::Finished(_) => None,
        }
    }

    /// The next state and effect. Events that do not fit the state cannot make it skip a step: they count as failure
    /// before the point of no return and as "do it again" after it.
    pub fn step(mut self, event: Event) -> (Self, Effect) {
        self.state = match (self.state.clone(), event) {
            (State::Running { at }, event) => self.after_run(at, event),
            (State::Waiting { from, .. }, _) => State::Running { at: from },
            (State::Resolving { .. }, Event::Found(Decision::Committed)) => {
                State::Running { at: self.switch_at() + 1 }
            }
            (State::Resolving { reason }, Event::Found(Decision::Aborted)) => {
                self.undo_below(self.switch_at(), AfterUndo::Finish(Outcome::Aborted(reason)))
            }
            (State::Undoing { at, then }, Event::Succeeded) => self.undo_below(at, then),
            (unchanged, _) => unchanged,
        };
        let effect = self.effect();
        (self, effect)
    }

    fn effect(&self) -> Effect {
        match self.state {
            State::Running { at } => match self.round.steps().get(at) {
                Some(step) => Effect::Run(*step),
                None => Effect::Finish(Outcome::Switched),
            },
            State::Waiting { ms, .. } => Effect::Wait { ms },
            State::Resolving { .. } => Effect::Resolve,
            State::Undoing { at, .. } => Effect::Undo(self.round.steps()[at]),
            State::Finished(outcome) => Effect::Finish(outcome),
        }
    }

    fn after_run(&mut self, at: usize, event: Event) -> State {
        let step = self.round.steps()[at];
        if matches!(event, Event::Succeeded) {
            return if at + 1 == self.round.steps().len() {
                State::Finished(Outcome::Switched)
            } else {
                State::Running { at: at + 1 }
            };
        }
        if at > self.switch_at() {
            return State::Running { at };
        }
        // An answer to another question says nothing of the commit.
        if step == Step::Switch && matches!(event, Event::OutcomeUnknown | Event::Found(_)) {
            return State::Resolving { reason: AbortReason::Failure(step) };
        }
        let finish = |reason| AfterUndo::Finish(Outcome::Aborted(reason));
        let then = match event {
            Event::LockTimeout => match self.backoff.take_ms() {
                // T holds every lock or none, and clients of a pooler go on between two attempts: once somebody waits,
                // all is tried again from where the waiting begins, before that the step itself.
                Some(ms) => AfterUndo::Retry { ms, from: at.min(self.pause_at()) },
                None => finish(AbortReason::Locks),
            },
            Event::OverBudget => finish(AbortReason::Budget),
            _ if step == Step::Gates => return State::Finished(Outcome::Refused),
            _ => finish(AbortReason::Failure(step)),
        };
        // The step itself may be half done: it is undone too.
        self.undo_below(at + 1, then)
    }

    /// Undoes the topmost step below `above` that leaves something; when there is none, goes on with `then`.
    fn undo_below(&self, above: usize, then: AfterUndo) -> State {
        let lowest = match then {
            AfterUndo::Retry { from, .. } => from,
            AfterUndo::Finish(_) => 0,
        };
        let next = (lowest..above).rev().find(|at| self.round.steps()[*at].leaves_something());
        match (next, then) {
            (Some(at), then) => State::Undoing { at, then },
            (None, AfterUndo::Retry { ms, from }) => State::Waiting { ms, from },
            (None, AfterUndo::Finish(outcome)) => State::Finished(outcome),
        }
    }

    fn position_of(&self, step: Step) -> usize {
        self.round.steps().iter().position(|s| *s == step).unwrap_or(0)
    }

    fn pause_at(&self) -> usize {
        self.position_of(Step::Pool)
    }

    fn switch_at(&self) -> usize {
        self.position_of(Step::Switch)
    }
}

#[cfg(test)]
mod tests;
