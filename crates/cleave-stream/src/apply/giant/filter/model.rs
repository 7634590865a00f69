//! The filter against a model: a source that commits, ranges that are read at different times, a stream that dies.

use super::*;
use cleave_journal::Ends;
use cleave_model::{Oid, QualifiedName};
use cleave_proto::pgoutput::{OldTuple, RelationColumn};
use std::collections::{BTreeMap, BTreeSet};

type Key = (i64, i64);

/// `out` is stored out of line: an update that does not touch it does not send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    plain: u32,
    out: u32,
}

type Table = BTreeMap<Key, Row>;

#[derive(Clone, Copy, Debug)]
enum Act {
    Insert(Key, Row),
    /// From, to, the row, whether `out` is sent.
    Update(Key, Key, Row, bool),
    Delete(Key),
    Truncate,
}

/// A source's whole life: what each commit did, and what there was after it.
struct Source {
    commits: Vec<Vec<Act>>,
    /// One more than commits: the first is before all.
    states: Vec<Table>,
}

/// Commit number 0 is at 100.
fn lsn(commit: usize) -> Lsn {
    Lsn(100 * (commit as u64 + 1))
}

impl Source {
    /// What a snapshot sees whose consistent point this is.
    fn at(&self, point: Lsn) -> &Table {
        let seen = (0..self.commits.len()).filter(|commit| lsn(*commit) < point).count();
        &self.states[seen]
    }

    fn random(random: &mut fastrand::Rng) -> Self {
        let key = |random: &mut fastrand::Rng| (random.i64(-9..9), random.i64(0..2));
        let row = |random: &mut fastrand::Rng| Row { plain: random.u32(..1000), out: random.u32(..1000) };
        let mut table = Table::new();
        for _ in 0..random.usize(5..20) {
            table.insert(key(random), row(random));
        }
        let (mut commits, mut states) = (Vec::new(), vec![table.clone()]);
        for _ in 0..random.usize(10..60) {
            let mut acts = Vec::new();
            for _ in 0..random.usize(1..5) {
                let there: Vec<Key> = table.keys().copied().collect();
                let (to, new) = (key(random), row(random));
                let act = match (random.choice(there), random.u32(0..40)) {
                    (_, 0) => Act::Truncate,
                    (Some(from), 1..=20) if from == to || !table.contains_key(&to) => {
                        let sent = random.bool();
                        let out = if sent { new.out } else { table[&from].out };
                        Act::Update(from, to, Row { out, ..new }, sent)
                    }
                    (Some(from), 21..=26) => Act::Delete(from),
                    (Some(from), 27..=32) => {
                        Act::Update(from, from, Row { plain: new.plain, ..table[&from] }, false)
                    }
                    _ if !table.contains_key(&to) => Act::Insert(to, new),
                    _ => continue,
                };
                apply(&mut table, act);
                acts.push(act);
            }
            commits.push(acts);
            states.push(table.clone());
        }
        Self { commits, states }
    }
}

/// Strict, as a target is: a row must be there, or must not be.
fn apply(table: &mut Table, act: Act) {
    match act {
        Act::Insert(key, row) => assert!(table.insert(key, row).is_none(), "{key:?} is there"),
        Act::Update(from, to, row, _) => {
            assert!(table.remove(&from).is_some(), "{from:?} is not there");
            assert!(table.insert(to, row).is_none(), "{to:?} is there");
        }
        Act::Delete(key) => assert!(table.remove(&key).is_some(), "{key:?} is not there"),
        Act::Truncate => table.clear(),
    }
}

/// The key's columns are neither first nor in the order of the key.
fn relation() -> Arc<Relation> {
    let column = |name: &str, key| RelationColumn {
        key,
        name: Ident::new(name),
        type_oid: Oid(20),
        type_modifier: -1,
    };
    Arc::new(Relation {
        oid: Oid(1),
        name: QualifiedName::new("public", "film"),
        replica_identity: ReplicaIdentity::Default,
        columns: vec![
            column("plain", false),
            column("number", true),
            column("out", false),
            column("id", true),
        ],
    })
}

