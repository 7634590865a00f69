//! Reads rows that differ again, by key and in rounds, until each is decided or the rounds are over.

use crate::{
    Settle, VerifyError, VerifyLimits, VerifyProgress,
    connection::{Connection, Parameter},
    judge::{Reading, Round, Suspicion, Verdict, count, judge},
    pair::{Half, Pair},
    parts::Range,
    suspects::{Identity, add, columns},
    writers::writers,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::sleep;

/// Pauses between rounds start here and double up to the maximum.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Transactions that still run and were not writing to the table; `$1` names those that were, and was read before
/// this statement's snapshot: whoever runs in the snapshot had not yet given up any lock then.
const BYSTANDERS: &str = "\
    select distinct transactionid::text from pg_locks
    where locktype = 'transactionid' and mode = 'ExclusiveLock' and granted
        and virtualtransaction <> all($1::text[])
        and transactionid::text in (
            select (x::text::int8 & 4294967295)::text from pg_snapshot_xip(pg_current_snapshot()) x)";

/// Transactions whose changes the statements of this transaction do not see, though their commit may be in the log.
const HIDDEN: &str =
    "select (x::text::int8 & 4294967295)::text from pg_snapshot_xip(pg_current_snapshot()) x";

/// What became of a row that was read again.
pub(crate) enum Decided {
    /// It differs.
    Different(Identity, Suspicion),
    /// It never held still; as it was seen last.
    Unproven(Identity, Suspicion),
}

impl Decided {
    pub(crate) fn row(&self) -> &Identity {
        match self {
            Self::Different(row, _) | Self::Unproven(row, _) => row,
        }
    }

    pub(crate) fn is_at_home(&self) -> bool {
        match self {
            Self::Different(_, seen) | Self::Unproven(_, seen) => seen.home.is_some(),
        }
    }
}

/// The two connections for reading by key, and the rules.
pub(crate) struct Recheck<'a> {
    pub(crate) home: &'a Connection,
    pub(crate) follower: &'a Connection,
    pub(crate) pair: &'a Pair,
    /// The part that the rows are of.
    pub(crate) range: &'a Range,
    pub(crate) settle: &'a Settle,
    pub(crate) limits: VerifyLimits,
    pub(crate) progress: &'a (dyn Fn(VerifyProgress) + Sync),
}

/// What a row's earlier rounds left.
#[derive(Default)]
struct Open {
    suspicion: Option<Suspicion>,
    last: Option<Suspicion>,
}

/// Rows as one statement saw them.
pub(crate) type Readings = BTreeMap<Identity, Reading>;

