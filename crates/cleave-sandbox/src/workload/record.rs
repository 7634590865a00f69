//! What a workload's applications experienced: the outcome of every transaction, and when commits stood still.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::latencies::Latencies;
use super::token::{Kind, Token};

/// All that a workload did, for the oracle and for reports.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Transactions whose commit the server confirmed.
    pub acknowledged: Vec<(Token, Kind)>,
    /// Transactions that certainly did not commit, and whose application was told so.
    pub refused: Vec<Token>,
    /// Transactions whose connection was lost around COMMIT: nobody told the application whether they committed.
    pub unknown: Vec<(Token, Kind)>,
    /// Errors and how often they came, by SQLSTATE; without one, by `connection`.
    pub errors: BTreeMap<String, ErrorSample>,
    /// How often a connection was made anew.
    pub reconnects: u64,
    /// Counters, pauses and latencies over the whole time.
    pub total: Lap,
}

/// What happened between two looks at a running workload.
#[derive(Clone, Debug, Default)]
pub struct Lap {
    /// Confirmed commits.
    pub acknowledged: u64,
    /// Transactions that failed for good.
    pub refused: u64,
    /// Attempts that ended with 40001 or 40P01 and were repeated.
    pub retried: u64,
    /// Transactions with an unknown outcome.
    pub unknown: u64,
    /// The longest time without any confirmed commit, over all connections: the write pause that applications saw.
    pub longest_gap: Duration,
    /// From a transaction's first attempt to its confirmed commit.
    pub latencies: Latencies,
}

/// One kind of error.
#[derive(Clone, Debug)]
pub struct ErrorSample {
    /// How often it came.
    pub count: u64,
    /// The message of the first one, without its detail.
    pub message: String,
}

/// Collects from all connections.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    record: Record,
    lap: Lap,
    last_acknowledged: Option<Instant>,
}

impl State {
    fn each_lap(&mut self, change: impl Fn(&mut Lap)) {
        change(&mut self.lap);
        change(&mut self.record.total);
    }

    /// Takes note of the time that has passed since the last commit. A pause that spans two laps counts in both.
    fn measure_gap(&mut self, now: Instant) {
        if let Some(last) = self.last_acknowledged {
            let gap = now.saturating_duration_since(last);
            self.each_lap(|lap| lap.longest_gap = lap.longest_gap.max(gap));
        }
    }
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn acknowledged(&self, token: Token, kind: Kind, begun: Instant) {
        let now = Instant::now();
        let mut state = self.lock();
        state.measure_gap(now);
        state.last_acknowledged = Some(now);
        state.record.acknowledged.push((token, kind));
        state.each_lap(|lap| {
            lap.acknowledged += 1;
            lap.latencies.add(now.saturating_duration_since(begun));
        });
    }

    pub(super) fn refused(&self, token: Token) {
        let mut state = self.lock();
        state.record.refused.push(token);
        state.each_lap(|lap| lap.refused += 1);
    }

    pub(super) fn retried(&self) {
        self.lock().each_lap(|lap| lap.retried += 1);
    }

    pub(super) fn unknown(&self, token: Token, kind: Kind) {
        let mut state = self.lock();
        state.record.unknown.push((token, kind));
        state.each_lap(|lap| lap.unknown += 1);
    }

    pub(super) fn reconnected(&self) {
        self.lock().record.reconnects += 1;
    }

    pub(super) fn error(&self, code: &str, message: impl FnOnce() -> String) {
        let mut state = self.lock();
        let errors = &mut state.record.errors;
        match errors.get_mut(code) {
            Some(sample) => sample.count += 1,
            None => drop(errors.insert(code.to_owned(), ErrorSample { count: 1, message: message() })),
        }
    }

    /// The counters so far, with a pause that still lasts.
    pub(super) fn total(&self) -> Lap {
        let mut state = self.lock();
        state.measure_gap(Instant::now());
        state.record.total.clone()
    }

    /// The number of confirmed commits so far.
    pub(super) fn acknowledged_count(&self) -> u64 {
        self.lock().record.total.acknowledged
    }

    /// Ends a lap and begins the next.
    pub(super) fn lap(&self) -> Lap {
        let mut state = self.lock();
        state.measure_gap(Instant::now());
        std::mem::take(&mut state.lap)
    }

    /// Counts a pause that lasts at the moment in which the workload is told to stop.
    pub(super) fn stopping(&self) {
        self.lock().measure_gap(Instant::now());
    }

    pub(super) fn take(&self) -> Record {
        std::mem::take(&mut self.lock().record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_over_the_end_of_a_lap_counts_in_both() {
        let recorder = Recorder::default();
        let token = Token::from_value(1);
        recorder.acknowledged(token, Kind::SINGLE, Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let first = recorder.lap();
        std::thread::sleep(Duration::from_millis(20));
        recorder.acknowledged(token, Kind::SINGLE, Instant::now());
        let second = recorder.lap();
        assert!(first.longest_gap >= Duration::from_millis(20), "{first:?}");
        assert!(second.longest_gap >= Duration::from_millis(40), "{second:?}");
        assert_eq!((first.acknowledged, second.acknowledged, recorder.total().acknowledged), (1, 1, 2));
    }
}
