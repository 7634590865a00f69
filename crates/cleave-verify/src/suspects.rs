//! The second reading: the rows of the buckets that differ, from both sides in one order, merged as they come.
//! Memory holds the rows of one 64-bit hash, not of a bucket.

use crate::{
    VerifyError,
    buckets::{Scan, bounded},
    connection::Connection,
    pair::{Half, Pair},
};
use futures_util::{Stream, StreamExt};
use std::{cmp::Ordering, collections::BTreeMap, pin::Pin};

/// What tells a row apart: its key's text, or without a key its hashes.
pub(crate) type Identity = Vec<String>;

/// Finds the rows that differ between two readings that are not of one instant: candidates, to be checked again.
pub(crate) struct Suspects<'s> {
    home: Side<'s>,
    follower: Side<'s>,
    ready: Vec<Identity>,
}

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

/// All rows of one order hash: almost always one.
struct Group {
    order: i64,
    rows: BTreeMap<Identity, Vec<i64>>,
}

impl<'s> Suspects<'s> {
    pub(crate) async fn read(
        home: &'s Connection,
        follower: &'s Connection,
        pair: &'s Pair,
        scan: &Scan,
    ) -> Result<Self, VerifyError> {
        let (home, follower) =
            tokio::try_join!(Side::read(home, &pair.home, scan), Side::read(follower, &pair.follower, scan))?;
        Ok(Self { home, follower, ready: Vec::new() })
    }

    /// The next candidates, at most about `limit`; none at the end.
    pub(crate) async fn next(&mut self, limit: usize) -> Result<Vec<Identity>, VerifyError> {
        while self.ready.len() < limit {
            // Both sides are asked at once, so that they sort at the same time.
            let (here, there) = tokio::try_join!(self.home.peek(), self.follower.peek())?;
            let (from_home, from_follower) = match (here, there) {
                (None, None) => break,
                (Some(_), None) => (true, false),
                (None, Some(_)) => (false, true),
                (Some(here), Some(there)) => match here.cmp(&there) {
                    Ordering::Less => (true, false),
                    Ordering::Equal => (true, true),
                    Ordering::Greater => (false, true),
                },
            };
            let home = if from_home { self.home.group().await? } else { None };
            let follower = if from_follower { self.follower.group().await? } else { None };
            self.ready.extend(unlike(home, follower));
        }
        Ok(std::mem::take(&mut self.ready))
    }
}

/// The identities whose contents differ.
fn unlike(home: Option<Group>, follower: Option<Group>) -> Vec<Identity> {
    let mut there = follower.map(|group| group.rows).unwrap_or_default();
    let mut unlike = Vec::new();
    for (identity, content) in home.map(|group| group.rows).unwrap_or_default() {
        if there.remove(&identity) != Some(content) {
            unlike.push(identity);
        }
    }
    unlike.extend(there.into_keys());
    unlike
}

impl<'s> Side<'s> {
    async fn read(connection: &'s Connection, half: &'s Half, scan: &Scan) -> Result<Self, VerifyError> {
        let sql = &half.statements.suspects;
        let parameters = bounded(vec![&scan.mask, &scan.buckets], scan.range.as_ref());
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
        let mut group = Group { order, rows: BTreeMap::new() };
        while self.peek().await? == Some(group.order) {
            let Some(row) = self.ahead.take() else { break };
            add(group.rows.entry(row.identity).or_default(), &row.content);
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
