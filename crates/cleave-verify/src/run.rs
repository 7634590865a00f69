//! The comparison as a whole: workers that take tables one after another.

use crate::{
    Found, Settle, Side, TableOutcome, VerifyError, VerifyLimits, VerifyOutcome, VerifyProgress, VerifySpec,
    VerifyTable, buckets::Scan, connection::Connection, pair::Pair, ranges, recheck::Recheck,
    relation::Extent, suspects::Suspects, tally::Tally, values::Read, writers::writers,
};
use cleave_pg::Endpoint;
use futures_util::future::try_join_all;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::time::sleep;

/// Rows that are read again together.
const CHUNK_ROWS: usize = 2_000;

/// Rows that differ are collected up to this number before they are read again, so that the statements that find them
/// need not wait with open snapshots. Beyond it they do. Bounds memory: a key is at most a third of a page (some 2.7 kB).
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
    let VerifySpec { home, follower, tables, jobs, settle, limits, found, cancel } = spec;
    let comparison = Comparison {
        home,
        follower,
        settle,
        limits,
        found,
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
        let pair = Pair::read(home, follower, table, self.limits).await?;
        let (name, estimated_rows) = (pair.home.name.clone(), pair.estimated_rows);
        (self.progress)(VerifyProgress::Started { table: name.clone(), estimated_rows });
        let mut tally = Tally::new(&pair, self.limits.differences_kept, self.found.as_ref());
        let mut range = match &pair.ranges {
            Some(ranges) => Some(ranges.first(home, &name).await?),
            None => None,
        };
        loop {
            let began = Instant::now();
            let sides = (home, follower);
            let scan = if range.is_some() || is_quiet(home, &pair, turn).await? {
                Scan::of_quiet_rows(home, follower, &pair, range.take()).await?
            } else {
                Scan::by_buckets(home, follower, &pair, None).await?
            };
            let (rows, suspicious_rows) = (scan.rows, scan.suspicious_rows);
            (self.progress)(VerifyProgress::Scanned { table: name.clone(), rows, suspicious_rows });
            tally.scanned(rows);
            if !scan.buckets.is_empty() {
                Box::pin(self.suspects(sides, &pair, &scan, &mut tally, by_key)).await?;
            }
            let (Some(ranges), Some(read)) = (&pair.ranges, scan.range) else { break };
            range = ranges.after(home, &name, &read).await?;
            if range.is_none() {
                break;
            }
            sleep(ranges::pause(rows, began.elapsed(), self.limits)).await;
        }
        Ok(tally.finish())
    }

    /// Decides about the rows of buckets that differ. Rows are read by key on connections of their own, while those of
    /// the buckets may still be coming.
    async fn suspects(
        &self,
        (home, follower): (&Connection, &Connection),
        pair: &Pair,
        scan: &Scan,
        tally: &mut Tally<'_>,
        by_key: &mut Option<Connections>,
    ) -> Result<(), VerifyError> {
        let mut suspects = Some(Suspects::read(home, follower, pair, scan).await?);
        while let Some(coming) = &mut suspects {
            let candidates = coming.next(COLLECTED_ROWS).await?;
            if candidates.len() < COLLECTED_ROWS {
                // All are known: the statements end here, and their snapshots with them.
                suspects = None;
            }
            for some in candidates.chunks(CHUNK_ROWS) {
                let Connections { home, follower } = Box::pin(self.connected(by_key)).await?;
                let (settle, limits, progress) = (&self.settle, self.limits, self.progress);
                let recheck = Recheck { home, follower, pair, settle, limits, progress };
                tally.rechecking(some.len());
                let decided = recheck.run(some.to_vec()).await?;
                let mut decided = decided.into_iter().peekable();
                while decided.peek().is_some() {
                    let some: Vec<_> = decided.by_ref().take(Read::ROWS_MAX).collect();
                    let limit = if limits.values { tally.room() } else { 0 };
                    let mut values = Read::decided((home, follower), pair, &some, limit).await?;
                    some.into_iter().for_each(|row| tally.add(row, &mut values));
                }
            }
        }
        Ok(())
    }

    async fn connected<'c>(
        &self,
        place: &'c mut Option<Connections>,
    ) -> Result<&'c Connections, VerifyError> {
        let connections = match place.take() {
            Some(connections) => connections,
            None => {
                let (home, follower) = tokio::try_join!(
                    Connection::open(Side::Home, &self.home),
                    Connection::open(Side::Follower, &self.follower)
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