/// How a stream sends values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Binary,
}

impl Form {
    fn cell(self, value: i64) -> Cell {
        match self {
            Self::Text => Cell::Text(Bytes::from(value.to_string())),
            Self::Binary => Cell::Binary(Bytes::copy_from_slice(&value.to_be_bytes())),
        }
    }

    fn value(self, cell: &Cell) -> i64 {
        match (self, cell) {
            (Self::Text, Cell::Text(bytes)) => std::str::from_utf8(bytes).unwrap().parse().unwrap(),
            (Self::Binary, Cell::Binary(bytes)) => i64::from_be_bytes(bytes.as_ref().try_into().unwrap()),
            _ => panic!("{cell:?}"),
        }
    }

    fn tuple(self, key: Key, row: Row, sent: bool) -> Tuple {
        let out = if sent { self.cell(row.out.into()) } else { Cell::Unchanged };
        Tuple { cells: vec![self.cell(row.plain.into()), self.cell(key.1), out, self.cell(key.0)] }
    }

    fn old(self, key: Key) -> OldTuple {
        OldTuple::Key(Tuple { cells: vec![Cell::Null, self.cell(key.1), Cell::Null, self.cell(key.0)] })
    }

    fn key_of(self, tuple: &Tuple) -> Key {
        (self.value(&tuple.cells[3]), self.value(&tuple.cells[1]))
    }

    /// As pgoutput sends it: the old key if it has changed, and now and then although it has not.
    fn change(self, act: Act, says_old: bool) -> Change {
        match act {
            Act::Insert(key, row) => Change::Insert { new: self.tuple(key, row, true) },
            Act::Update(from, to, row, sent) => Change::Update {
                old: (from != to || says_old).then(|| self.old(from)),
                new: self.tuple(to, row, sent),
            },
            Act::Delete(key) => Change::Delete { old: self.old(key) },
            Act::Truncate => panic!("a truncate is no row change"),
        }
    }
}

/// What survives: the target, and with it position and journal.
#[derive(Clone)]
struct Durable {
    rows: Table,
    /// Commits applied.
    done: usize,
    late: Vec<(Vec<u8>, Lsn)>,
}

/// How often what was met.
#[derive(Default)]
struct Met {
    missing: usize,
    gone: usize,
    crashes: usize,
    partial_truncates: usize,
    taken_away: usize,
    kept_in_truncate: usize,
}

struct Run<'a> {
    source: &'a Source,
    ranges: Vec<(Ends, Lsn)>,
    form: Form,
    relation: Arc<Relation>,
    giant: Giant,
    now: Durable,
    /// Consistent point of the snapshot that rows are read in.
    view: Lsn,
    random: fastrand::Rng,
    met: &'a mut Met,
}

