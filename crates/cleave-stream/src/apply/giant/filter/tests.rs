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

impl Act {
    /// None if it is all.
    fn keys(self) -> Option<Vec<Key>> {
        match self {
            Self::Insert(key, _) | Self::Delete(key) => Some(vec![key]),
            Self::Update(from, to, ..) => Some(vec![from, to]),
            Self::Truncate => None,
        }
    }
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

/// As snapshots have it. The lower half, which is what a stream says, begins again in the middle.
fn full_xid(commit: usize) -> u64 {
    u64::from(u32::MAX) - 20 + commit as u64
}

fn xid(commit: usize) -> Xid {
    Xid(full_xid(commit) as u32)
}

impl Source {
    fn keys(&self) -> BTreeSet<Key> {
        self.states.iter().flat_map(Table::keys).copied().collect()
    }

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
    late: Vec<(Vec<u8>, View)>,
}

/// A snapshot that a row was read in: which commits it sees.
#[derive(Clone, Debug)]
struct View {
    late: Late,
    sees: Vec<bool>,
}

impl View {
    /// One that sees all up to `first`, and of some later ones those that it may see: what has met nothing that it does
    /// not see. A transaction stands in the log before others see it, and another may overtake it on the way.
    fn random(source: &Source, first: usize, random: &mut fastrand::Rng) -> Self {
        let (mut sees, mut unseen): (Vec<bool>, BTreeSet<Key>) = (Vec::new(), BTreeSet::new());
        for (commit, acts) in source.commits.iter().enumerate() {
            let free = acts
                .iter()
                .all(|act| act.keys().is_some_and(|keys| keys.iter().all(|key| !unseen.contains(key))));
            let is_seen = commit <= first || (commit < first + 4 && free && random.bool());
            let whole = || source.keys().into_iter().collect::<Vec<_>>();
            if !is_seen {
                unseen.extend(acts.iter().flat_map(|act| act.keys().unwrap_or_else(whole)));
            }
            sees.push(is_seen);
        }
        let end = sees.iter().rposition(|seen| *seen).unwrap_or(0);
        let running: Vec<String> =
            (0..end).filter(|commit| !sees[*commit]).map(|commit| full_xid(commit).to_string()).collect();
        let lowest = (0..=end).find(|commit| !sees[*commit]).unwrap_or(end + 1);
        let text = format!("{}:{}:{}", full_xid(lowest), full_xid(end + 1), running.join(","));
        let late = Late { start: Lsn(lsn(end).0 + 50), seen: Arc::new(Seen::parse(&text).unwrap()) };
        Self { late, sees }
    }

    fn table(&self, source: &Source) -> Table {
        let mut table = source.states[0].clone();
        for (acts, _) in source.commits.iter().zip(&self.sees).filter(|(_, seen)| **seen) {
            acts.iter().for_each(|act| apply(&mut table, *act));
        }
        table
    }
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
    /// The snapshot that rows are read in.
    view: View,
    random: fastrand::Rng,
    met: &'a mut Met,
}

impl Run<'_> {
    fn load(ranges: &[(Ends, Lsn)], durable: &Durable) -> Giant {
        let mut giant = Giant::new("id", "int8", ranges.iter().cloned()).unwrap();
        let behind = durable.late.iter().filter(|(_, view)| view.late.start > position(durable.done));
        for (key, view) in behind {
            giant.starts(key.clone(), view.late.clone());
        }
        giant
    }

    /// Reads a row at the source, in the snapshot that there is or in a later one.
    fn missing(&mut self, key: &RowKey, commit: usize) {
        if !self.view.sees[commit] || self.random.bool() {
            let seen = self.view.sees.iter().rposition(|seen| *seen).unwrap_or(0);
            let first = self.random.usize(commit.max(seen)..self.source.commits.len());
            self.view = View::random(self.source, first, &mut self.random);
        }
        let encoded = key.encode().unwrap();
        assert_eq!(RowKey::decode(&encoded).as_ref(), Some(key));
        let at = (self.form.value(&key.cells[1]), self.form.value(&key.cells[0]));
        match self.view.table(self.source).get(&at) {
            Some(row) => apply(&mut self.now.rows, Act::Insert(at, *row)),
            None => self.met.gone += 1,
        }
        self.met.missing += 1;
        self.giant.starts(encoded.clone(), self.view.late.clone());
        self.now.late.retain(|(known, _)| *known != encoded);
        self.now.late.push((encoded, self.view.clone()));
    }

