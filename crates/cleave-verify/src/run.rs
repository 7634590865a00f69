//! The comparison as a whole: workers that take tables one after another.

use crate::{
    Checkpoints, Found, Reached, Settle, Side, TableOutcome, VerifyError, VerifyLimits, VerifyOutcome,
    VerifyProgress, VerifySpec, VerifyTable,
    buckets::Scan,
    connection::Connection,
    pair::Pair,
    parts::{self, Range, Walk},
    recheck::Recheck,
    relation::Extent,
    suspects::{Candidate, Suspects},
    tally::Tally,
    throttle::rested,
    values::Read,
    writers::writers,
};
use cleave_pg::Endpoint;
use futures_util::future::try_join_all;
use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Rows that are read again together.
const CHUNK_ROWS: usize = 2_000;

/// Rows that differ are collected up to this number before they are read again; the statements that find them end before
/// that. Bounds memory: a key is at most a third of a page (some 2.7 kB).
const COLLECTED_ROWS: usize = 10_000;

/// Compares the tables of a service on two live databases. Differences are part of the outcome; they are no error.
///
/// `progress` is called from the task that polls this future. Dropping the future, or `cancel` of the
/// specification, ends the statements at the servers.
///
/// # Errors
/// [`VerifyError`]: a table or column that is not there or may not be read, a lost connection, a stream that has
/// stopped, and [`VerifyError::Cancelled`].
pub async fn verify(
    spec: VerifySpec,
    progress: impl Fn(VerifyProgress) + Sync,
) -> Result<VerifyOutcome, VerifyError> {
    let VerifySpec { home, follower, tables, jobs, settle, limits, found, checkpoints, cancel } = spec;
    let comparison = Comparison {
        home,
        follower,
        settle,
        limits,
        found,
        checkpoints,
        progress: &progress,
        outcomes: Mutex::new(tables.iter().map(|_| None).collect()),
        tables,
        next: AtomicUsize::new(0),
    };
    tokio::select! {
        biased;
        () = cancel => return Err(VerifyError::Cancelled),
        done = comparison.run(jobs) => done?,
    };
    let outcomes = comparison.outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(VerifyOutcome { tables: outcomes.into_iter().flatten().collect() })
}

struct Comparison<'p> {
    home: Endpoint,
    follower: Endpoint,
    tables: Vec<VerifyTable>,
    settle: Settle,
    limits: VerifyLimits,
    found: Option<Found>,
    checkpoints: Checkpoints,
    progress: &'p (dyn Fn(VerifyProgress) + Sync),
    /// The next place in the list of turns that nobody has taken.
    next: AtomicUsize,
    outcomes: Mutex<Vec<Option<TableOutcome>>>,
}

/// A session on each side.
struct Connections {
    home: Connection,
    follower: Connection,
}

/// What became of a part of a table.
enum Part {
    /// It was read.
    Read { range: Range, scan: Scan, suspects: Option<Suspects>, took: Duration },
    /// It was too much at once; the next one is smaller.
    TooMuch,
    /// There is none any more.
    End,
}

/// A table's turn.
struct Turn {
    /// Its place among the tables asked for.
    at: usize,
    /// How it was when the comparison began.
    extent: Extent,
}