impl Run<'_> {
    fn load(ranges: &[(Ends, Lsn)], durable: &Durable) -> Giant {
        let mut giant = Giant::new("id", "int8", ranges.iter().cloned()).unwrap();
        for (key, start) in durable.late.iter().filter(|(_, start)| *start > position(durable.done)) {
            giant.starts(key.clone(), *start);
        }
        giant
    }

    /// Reads a row at the source, in the snapshot that there is or in a later one.
    fn missing(&mut self, key: &RowKey, commit: Lsn) {
        if self.view <= commit || self.random.bool() {
            let first = (0..).find(|number| lsn(*number) > commit.max(self.view)).unwrap();
            let last = self.source.commits.len().max(first);
            self.view = Lsn(lsn(self.random.usize(first..=last)).0 - self.random.u64(0..2) * 50);
            if self.view <= commit {
                self.view = lsn(last + 1);
            }
        }
        let encoded = key.encode().unwrap();
        assert_eq!(RowKey::decode(&encoded).as_ref(), Some(key));
        let at = (self.form.value(&key.cells[1]), self.form.value(&key.cells[0]));
        match self.source.at(self.view).get(&at) {
            Some(row) => apply(&mut self.now.rows, Act::Insert(at, *row)),
            None => self.met.gone += 1,
        }
        self.met.missing += 1;
        self.giant.starts(encoded.clone(), self.view);
        self.now.late.push((encoded, self.view));
    }

    fn truncate(&mut self, commit: Lsn) {
        let Some(ranges) =
            self.giant.emptied(commit).map(|ranges| ranges.into_iter().cloned().collect::<Vec<_>>())
        else {
            return self.now.rows.clear();
        };
        self.met.partial_truncates += 1;
        let parse = |end: &Option<String>| end.as_ref().map(|end| end.parse::<i64>().unwrap());
        for Ends { lower, upper } in ranges {
            let (lower, upper) = (parse(&lower).unwrap_or(i64::MIN), parse(&upper).unwrap_or(i64::MAX));
            self.now.rows.retain(|(id, _), _| *id < lower || *id >= upper);
        }
        for key in self.giant.rows_behind(commit) {
            self.met.kept_in_truncate += 1;
            self.missing(&key, commit);
        }
    }

    fn act(&mut self, act: Act, commit: Lsn) {
        if matches!(act, Act::Truncate) {
            return self.truncate(commit);
        }
        let change = self.form.change(act, self.random.u32(0..5) == 0);
        if commit >= self.giant.until() {
            return apply(&mut self.now.rows, act);
        }
        let written = match self.giant.judge(&self.relation, commit, change).unwrap() {
            Verdict::Plain(_) => panic!("it is a giant"),
            Verdict::Drop => return,
            Verdict::Missing(key) => return self.missing(&key, commit),
            Verdict::Apply(change) => change,
        };
        match (written, act) {
            (Change::Insert { new }, Act::Insert(key, row) | Act::Update(_, key, row, _)) => {
                assert!(self.form.key_of(&new) == key && !new.cells.contains(&Cell::Unchanged));
                apply(&mut self.now.rows, Act::Insert(key, row));
            }
            // What was not sent is what the target has.
            (Change::Update { .. }, Act::Update(from, to, row, sent)) => {
                let out = if sent { row.out } else { self.now.rows[&from].out };
                apply(&mut self.now.rows, Act::Update(from, to, Row { out, ..row }, sent));
            }
            (Change::Delete { .. }, Act::Delete(key)) => apply(&mut self.now.rows, Act::Delete(key)),
            (Change::Delete { .. }, Act::Update(from, ..)) => {
                self.met.taken_away += 1;
                apply(&mut self.now.rows, Act::Delete(from));
            }
            (written, act) => panic!("{act:?} became {written:?}"),
        }
    }

    /// The invariant, key by key.
    fn check(&self) {
        let keys: BTreeSet<Key> = self.source.states.iter().flat_map(Table::keys).copied().collect();
        for key in keys {
            let cells = vec![self.form.cell(key.1), self.form.cell(key.0)];
            let start = match self.giant.places {
                Some(_) => self.giant.start_of(&self.relation, &RowKey { cells }).unwrap(),
                None => continue,
            };
            let expected = self.source.at(position(self.now.done).max(start)).get(&key);
            assert_eq!(self.now.rows.get(&key), expected, "{key:?} from {start} at {}", self.now.done);
        }
    }

    fn follow(mut self) {
        let mut durable = self.now.clone();
        while durable.done < self.source.commits.len() {
            for _ in 0..self.random.usize(1..5) {
                let Some(acts) = self.source.commits.get(self.now.done) else { break };
                for act in acts.clone() {
                    self.act(act, lsn(self.now.done));
                }
                self.now.done += 1;
                self.check();
            }
            if self.random.u32(0..4) == 0 {
                // All that is not durable is gone, but for the time that has passed at the source.
                self.met.crashes += 1;
                self.now = durable.clone();
                self.giant = Self::load(&self.ranges, &durable);
            } else {
                durable = self.now.clone();
            }
        }
        assert!(
            position(self.now.done) < self.giant.until()
                || self.now.rows == *self.source.states.last().unwrap()
        );
    }
}