    fn truncate(&mut self, number: usize) {
        let commit = commit(number);
        let Some(ranges) =
            self.giant.emptied(commit).map(|ranges| ranges.into_iter().cloned().collect::<Vec<_>>())
        else {
            return self.now.rows.clear();
        };
        self.met.partial_truncates += 1;
        for ends in ranges {
            self.now.rows.retain(|key, _| !has(&ends, *key));
        }
        for key in self.giant.rows_behind(commit) {
            self.met.kept_in_truncate += 1;
            self.missing(&key, number);
        }
    }

    fn act(&mut self, act: Act, number: usize) {
        if matches!(act, Act::Truncate) {
            return self.truncate(number);
        }
        let commit = commit(number);
        let change = self.form.change(act, self.random.u32(0..5) == 0);
        if commit.lsn >= self.giant.until() {
            return apply(&mut self.now.rows, act);
        }
        let written = match self.giant.judge(&self.relation, commit, change).unwrap() {
            Verdict::Plain(_) => panic!("it is a giant"),
            Verdict::Drop => return,
            Verdict::Missing(key) => return self.missing(&key, number),
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
        let done = self.now.done;
        for key in self.source.keys() {
            let encoded =
                RowKey { cells: vec![self.form.cell(key.1), self.form.cell(key.0)] }.encode().unwrap();
            let late = self.now.late.iter().find(|(known, _)| *known == encoded).map(|(_, view)| view);
            let start = self.ranges.iter().find(|(ends, _)| has(ends, key)).unwrap().1;
            let touches = |number: usize| {
                self.source.commits[number]
                    .iter()
                    .any(|act| act.keys().is_none_or(|keys| keys.contains(&key)))
            };
            let ahead =
                |view: &&View| (done..view.sees.len()).any(|number| view.sees[number] && touches(number));
            let expected = match late.filter(ahead) {
                Some(view) => view.table(self.source).get(&key).copied(),
                None if late.is_some() => self.source.states[done].get(&key).copied(),
                None => self.source.at(position(done).max(start)).get(&key).copied(),
            };
            assert_eq!(self.now.rows.get(&key).copied(), expected, "{key:?} at {done}");
        }
    }

    fn follow(mut self) {
        let mut durable = self.now.clone();
        while durable.done < self.source.commits.len() {
            for _ in 0..self.random.usize(1..5) {
                let Some(acts) = self.source.commits.get(self.now.done) else { break };
                for act in acts.clone() {
                    self.act(act, self.now.done);
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

fn commit(number: usize) -> Commit {
    Commit { lsn: lsn(number), xid: xid(number) }
}

fn has(ends: &Ends, key: Key) -> bool {
    let parse = |end: &Option<String>, open: i64| end.as_ref().map_or(open, |end| end.parse().unwrap());
    (parse(&ends.lower, i64::MIN)..parse(&ends.upper, i64::MAX)).contains(&key.0)
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
        let ends = Ends { lower, upper };
        let copied = source.at(start).iter().filter(|(key, _)| has(&ends, **key));
        rows.extend(copied.map(|(key, row)| (*key, *row)));
        ranges.push((ends, start));
    }
    let durable = Durable { rows, done: 0, late: Vec::new() };
    let run = Run {
        giant: Run::load(&ranges, &durable),
        source: &source,
        // Any row is read when all ranges are.
        view: View::random(&source, last, &mut random),
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
    let seen = Arc::new(Seen::parse("9:9:").unwrap());
    giant.starts(key.encode().unwrap(), Late { start: Lsn(700), seen });
    let at = |lsn: u64| Commit { lsn: Lsn(lsn), xid: Xid(7) };
    let change = |form: Form| form.change(Act::Delete((2, 1)), false);
    assert!(matches!(giant.judge(&relation(), at(600), change(Form::Text)), Ok(Verdict::Drop)));
    let refused = giant.judge(&relation(), at(600), change(Form::Binary)).unwrap_err();
    assert_eq!(refused.code(), "C0553");
}

#[test]
fn a_key_that_is_another_is_refused() {
    let ranges = [(Ends::default(), Lsn(500))];
    let change = || Form::Text.change(Act::Delete((2, 1)), false);
    for (column, identity) in [("code", ReplicaIdentity::Default), ("id", ReplicaIdentity::Full)] {
        let mut giant = Giant::new(column, "int8", ranges.clone()).unwrap();
        let relation = Arc::new(Relation { replica_identity: identity, ..(*relation()).clone() });
        assert_eq!(giant.judge(&relation, commit(0), change()).unwrap_err().code(), "C0553");
    }
    assert!(Giant::new("id", "int8", [(Ends { lower: None, upper: Some("x".into()) }, Lsn(1))]).is_err());
    let open = Ends { lower: None, upper: Some("7".into()) };
    assert!(Giant::new("id", "int8", [(open, Lsn(1))]).is_err(), "no range is open above");
}
