//! The argument of docs/design/verify.md, tried on random histories: commits that become visible late, a follower
//! that lags, values that come back.

use super::{BothSides, Reading, Round, Suspicion, Verdict, judge, may_repair};
use fastrand::Rng;
use std::collections::BTreeMap;

const SEEDS: u64 = 20_000;
const ROUNDS: usize = 12;

/// A transaction on the rows of one identity. Times are steps of the simulation.
struct Transaction {
    /// From when on it holds its lock on the table.
    starts: u64,
    /// When its commit is in the log: what a follower can know.
    logged: u64,
    /// When others on the home see it: later, if it waits for a synchronous standby. The lock ends here.
    visible: u64,
    /// When the follower has applied it.
    applied: u64,
    change: Change,
}

enum Change {
    /// The row becomes this, or goes.
    Write(Option<i64>),
    /// A row more of the same content, a tuple of this number.
    Add(usize),
    /// The home deletes this tuple; the follower any.
    Remove(usize),
}

type State = BTreeMap<usize, i64>;

struct History {
    transactions: Vec<Transaction>,
    keyed: bool,
    /// Breaks the follower for ever in one way: it never applies the transaction of this number.
    lost: Option<usize>,
}

impl History {
    /// Changes of one row: each waits until the one before is visible, as row locks make it.
    fn keyed(rng: &mut Rng) -> Self {
        let (mut now, mut applied, mut transactions) = (0, 0, Vec::new());
        for _ in 0..rng.usize(1..40) {
            let starts = now + rng.u64(0..30);
            let logged = starts + rng.u64(0..4);
            let visible = logged + if rng.u8(0..3) == 0 { rng.u64(0..60) } else { 0 };
            applied = (logged + rng.u64(1..25)).max(applied);
            let change = Change::Write(rng.bool().then(|| rng.i64(0..2)));
            transactions.push(Transaction { starts, logged, visible, applied, change });
            now = visible + 1;
        }
        Self { transactions, keyed: true, lost: None }
    }

    /// Rows of one content: inserts and deletes overlap freely.
    fn keyless(rng: &mut Rng) -> Self {
        let (mut logged, mut applied) = (0, 0);
        let mut transactions: Vec<Transaction> = Vec::new();
        let mut there: Vec<(usize, u64)> = Vec::new();
        for number in 0..rng.usize(1..40) {
            logged += 1 + rng.u64(0..30);
            let starts = logged.saturating_sub(rng.u64(0..4));
            let visible = logged + if rng.u8(0..3) == 0 { rng.u64(0..60) } else { 0 };
            applied = (logged + rng.u64(1..25)).max(applied);
            let deletable: Vec<usize> = (0..there.len()).filter(|at| there[*at].1 < starts).collect();
            let change = match rng.choice(deletable) {
                Some(at) if rng.bool() => Change::Remove(there.swap_remove(at).0),
                _ => {
                    there.push((number, visible));
                    Change::Add(number)
                }
            };
            transactions.push(Transaction { starts, logged, visible, applied, change });
        }
        Self { transactions, keyed: false, lost: None }
    }

    fn home(&self, now: u64) -> State {
        let mut state = State::new();
        for (number, transaction) in self.transactions.iter().enumerate() {
            if transaction.visible <= now {
                change(&mut state, number, &transaction.change, None);
            }
        }
        state
    }

    fn follower(&self, now: u64) -> State {
        let mut state = State::new();
        for (number, transaction) in self.transactions.iter().enumerate() {
            if transaction.applied <= now && self.lost != Some(number) {
                change(&mut state, number, &transaction.change, Some(number));
            }
        }
        state
    }

    fn reading(&self, state: &State) -> Option<Reading> {
        let content = if self.keyed {
            state.values().copied().collect()
        } else {
            vec![i64::try_from(state.len()).unwrap()]
        };
        let version = state.keys().map(|tuple| 1_i64 << tuple).sum();
        (!state.is_empty()).then_some(Reading { content, version })
    }

    fn settled(&self, now: u64) -> u64 {
        let due = self.transactions.iter().filter(|one| one.logged <= now).map(|one| one.applied);
        due.max().unwrap_or(now).max(now)
    }

    fn writers(&self, now: u64) -> Vec<usize> {
        let open = |at: &usize| {
            let one = &self.transactions[*at];
            one.starts <= now && now < one.visible
        };
        (0..self.transactions.len()).filter(open).collect()
    }

    /// Runs the rounds of `recheck` and gives the first difference.
    fn judged(&self, rng: &mut Rng, watch_writers: bool) -> Option<Suspicion> {
        let mut now = rng.u64(0..200);
        let (mut suspicion, mut writers) = (None, Vec::new());
        for _ in 0..ROUNDS {
            let still = self.writers(now);
            let writers_gone = !watch_writers || writers.iter().all(|writer| !still.contains(writer));
            now += rng.u64(0..3);
            let home_before = self.reading(&self.home(now));
            now = self.settled(now + rng.u64(0..2)) + rng.u64(0..3);
            let follower = self.reading(&self.follower(now));
            now += rng.u64(0..3);
            writers = self.writers(now);
            now += rng.u64(0..3);
            let home_after = self.reading(&self.home(now));
            let count = |reading: &Option<Reading>| reading.as_ref().map_or(0, |reading| reading.content[0]);
            let nothing_hidden = self.keyed
                || !watch_writers
                || count(&home_after) > count(&follower)
                || self.writers(now).is_empty();
            match judge(
                suspicion.as_ref(),
                Round { home_before, follower, home_after, writers_gone, nothing_hidden },
            ) {
                Verdict::Equal => return None,
                Verdict::Different(seen) => return Some(seen),
                Verdict::Open(seen) => suspicion = seen,
            }
            now += 1 + rng.u64(0..40);
        }
        None
    }
}