/// Where a stream is that has applied so many commits.
fn position(done: usize) -> Lsn {
    Lsn(lsn(done).0 - 50)
}

fn one(seed: u64, met: &mut Met) {
    let mut random = fastrand::Rng::with_seed(seed);
    let source = Source::random(&mut random);
    let mut bounds: Vec<i64> = (0..random.usize(1..6)).map(|_| random.i64(-9..9)).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let text = |bound: i64| Some(bound.to_string());
    let lower = std::iter::once(None).chain(bounds.iter().copied().map(text));
    let upper = bounds.iter().copied().map(text).chain(std::iter::once(None));
    // Snapshots between commits, and right at one: what commits there is not in it. The last commits are behind them all.
    let last = source.commits.len() - 5;
    let mut ranges = Vec::new();
    let mut rows = Table::new();
    for (lower, upper) in lower.zip(upper) {
        let start = Lsn(lsn(random.usize(0..last)).0 - random.u64(0..2) * 50);
        let ends = |end: &Option<String>, open| end.as_ref().map_or(open, |end| end.parse().unwrap());
        let (from, to) = (ends(&lower, i64::MIN), ends(&upper, i64::MAX));
        let copied = source.at(start).iter().filter(|((id, _), _)| (from..to).contains(id));
        rows.extend(copied.map(|(key, row)| (*key, *row)));
        ranges.push((Ends { lower, upper }, start));
    }
    let durable = Durable { rows, done: 0, late: Vec::new() };
    let run = Run {
        giant: Run::load(&ranges, &durable),
        source: &source,
        view: ranges.iter().map(|(_, start)| *start).max().unwrap(),
        ranges,
        form: if random.bool() { Form::Text } else { Form::Binary },
        relation: relation(),
        now: durable,
        random,
        met,
    };
    run.follow();
}

#[test]
fn whatever_commits_when_ranges_are_read_and_wherever_the_stream_dies_the_target_is_the_source() {
    let mut met = Met::default();
    for seed in 0..500 {
        one(seed, &mut met);
    }
    let Met { missing, gone, crashes, partial_truncates, taken_away, kept_in_truncate } = met;
    let rare = [missing, gone, crashes, partial_truncates, taken_away, kept_in_truncate];
    assert!(rare.iter().all(|times| *times > 20), "the model has not met everything: {rare:?}");
}

#[test]
fn keys_in_another_form_than_recorded_ones_are_refused() {
    let ranges = [(Ends::default(), Lsn(500))];
    let mut giant = Giant::new("id", "int8", ranges).unwrap();
    let key = RowKey { cells: vec![Form::Text.cell(1), Form::Text.cell(2)] };
    giant.starts(key.encode().unwrap(), Lsn(700));
    let change = |form: Form| form.change(Act::Delete((2, 1)), false);
    assert!(matches!(giant.judge(&relation(), Lsn(600), change(Form::Text)), Ok(Verdict::Drop)));
    let refused = giant.judge(&relation(), Lsn(600), change(Form::Binary)).unwrap_err();
    assert_eq!(refused.code(), "C0553");
}

#[test]
fn a_key_that_is_another_is_refused() {
    let ranges = [(Ends::default(), Lsn(500))];
    let change = || Form::Text.change(Act::Delete((2, 1)), false);
    for (column, identity) in [("code", ReplicaIdentity::Default), ("id", ReplicaIdentity::Full)] {
        let mut giant = Giant::new(column, "int8", ranges.clone()).unwrap();
        let relation = Arc::new(Relation { replica_identity: identity, ..(*relation()).clone() });
        assert_eq!(giant.judge(&relation, Lsn(100), change()).unwrap_err().code(), "C0553");
    }
    assert!(Giant::new("id", "int8", [(Ends { lower: None, upper: Some("x".into()) }, Lsn(1))]).is_err());
    let open = Ends { lower: None, upper: Some("7".into()) };
    assert!(Giant::new("id", "int8", [(open, Lsn(1))]).is_err(), "no range is open above");
}
