//! The second reading: the rows of the buckets that differ, from both sides in one order, merged as they come.
//! Memory holds the rows of one 64-bit hash, not of a bucket.

use crate::{
    VerifyError,
    buckets::Scan,
    connection::Connection,
    pair::{Half, Pair},
    parts::Range,
};
use futures_util::{Stream, StreamExt};
use std::{collections::BTreeMap, pin::Pin};

/// What tells a row apart: its key's text, or without a key its hashes.
pub(crate) type Identity = Vec<String>;

/// Rows that differ between two readings that are not of one instant: candidates, to be checked again.
pub(crate) struct Suspects {
    pub(crate) rows: Vec<Candidate>,
    /// Where there may be more of them, the order hash behind which they are.
    pub(crate) more_behind: Option<i64>,
}

/// A row, and whether the home has it in the part that was read.
pub(crate) type Candidate = (Identity, bool);

/// One side's rows, grouped by order hash.
struct Side<'s> {
    rows: Pin<Box<dyn Stream<Item = Result<Suspect, VerifyError>> + Send + 's>>,
    ahead: Option<Suspect>,
}

struct Suspect {
    order: i64,
    identity: Identity,
    content: Vec<i64>,
}

/// All rows of one order hash, by identity: almost always one.
type Group = BTreeMap<Identity, Vec<i64>>;

impl Suspects {
    /// Up to about `limit` candidates of a part, of those behind an order hash. Beyond it the statements are left as
    /// they are: their connections must not be used again.
    pub(crate) async fn read(
        (home, follower): (&Connection, &Connection),
        pair: &Pair,
        (scan, range): (&Scan, &Range),
        behind: Option<i64>,
        limit: usize,
    ) -> Result<Self, VerifyError> {
        let (mut home, mut follower) = tokio::try_join!(
            Side::read(home, &pair.home, (scan, range), behind),
            Side::read(follower, &pair.follower, (scan, range), behind)
        )?;
        let mut rows = Vec::new();
        let mut last = behind;
        while rows.len() < limit {
            // Both sides are asked at once, so that they sort at the same time.
            let (here, there) = tokio::try_join!(home.peek(), follower.peek())?;
            let order = match (here, there) {
                (None, None) => return Ok(Self { rows, more_behind: None }),
                (Some(one), None) | (None, Some(one)) => one,
                (Some(here), Some(there)) => here.min(there),
            };
            let of_home = if here == Some(order) { home.group().await? } else { None };
            let of_follower = if there == Some(order) { follower.group().await? } else { None };
            rows.extend(unlike(of_home, of_follower));
            last = Some(order);
        }
        Ok(Self { rows, more_behind: last })
    }
}

/// The identities whose contents differ.
fn unlike(home: Option<Group>, follower: Option<Group>) -> Vec<Candidate> {
    let mut there = follower.unwrap_or_default();
    let mut unlike = Vec::new();
    for (identity, content) in home.unwrap_or_default() {
        if there.remove(&identity) != Some(content) {
            unlike.push((identity, true));
        }
    }
    unlike.extend(there.into_keys().map(|identity| (identity, false)));
    unlike
}

impl<'s> Side<'s> {
    async fn read(
        connection: &'s Connection,
        half: &'s Half,
        (scan, range): (&Scan, &Range),
        behind: Option<i64>,
    ) -> Result<Self, VerifyError> {
        let sql = &half.statements.suspects;
        let parameters = range.behind(half.side, vec![&scan.mask, &scan.buckets, &behind]);
        let rows = connection.stream(&half.name, sql, &parameters).await?;
        let suspects = rows.map(move |row| {
            let row = row?;
            Ok(Suspect {
                order: connection.value(&half.name, &row, 0)?,
                identity: connection.value(&half.name, &row, 1)?,
                content: connection.value(&half.name, &row, 2)?,
            })
        });
        // The driver reports an ended stream that is asked again as a lost connection.
        Ok(Self { rows: Box::pin(suspects.fuse()), ahead: None })
    }

    async fn peek(&mut self) -> Result<Option<i64>, VerifyError> {
        if self.ahead.is_none() {
            self.ahead = self.rows.next().await.transpose()?;
        }
        Ok(self.ahead.as_ref().map(|row| row.order))
    }

    async fn group(&mut self) -> Result<Option<Group>, VerifyError> {
        let Some(order) = self.peek().await? else { return Ok(None) };
        let mut group = Group::new();
        while self.peek().await? == Some(order) {
            let Some(row) = self.ahead.take() else { break };
            add(group.entry(row.identity).or_default(), &row.content);
        }
        Ok(Some(group))
    }
}

/// Adds up what has one identity: a side without a unique index may have a key twice.
pub(crate) fn add(sum: &mut Vec<i64>, content: &[i64]) {
    sum.resize(sum.len().max(content.len()), 0);
    for (total, part) in sum.iter_mut().zip(content) {
        *total = total.wrapping_add(*part);
    }
}

/// Identities by column, as statements take them.
pub(crate) fn columns<'i>(
    rows: impl Iterator<Item = &'i Identity> + Clone,
    count: usize,
) -> Vec<Vec<&'i str>> {
    let column = |at| rows.clone().filter_map(|identity| identity.get(at)).map(String::as_str).collect();
    (0..count).map(column).collect()
}