impl Comparison<'_> {
    async fn run(&self, jobs: usize) -> Result<(), VerifyError> {
        let mut scanning = None;
        let turns = {
            let Connections { home, .. } = Box::pin(self.connected(&mut scanning)).await?;
            self.turns(home).await?
        };
        let connected = std::iter::once(scanning).chain(std::iter::repeat_with(|| None));
        let jobs = jobs.clamp(1, turns.len().max(1));
        try_join_all(connected.take(jobs).map(|scanning| Box::pin(self.work(&turns, scanning)))).await?;
        Ok(())
    }

    /// The biggest tables first, so that no worker is left alone with one at the end.
    async fn turns(&self, home: &Connection) -> Result<Vec<Turn>, VerifyError> {
        let mut turns = Vec::with_capacity(self.tables.len());
        for (at, table) in self.tables.iter().enumerate() {
            turns.push(Turn { at, extent: Extent::read(home, table).await? });
        }
        let estimated_rows = turns.iter().map(|turn| turn.extent.estimated_rows).sum();
        (self.progress)(VerifyProgress::Planned { estimated_rows });
        turns.sort_by_key(|turn| std::cmp::Reverse(turn.extent.estimated_rows));
        Ok(turns)
    }

    async fn work(&self, turns: &[Turn], mut scanning: Option<Connections>) -> Result<(), VerifyError> {
        let mut by_key = None;
        loop {
            let Some(turn) = turns.get(self.next.fetch_add(1, Ordering::Relaxed)) else { return Ok(()) };
            let Some(table) = self.tables.get(turn.at) else { return Ok(()) };
            let outcome = Box::pin(self.table(table, turn, &mut scanning, &mut by_key)).await?;
            (self.progress)(VerifyProgress::Finished { outcome: outcome.clone() });
            let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = outcomes.get_mut(turn.at) {
                *place = Some(outcome);
            }
        }
    }

    async fn table(
        &self,
        table: &VerifyTable,
        turn: &Turn,
        scanning: &mut Option<Connections>,
        by_key: &mut Option<Connections>,
    ) -> Result<TableOutcome, VerifyError> {
        let Connections { home, follower } = Box::pin(self.connected(scanning)).await?;
        let pair = Pair::read(home, follower, table).await?;
        let (name, estimated_rows) = (pair.home.name.clone(), pair.estimated_rows);
        (self.progress)(VerifyProgress::Started { table: name.clone(), estimated_rows });
        let mut tally = Tally::new(&pair, table, self.limits.differences_kept, self.found.as_ref());
        let mut walk = pair.walk(self.limits);
        if let Some(reached) = self.checkpoints.reached.get(&table.title())
            && walk.go_on(reached)
        {
            tally.resume(reached);
            (self.progress)(VerifyProgress::Resumed { table: name.clone(), rows: reached.rows });
        }
        loop {
            let Connections { home, .. } = Box::pin(self.connected(scanning)).await?;
            rested(home, &name, self.limits, self.progress).await?;
            let began = Instant::now();
            let rows = match Box::pin(self.part(&pair, turn, &mut walk, scanning)).await? {
                Part::End => break,
                Part::TooMuch => continue,
                Part::Read { range, scan, suspects, took } => {
                    let (rows, suspicious_rows) = (scan.rows, scan.suspicious_rows);
                    (self.progress)(VerifyProgress::Scanned { table: name.clone(), rows, suspicious_rows });
                    tally.scanned(rows);
                    let of_part = (&pair, &range, &scan);
                    Box::pin(self.suspects(of_part, suspects, &mut tally, scanning, by_key)).await?;
                    let Connections { follower, .. } = Box::pin(self.connected(scanning)).await?;
                    walk.done(follower, &range, took).await?;
                    self.keep(table, &walk, &range, &tally).await?;
                    rows
                }
            };
            sleep(parts::pause(rows, began.elapsed(), self.limits)).await;
        }
        Ok(tally.finish())
    }

    /// Reads the next part once, and the rows that differ in it. Whoever takes too long, or finds too many of them, is
    /// asked for less.
    async fn part(
        &self,
        pair: &Pair,
        turn: &Turn,
        walk: &mut Walk,
        scanning: &mut Option<Connections>,
    ) -> Result<Part, VerifyError> {
        let sides = Box::pin(self.connected(scanning)).await?;
        let read = Box::pin(self.read_part(pair, turn, walk, sides)).await;
        let split = match &read {
            Ok(Part::Read { suspects: Some(suspects), .. }) if suspects.more_behind.is_some() => {
                // Their statements still run: their sessions end with them.
                *scanning = None;
                !walk.is_as_small_as(COLLECTED_ROWS)
            }
            Err(error) if error.is_timeout() => {
                *scanning = None;
                true
            }
            _ => false,
        };
        if split && walk.split() {
            return Ok(Part::TooMuch);
        }
        read.map_err(|error| error.or_too_long(self.limits.snapshot))
    }

    async fn read_part(
        &self,
        pair: &Pair,
        turn: &Turn,
        walk: &Walk,
        Connections { home, follower }: &Connections,
    ) -> Result<Part, VerifyError> {
        let began = Instant::now();
        let Some(range) = walk.next(home).await? else { return Ok(Part::End) };
        let scan = if !range.is_whole() || is_quiet(home, pair, turn).await? {
            Scan::of_quiet_rows(home, follower, pair, &range).await?
        } else {
            Scan::by_buckets(home, follower, pair, &range).await?
        };
        let suspects = if scan.buckets.is_empty() {
            None
        } else {
            Some(Suspects::read((home, follower), pair, (&scan, &range), None, COLLECTED_ROWS).await?)
        };
        Ok(Part::Read { range, scan, suspects, took: began.elapsed() })
    }

    /// Decides about the rows that differ in a part; where there are more than fit into memory, one portion after the
    /// other.
    async fn suspects(
        &self,
        (pair, range, scan): (&Pair, &Range, &Scan),
        mut suspects: Option<Suspects>,
        tally: &mut Tally<'_>,
        scanning: &mut Option<Connections>,
        by_key: &mut Option<Connections>,
    ) -> Result<(), VerifyError> {
        while let Some(Suspects { rows, more_behind }) = suspects.take() {
            for some in rows.chunks(CHUNK_ROWS) {
                Box::pin(self.recheck((pair, range), some, tally, by_key)).await?;
            }
            if more_behind.is_some() {
                let Connections { home, follower } = Box::pin(self.connected(scanning)).await?;
                let sides = (home, follower);
                let more = Suspects::read(sides, pair, (scan, range), more_behind, COLLECTED_ROWS).await;
                let more = more.map_err(|error| error.or_too_long(self.limits.snapshot))?;
                if more.more_behind.is_some() {
                    *scanning = None;
                }
                suspects = Some(more);
            }
        }
        Ok(())
    }

    /// Rows are read by key on connections of their own.
    async fn recheck(
        &self,
        (pair, range): (&Pair, &Range),
        some: &[Candidate],
        tally: &mut Tally<'_>,
        by_key: &mut Option<Connections>,
    ) -> Result<(), VerifyError> {
        let Connections { home, follower } = Box::pin(self.connected(by_key)).await?;
        let (settle, limits, progress) = (&self.settle, self.limits, self.progress);
        let recheck = Recheck { home, follower, pair, range, settle, limits, progress };
        tally.rechecking(some.len());
        let decided = recheck.run(some.iter().map(|(row, _)| row.clone()).collect()).await;
        let mut decided = decided.map_err(|error| error.or_too_long(limits.snapshot))?;
        if pair.parts_may_differ && !range.is_whole() {
            // What the home has in another part is decided about there.
            let lacking: BTreeSet<_> =
                some.iter().filter(|(_, at_home)| !at_home).map(|(row, _)| row).collect();
            decided.retain(|decided| !(decided.is_at_home() && lacking.contains(decided.row())));
        }
        let mut decided = decided.into_iter().peekable();
        while decided.peek().is_some() {
            let some_decided: Vec<_> = decided.by_ref().take(Read::ROWS_MAX).collect();
            let limit = if limits.values { tally.room() } else { 0 };
            let mut values = Read::decided((home, follower), pair, &some_decided, limit).await?;
            some_decided.into_iter().for_each(|row| tally.add(row, &mut values));
        }
        Ok(())
    }

    /// Tells whoever keeps it how far the table has come, for as long as all of it is the same on both sides.
    async fn keep(
        &self,
        table: &VerifyTable,
        walk: &Walk,
        range: &Range,
        tally: &Tally<'_>,
    ) -> Result<(), VerifyError> {
        let (Some(keep), Some((rows, rechecked))) = (&self.checkpoints.keep, tally.proven()) else {
            return Ok(());
        };
        let (up_to, follower_up_to) = (range.up_to(), walk.follower_above());
        let done = up_to.is_none();
        keep(table, Reached { order: walk.order(), up_to, follower_up_to, done, rows, rechecked }).await
    }

    async fn connected<'c>(
        &self,
        place: &'c mut Option<Connections>,
    ) -> Result<&'c Connections, VerifyError> {
        let connections = match place.take() {
            Some(connections) => connections,
            None => {
                let (home, follower) = tokio::try_join!(
                    Connection::open(Side::Home, &self.home, self.limits.snapshot),
                    Connection::open(Side::Follower, &self.follower, self.limits.snapshot)
                )?;
                Connections { home, follower }
            }
        };
        Ok(place.insert(connections))
    }
}

/// Whether nobody seems to write to a table. What this says may be seconds old: it decides about how long the answer
/// takes, never about the answer.
async fn is_quiet(home: &Connection, pair: &Pair, turn: &Turn) -> Result<bool, VerifyError> {
    let unchanged = pair.written_rows == turn.extent.written_rows;
    Ok(unchanged && writers(home, &pair.home.name).await?.is_empty())
}
