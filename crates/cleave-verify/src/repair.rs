//! Gives the follower the home's rows where it has others. The only part that writes, through a session and in a
//! transaction of the caller's, who sees to it that the follower stands still meanwhile. docs/design/verify.md argues why
//! nothing newer is overwritten.

use crate::{
    Settle, Side, VerifyError, VerifyLimits, VerifyTable,
    connection::{Connection, Parameter},
    judge::{BothSides, count, may_repair},
    pair::{Half, Pair},
    recheck::{Readings, read_rows},
    suspects::{Identity, columns},
    values::Read,
    writers::writers,
};
use cleave_pg::{During, Endpoint, Session};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::sleep;

/// How long transactions that were writing when the follower stopped may take to end.
const WRITERS_LIMIT: Duration = Duration::from_secs(5);
const WRITERS_PAUSE: Duration = Duration::from_millis(20);

/// A table whose rows are repaired.
pub struct Repair {
    home: Connection,
    follower: Connection,
    pair: Pair,
}

/// Rows as they were before the follower had caught up.
pub struct Before {
    follower: Readings,
    home: Readings,
    rows: BTreeSet<Identity>,
    /// The home's reading shows all that the follower's does, which may be ahead of it.
    shows_all: bool,
}

/// All columns of rows as text.
type Contents = BTreeMap<Identity, Vec<Option<String>>>;

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Rows that the follower has from the home now.
    pub written: u64,
    /// Rows that it had and the home has not.
    pub removed: u64,
    /// Rows that changed meanwhile, or were equal by then: for the next comparison to decide.
    pub skipped: u64,
}

impl Repair {
    /// For one table.
    ///
    /// # Errors
    /// As [`crate::verify`].
    pub async fn open(
        home: &Endpoint,
        follower: &Endpoint,
        table: &VerifyTable,
    ) -> Result<Self, VerifyError> {
        let limit = VerifyLimits::default().snapshot;
        let (home, follower) = tokio::try_join!(
            Connection::open(Side::Home, home, limit),
            Connection::open(Side::Follower, follower, limit)
        )?;
        let pair = Pair::read(&home, &follower, table).await?;
        Ok(Self { home, follower, pair })
    }

    /// Reads rows, named by [`crate::RowKey::identity`], and waits until the follower has caught up with that. Call it while
    /// the stream runs, and stop the stream afterwards.
    ///
    /// # Errors
    /// As [`crate::verify`].
    pub async fn before(&self, rows: &[Vec<String>], settle: &Settle) -> Result<Before, VerifyError> {
        let rows: BTreeSet<Identity> = rows.iter().cloned().collect();
        // In this order: what the follower has, and who wrote it, is known before the home is asked.
        let follower = self.read(&self.follower, &self.pair.follower, &rows).await?;
        let shows_all = self.writers_ended().await?;
        let home = self.read(&self.home, &self.pair.home, &rows).await?;
        settle().await?;
        Ok(Before { follower, home, rows, shows_all })
    }

    /// Repairs the rows that have not changed since, in the open transaction of `writer` and up to its end, for the caller
    /// to commit. The stream must stand still, stopped after [`Repair::before`].
    ///
    /// # Errors
    /// [`VerifyError::RepairRefused`] if the follower refuses a row, and as [`crate::verify`].
    pub async fn write(&self, writer: &Session, before: &Before) -> Result<Repaired, VerifyError> {
        let repaired = Repaired { skipped: before.rows.len() as u64, ..Repaired::default() };
        if !before.shows_all || !self.writers_ended().await? {
            return Ok(repaired);
        }
        let name = &self.pair.home.name;
        self.home.run(name, "begin isolation level repeatable read, read only").await?;
        let home = self.read(&self.home, &self.pair.home, &before.rows).await?;
        let follower = self.read(&self.follower, &self.pair.follower, &before.rows).await?;
        let repairable = |row: &&Identity| {
            let earlier = BothSides { home: before.home.get(*row), follower: before.follower.get(*row) };
            may_repair(earlier, BothSides { home: home.get(*row), follower: follower.get(*row) })
        };
        let rows: Vec<&Identity> = before.rows.iter().filter(repairable).collect();
        let done = if self.pair.keyed {
            self.replace(writer, &rows, &home).await?
        } else {
            self.balance(writer, &rows, [&home, &follower]).await?
        };
        self.home.run(name, "commit").await?;
        Ok(Repaired { skipped: repaired.skipped - rows.len() as u64, ..done })
    }

    /// The follower's rows of these keys go, and the home's come.
    async fn replace(
        &self,
        writer: &Session,
        rows: &[&Identity],
        home: &Readings,
    ) -> Result<Repaired, VerifyError> {
        let (wanted, gone): (Vec<&Identity>, Vec<&Identity>) =
            rows.iter().partition(|row| home.contains_key(**row));
        self.delete(writer, rows, None).await?;
        for some in wanted.chunks(Read::ROWS_MAX) {
            let contents = self.contents(some).await?;
            let contents: Vec<_> = contents.into_values().collect();
            self.insert(writer, &contents).await?;
        }
        Ok(Repaired { written: wanted.len() as u64, removed: gone.len() as u64, skipped: 0 })
    }