impl Recheck<'_> {
    /// Decides about every candidate. What turns out equal is not in the result.
    pub(crate) async fn run(&self, candidates: Vec<Identity>) -> Result<Vec<Decided>, VerifyError> {
        let mut open: BTreeMap<Identity, Open> =
            candidates.into_iter().map(|identity| (identity, Open::default())).collect();
        let mut decided = Vec::new();
        let mut writers = BTreeSet::new();
        let mut pause = PAUSE_MIN;
        for round in 1..=self.limits.rounds.max(2) {
            if open.is_empty() {
                break;
            }
            if round > 1 {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            (self.progress)(VerifyProgress::Rechecking {
                table: self.pair.home.name.clone(),
                rows: open.len() as u64,
                round,
            });
            self.round(&mut open, &mut writers, &mut decided).await?;
        }
        let unproven = open
            .into_iter()
            .map(|(identity, open)| Decided::Unproven(identity, open.last.unwrap_or_default()));
        decided.extend(unproven);
        Ok(decided)
    }

    /// One round over all open rows. The order of the five reads is what the proof stands on.
    async fn round(
        &self,
        open: &mut BTreeMap<Identity, Open>,
        writers: &mut BTreeSet<String>,
        decided: &mut Vec<Decided>,
    ) -> Result<(), VerifyError> {
        let writers_gone = writers.is_empty() || self.writers().await?.is_disjoint(writers);
        let mut home_before = self.read(self.home, &self.pair.home, open).await?;
        (self.settle)().await?;
        let mut follower = self.read(self.follower, &self.pair.follower, open).await?;
        *writers = self.writers().await?;
        let (mut home_after, clear) = if self.pair.keyed {
            (self.read(self.home, &self.pair.home, open).await?, true)
        } else {
            self.read_and_see_what_is_hidden(open).await?
        };
        for (identity, mut row) in std::mem::take(open) {
            let (home, follower) = (home_after.remove(&identity), follower.remove(&identity));
            // Only rows that the follower has more often can be another's insert that the home does not show yet.
            let nothing_hidden = clear || count(home.as_ref()) > count(follower.as_ref());
            let last = Suspicion { home: home.clone(), follower: follower.clone(), nothing_hidden };
            let round = Round {
                home_before: home_before.remove(&identity),
                follower,
                home_after: home,
                writers_gone,
                nothing_hidden,
            };
            match judge(row.suspicion.as_ref(), round) {
                Verdict::Equal => {}
                Verdict::Different(suspicion) => decided.push(Decided::Different(identity, suspicion)),
                Verdict::Open(suspicion) => {
                    row = Open { suspicion, last: Some(last) };
                    open.insert(identity, row);
                }
            }
        }
        Ok(())
    }

    /// Reads the home in one snapshot and tells whether it may lack a change to the table that is in the log: one of
    /// a transaction that the snapshot counts as running and that has ended since, or still holds the table's lock.
    async fn read_and_see_what_is_hidden(
        &self,
        open: &BTreeMap<Identity, Open>,
    ) -> Result<(Readings, bool), VerifyError> {
        let name = &self.pair.home.name;
        self.home.run(name, "begin isolation level repeatable read, read only").await?;
        let readings = self.read(self.home, &self.pair.home, open).await?;
        let hidden = self.texts(HIDDEN, &[]).await?;
        self.home.run(name, "commit").await?;
        let writers: Vec<String> = self.writers().await?.into_iter().collect();
        let bystanders = self.texts(BYSTANDERS, &[&writers]).await?;
        Ok((readings, hidden.is_subset(&bystanders)))
    }

    async fn read(
        &self,
        connection: &Connection,
        half: &Half,
        open: &BTreeMap<Identity, Open>,
    ) -> Result<Readings, VerifyError> {
        read_rows(connection, half, self.range, open.keys()).await
    }

    async fn writers(&self) -> Result<BTreeSet<String>, VerifyError> {
        writers(self.home, &self.pair.home.name).await
    }

    async fn texts(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<BTreeSet<String>, VerifyError> {
        self.home.texts(&self.pair.home.name, sql, parameters).await
    }
}

/// Reads rows by what tells them apart; those without a key from the part that they are of.
pub(crate) async fn read_rows<'i>(
    connection: &Connection,
    half: &Half,
    range: &Range,
    rows: impl Iterator<Item = &'i Identity> + Clone,
) -> Result<Readings, VerifyError> {
    let columns = columns(rows, half.statements.identity_columns);
    let parameters: Vec<Parameter<'_>> = columns.iter().map(|column| column as Parameter<'_>).collect();
    let parameters = if half.keyed { parameters } else { range.behind(half.side, parameters) };
    let mut readings = Readings::new();
    for row in connection.rows(&half.name, &half.statements.lookup, &parameters).await? {
        let identity: Identity = connection.value(&half.name, &row, 0)?;
        let content: Vec<i64> = connection.value(&half.name, &row, 1)?;
        let version: i64 = connection.value(&half.name, &row, 2)?;
        let reading = readings.entry(identity).or_insert(Reading { content: Vec::new(), version: 0 });
        add(&mut reading.content, &content);
        reading.version = reading.version.wrapping_add(version);
    }
    Ok(readings)
}
