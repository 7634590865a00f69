//! The first reading: both sides at once, as sums of row hashes per bucket.

use crate::{
    VerifyError,
    connection::Connection,
    pair::{Half, Pair},
};
use futures_util::{StreamExt, pin_mut};

/// Rows that a bucket should have: few, so that little is read again for a row that differs.
const ROWS_PER_BUCKET: u64 = 64;
const BUCKETS_MIN: u64 = 64;
/// Bounds the memory of the servers' grouping (some 10 MB) and ours (under 1 MB).
const BUCKETS_MAX: u64 = 16_384;

/// What the first reading found.
pub(crate) struct Scan {
    /// Rows on the home.
    pub(crate) rows: u64,
    /// Rows of the home in buckets that differ.
    pub(crate) suspicious_rows: u64,
    /// A row's bucket is its 64-bit order hash and this.
    pub(crate) mask: i64,
    /// The buckets that differ.
    pub(crate) buckets: Vec<i32>,
}

/// The rows of one bucket: their number and the sums of both hashes. Sums do not depend on the rows' order, and
/// unlike exclusive or they see a row that is there twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    rows: i64,
    one: i128,
    two: i128,
}

impl Scan {
    pub(crate) async fn run(
        home: &Connection,
        follower: &Connection,
        pair: &Pair,
    ) -> Result<Self, VerifyError> {
        let wanted = (pair.estimated_rows / ROWS_PER_BUCKET).clamp(BUCKETS_MIN, BUCKETS_MAX);
        let count = wanted.next_power_of_two();
        let mask = i64::try_from(count - 1).unwrap_or_default();
        let (on_home, on_follower) =
            tokio::try_join!(sums(home, &pair.home, mask), sums(follower, &pair.follower, mask))?;
        let mut scan = Self { rows: 0, suspicious_rows: 0, mask, buckets: Vec::new() };
        for (bucket, (here, there)) in (0..).zip(on_home.into_iter().zip(on_follower)) {
            scan.rows += here.rows.unsigned_abs();
            if here != there {
                scan.suspicious_rows += here.rows.unsigned_abs();
                scan.buckets.push(bucket);
            }
        }
        Ok(scan)
    }
}

async fn sums(connection: &Connection, half: &Half, mask: i64) -> Result<Vec<Sums>, VerifyError> {
    let mut all = vec![Sums::default(); usize::try_from(mask).unwrap_or_default() + 1];
    let rows = connection.stream(&half.name, &half.statements.buckets, &[&mask]).await?;
    pin_mut!(rows);
    while let Some(row) = rows.next().await {
        let row = row?;
        let bucket: i32 = connection.value(&half.name, &row, 0)?;
        let sum = |index| -> Result<i128, VerifyError> {
            let text: &str = connection.value(&half.name, &row, index)?;
            text.parse().map_err(|_| connection.unexpected(&half.name, "a sum of hashes is no integer"))
        };
        let sums = Sums { rows: connection.value(&half.name, &row, 1)?, one: sum(2)?, two: sum(3)? };
        let place = usize::try_from(bucket).ok().and_then(|at| all.get_mut(at));
        *place.ok_or_else(|| connection.unexpected(&half.name, "a bucket is out of range"))? = sums;
    }
    Ok(all)
}