    /// Without a key: as many rows of each content go or come as the follower has too many or too few. Which of several
    /// equal rows goes makes no difference.
    async fn balance(
        &self,
        writer: &Session,
        rows: &[&Identity],
        [home, follower]: [&Readings; 2],
    ) -> Result<Repaired, VerifyError> {
        let counts = |row: &Identity| (count(home.get(row)), count(follower.get(row)));
        let (mut extra, mut lacking) = (Vec::new(), Vec::new());
        let mut repaired = Repaired::default();
        for row in rows {
            let (here, there) = counts(row);
            if there > here {
                repaired.removed += there - here;
                extra.push((*row, i64::try_from(there - here).unwrap_or(i64::MAX)));
            } else {
                repaired.written += here - there;
                lacking.push((*row, here - there));
            }
        }
        let (extra, surplus): (Vec<&Identity>, Vec<i64>) = extra.into_iter().unzip();
        self.delete(writer, &extra, Some(&surplus)).await?;
        for some in lacking.chunks(Read::ROWS_MAX) {
            let names: Vec<&Identity> = some.iter().map(|(row, _)| *row).collect();
            let mut contents = self.contents(&names).await?;
            for (row, mut missing) in some.iter().map(|(row, missing)| (*row, *missing)) {
                let Some(content) = contents.remove(row) else { continue };
                while missing > 0 {
                    let some = missing.min(Read::ROWS_MAX as u64);
                    let copies = vec![content.clone(); usize::try_from(some).unwrap_or(1)];
                    self.insert(writer, &copies).await?;
                    missing -= some;
                }
            }
        }
        Ok(repaired)
    }

    async fn read(
        &self,
        connection: &Connection,
        half: &Half,
        rows: &BTreeSet<Identity>,
    ) -> Result<Readings, VerifyError> {
        let limit = VerifyLimits::default().snapshot;
        let readings = read_rows(connection, half, &self.pair.whole(), rows.iter()).await;
        readings.map_err(|error| error.or_too_long(limit))
    }

    /// True once all transactions that write to the table now have ended.
    async fn writers_ended(&self) -> Result<bool, VerifyError> {
        let name = &self.pair.home.name;
        let writing = writers(&self.home, name).await?;
        let mut waited = Duration::ZERO;
        while !writing.is_empty() && !writers(&self.home, name).await?.is_disjoint(&writing) {
            if waited >= WRITERS_LIMIT {
                return Ok(false);
            }
            sleep(WRITERS_PAUSE).await;
            waited += WRITERS_PAUSE;
        }
        Ok(true)
    }

    /// The rows' values on the home, every column as text.
    async fn contents(&self, rows: &[&Identity]) -> Result<Contents, VerifyError> {
        let half = &self.pair.home;
        let mut contents = Contents::new();
        let whole = self.pair.whole();
        let keys = columns(rows.iter().copied(), half.statements.identity_columns);
        let parameters: Vec<Parameter<'_>> = keys.iter().map(|column| column as Parameter<'_>).collect();
        let parameters = if half.keyed { parameters } else { whole.behind(half.side, parameters) };
        for row in self.home.rows(&half.name, &half.statements.contents, &parameters).await? {
            let identity: Identity = self.home.value(&half.name, &row, 0)?;
            contents.insert(identity, self.home.value(&half.name, &row, 1)?);
        }
        if contents.len() != rows.len() {
            return Err(self.home.unexpected(&half.name, "a row is gone from its own snapshot"));
        }
        Ok(contents)
    }

    /// `how_many` of each, where that is not all.
    async fn delete(
        &self,
        writer: &Session,
        rows: &[&Identity],
        how_many: Option<&Vec<i64>>,
    ) -> Result<(), VerifyError> {
        if rows.is_empty() {
            return Ok(());
        }
        let half = &self.pair.follower;
        let keys = columns(rows.iter().copied(), half.statements.identity_columns);
        let mut parameters: Vec<Parameter<'_>> = keys.iter().map(|column| column as Parameter<'_>).collect();
        parameters.extend(how_many.map(|counts| counts as Parameter<'_>));
        let done = writer.execute(&half.statements.delete, &parameters).await;
        done.map(drop_count).during("removing rows that differ").map_err(|source| self.refused(source))
    }

    async fn insert(&self, writer: &Session, contents: &[Vec<Option<String>>]) -> Result<(), VerifyError> {
        let half = &self.pair.follower;
        let column = |at: usize| -> Vec<Option<&str>> {
            contents.iter().map(|row| row.get(at).and_then(Option::as_deref)).collect()
        };
        let values: Vec<Vec<Option<&str>>> = (0..self.pair.columns.len()).map(column).collect();
        let parameters: Vec<Parameter<'_>> = values.iter().map(|column| column as Parameter<'_>).collect();
        let done = writer.execute(&half.statements.insert, &parameters).await;
        done.map(drop_count).during("writing rows of the home").map_err(|source| self.refused(source))
    }

    fn refused(&self, source: cleave_pg::PgError) -> VerifyError {
        if source.is_connection_lost() {
            return VerifyError::Connection { side: Side::Follower, source: Box::new(source) };
        }
        VerifyError::RepairRefused { table: self.pair.follower.name.clone(), source: Box::new(source) }
    }
}

fn drop_count(_rows: u64) {}