/// `removes` picks what the follower deletes: any tuple of the content.
fn change(state: &mut State, number: usize, change: &Change, removes: Option<usize>) {
    match change {
        Change::Write(value) => {
            state.clear();
            state.extend(value.map(|value| (number, value)));
        }
        Change::Add(tuple) => {
            state.insert(*tuple, 0);
        }
        Change::Remove(tuple) => {
            let picked = match removes {
                Some(seed) => state.keys().copied().nth(seed % state.len().max(1)),
                None => Some(*tuple),
            };
            if let Some(picked) = picked {
                state.remove(&picked);
            }
        }
    }
}

fn false_alarms(make: fn(&mut Rng) -> History, watch_writers: bool) -> Vec<u64> {
    let alarm = |seed: &u64| {
        let mut rng = Rng::with_seed(*seed);
        let history = make(&mut rng);
        history.judged(&mut rng, watch_writers).is_some()
    };
    (0..SEEDS).filter(alarm).collect()
}

#[test]
fn no_history_of_a_row_that_a_follower_keeps_up_with_is_called_different() {
    assert_eq!(false_alarms(History::keyed, true), Vec::<u64>::new());
}

#[test]
fn no_history_of_rows_without_a_key_is_called_different() {
    assert_eq!(false_alarms(History::keyless, true), Vec::<u64>::new());
}

#[test]
fn without_waiting_for_writers_there_would_be_false_alarms() {
    assert_ne!(false_alarms(History::keyed, false), Vec::<u64>::new());
    assert_ne!(false_alarms(History::keyless, false), Vec::<u64>::new());
}

#[test]
fn a_lost_last_change_is_found_once_the_home_is_quiet() {
    for make in [History::keyed, History::keyless] {
        let mut found = 0;
        for seed in 0..SEEDS {
            let mut rng = Rng::with_seed(seed);
            let mut history = make(&mut rng);
            history.lost = Some(history.transactions.len() - 1);
            let end = history.transactions.iter().map(|one| one.visible.max(one.applied)).max().unwrap();
            for transaction in &mut history.transactions {
                // Everything happens before the first reading, which comes at 0 at the earliest.
                let back = |time: &mut u64| *time = time.saturating_sub(end);
                back(&mut transaction.starts);
                back(&mut transaction.logged);
                back(&mut transaction.visible);
                back(&mut transaction.applied);
            }
            let equal = history.reading(&history.home(0)).map(|reading| reading.content)
                == history.reading(&history.follower(0)).map(|reading| reading.content);
            assert_eq!(history.judged(&mut rng, true).is_some(), !equal, "seed {seed}");
            found += u64::from(!equal);
        }
        assert!(found > SEEDS / 3);
    }
}

impl History {
    /// What the follower would have if it had lost nothing.
    fn intact_follower(&self, now: u64) -> State {
        let mut state = State::new();
        for (number, transaction) in self.transactions.iter().enumerate() {
            if transaction.applied <= now {
                change(&mut state, number, &transaction.change, Some(number));
            }
        }
        state
    }

    /// When all who write now have ended.
    fn writers_ended(&self, now: u64) -> u64 {
        let ends = self.writers(now).into_iter().map(|at| self.transactions[at].visible);
        ends.max().unwrap_or(now).max(now)
    }

    /// Runs a repair: none if the row is left alone, else whether the follower was given what it ought to have had at the
    /// place where it was stopped.
    fn repaired(&self, rng: &mut Rng, watch_writers: bool) -> Option<bool> {
        let wait = |now: u64| if watch_writers { self.writers_ended(now) } else { now };
        let mut now = rng.u64(0..200);
        let first_follower = self.reading(&self.follower(now));
        now = wait(now + rng.u64(0..3)) + rng.u64(0..3);
        let first_home = self.reading(&self.home(now));
        now = self.settled(now + rng.u64(0..3)) + rng.u64(0..3);
        let stopped = now;
        now = wait(now + rng.u64(0..3)) + rng.u64(0..10);
        let (home, follower) = (self.reading(&self.home(now)), self.reading(&self.follower(stopped)));
        let before = BothSides { home: first_home.as_ref(), follower: first_follower.as_ref() };
        let after = BothSides { home: home.as_ref(), follower: follower.as_ref() };
        let content = |reading: Option<Reading>| reading.map(|reading| reading.content);
        let right = self.reading(&self.intact_follower(stopped));
        may_repair(before, after).then(|| content(home) == content(right))
    }
}

/// How many repairs were right and how many wrong, of histories in which the follower lost one change, or none.
fn repairs(watch_writers: bool) -> (u64, u64) {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let mut history = History::keyed(&mut rng);
        history.lost = rng.bool().then(|| rng.usize(0..history.transactions.len()));
        match history.repaired(&mut rng, watch_writers) {
            Some(true) => right += 1,
            Some(false) => wrong += 1,
            None => {}
        }
    }
    (right, wrong)
}

#[test]
fn no_history_makes_a_repair_write_what_the_follower_ought_not_to_have() {
    let (right, wrong) = repairs(true);
    assert_eq!(wrong, 0);
    assert!(right > SEEDS / 50, "{right} rows were repaired: the test shows nothing");
}

#[test]
fn without_waiting_for_writers_a_repair_would_be_wrong() {
    assert_ne!(repairs(false).1, 0);
}
