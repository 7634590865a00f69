//! The first reading: both sides at once, as sums of row hashes, over the whole table or per bucket.

use crate::{
    VerifyError,
    connection::Connection,
    pair::{Half, Pair},
    parts::Range,
};
use cleave_model::QualifiedName;
use futures_util::{StreamExt, pin_mut};
use tokio_postgres::Row;

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
    /// For a table that nobody seems to write to, or a part of a large one. Where both sides have the same rows, which is
    /// then to be expected, one sum over all of them shows it, without the cost of grouping. Else by buckets.
    pub(crate) async fn of_quiet_rows(
        home: &Connection,
        follower: &Connection,
        pair: &Pair,
        range: &Range,
    ) -> Result<Self, VerifyError> {
        let (here, there) =
            tokio::try_join!(total(home, &pair.home, range), total(follower, &pair.follower, range))?;
        if here != there {
            return Self::by_buckets(home, follower, pair, range).await;
        }
        Ok(Self { rows: here.rows.unsigned_abs(), suspicious_rows: 0, mask: 0, buckets: Vec::new() })
    }

    pub(crate) async fn by_buckets(
        home: &Connection,
        follower: &Connection,
        pair: &Pair,
        range: &Range,
    ) -> Result<Self, VerifyError> {
        let wanted = (pair.estimated_rows / ROWS_PER_BUCKET).clamp(BUCKETS_MIN, BUCKETS_MAX);
        let count = wanted.next_power_of_two();
        let mask = i64::try_from(count - 1).unwrap_or_default();
        let (on_home, on_follower) = tokio::try_join!(
            sums(home, &pair.home, mask, range),
            sums(follower, &pair.follower, mask, range)
        )?;
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

async fn total(connection: &Connection, half: &Half, range: &Range) -> Result<Sums, VerifyError> {
    let parameters = range.behind(half.side, Vec::new());
    let rows = connection.rows(&half.name, &half.statements.totals, &parameters).await?;
    let row =
        rows.first().ok_or_else(|| connection.unexpected(&half.name, "a sum over a table is missing"))?;
    Sums::read(connection, &half.name, row, 0)
}

async fn sums(
    connection: &Connection,
    half: &Half,
    mask: i64,
    range: &Range,
) -> Result<Vec<Sums>, VerifyError> {
    let mut all = vec![Sums::default(); usize::try_from(mask).unwrap_or_default() + 1];
    let parameters = range.behind(half.side, vec![&mask]);
    let rows = connection.stream(&half.name, &half.statements.buckets, &parameters).await?;
    pin_mut!(rows);
    while let Some(row) = rows.next().await {
        let row = row?;
        let bucket: i32 = connection.value(&half.name, &row, 0)?;
        let place = usize::try_from(bucket).ok().and_then(|at| all.get_mut(at));
        let place = place.ok_or_else(|| connection.unexpected(&half.name, "a bucket is out of range"))?;
        *place = Sums::read(connection, &half.name, &row, 1)?;
    }
    Ok(all)
}

impl Sums {
    /// From three columns of a row, the sums as text; there are none where there is no row.
    fn read(
        connection: &Connection,
        table: &QualifiedName,
        row: &Row,
        at: usize,
    ) -> Result<Self, VerifyError> {
        let sum = |index| -> Result<i128, VerifyError> {
            let text: Option<&str> = connection.value(table, row, index)?;
            text.unwrap_or("0")
                .parse()
                .map_err(|_| connection.unexpected(table, "a sum of hashes is no integer"))
        };
        Ok(Self { rows: connection.value(table, row, at)?, one: sum(at + 1)?, two: sum(at + 2)? })
    }
}
