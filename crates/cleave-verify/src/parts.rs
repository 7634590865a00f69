//! A table is read in parts, each a range of its order with a snapshot of its own on each side, so that none is held for
//! long. Both sides read the same ranges. A part that takes too long, or differs in too many rows, is split.

use crate::{
    Reached, Side, VerifyError, VerifyLimits,
    connection::{Connection, Parameter},
    order::may_differ,
    relation::{Column, Extent, Relation, Sorted},
    sql,
};
use cleave_model::QualifiedName;
use std::time::Duration;

/// A part is at first a fourth of what is read at once.
const PARTS: u64 = 4;
/// Parts that are too much become this many.
const SPLIT: i64 = 8;
/// A part should take this share of what a snapshot may.
const SHARE: u32 = 3;

/// Rows above one place in the table's order and not above the other; without bounds, all. Each range begins where the
/// one before ended, so they cover all rows of the home, each once. The follower may sort otherwise: there a range begins
/// at the greatest of all ends before, which does the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    /// The lower bound's values, then the upper one's, one for each column of the order; null where there is no bound.
    home: Vec<Option<String>>,
    /// The same on the follower.
    follower: Vec<Option<String>>,
}

/// A place in the order: a value for each of its columns.
type Place = Vec<String>;

/// What is left of a table.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The order's columns; empty without an order.
    columns: Vec<Column>,
    /// `$1...` lower bound, then rows; gives the upper bound.
    bound: String,
    name: QualifiedName,
    above: Option<Place>,
    /// The same on the follower.
    follower_above: Option<Place>,
    /// Which of two places is the greater one on the follower; none if that is what the home says.
    follower_greater: Option<String>,
    /// Rows of the next part; without, all that are left.
    rows: Option<i64>,
    rows_max: i64,
    estimated_rows: i64,
    target: Duration,
    finished: bool,
}

impl Range {
    pub(crate) fn new(
        [above, follower_above]: [Option<&Place>; 2],
        up_to: Option<&Place>,
        columns: usize,
    ) -> Self {
        let values = |bound: Option<&Place>| -> Vec<Option<String>> {
            (0..columns).map(|at| bound.and_then(|values| values.get(at).cloned())).collect()
        };
        let up_to = values(up_to);
        Self {
            home: [values(above), up_to.clone()].concat(),
            follower: [values(follower_above), up_to].concat(),
        }
    }

    /// True if it is the whole table.
    pub(crate) fn is_whole(&self) -> bool {
        self.home.iter().all(Option::is_none)
    }

    /// Where it ends; none if nothing is behind it.
    pub(crate) fn up_to(&self) -> Option<Place> {
        let upper = self.home.get(self.home.len() / 2..).unwrap_or_default();
        upper.iter().cloned().collect::<Option<Vec<_>>>().filter(|values| !values.is_empty())
    }

    /// Parameters, with a side's bounds behind them.
    pub(crate) fn behind<'p>(&'p self, side: Side, mut parameters: Vec<Parameter<'p>>) -> Vec<Parameter<'p>> {
        let bounds = match side {
            Side::Home => &self.home,
            Side::Follower => &self.follower,
        };
        parameters.extend(bounds.iter().map(|bound| bound as Parameter<'p>));
        parameters
    }
}

impl Walk {
    /// From the beginning.
    pub(crate) fn new(
        [home, follower]: [&Relation; 2],
        order: &[usize],
        bytes: u64,
        limits: VerifyLimits,
    ) -> Self {
        let of = |relation: &Relation| -> Vec<Column> {
            order.iter().filter_map(|at| relation.columns.get(*at)).cloned().collect()
        };
        let (columns, there) = (of(home), of(follower));
        let extent = Extent { bytes, ..home.extent };
        let rows = if columns.is_empty() { None } else { first(extent, limits) };
        let by_rate = limits.rows_per_second_max.and_then(|rate| i64::try_from(rate).ok());
        Self {
            bound: bound(home, &columns),
            columns,
            name: home.name.clone(),
            above: None,
            follower_above: None,
            follower_greater: may_differ([home, follower], order).then(|| greater(&there)),
            rows_max: by_rate.unwrap_or(i64::MAX),
            rows,
            estimated_rows: i64::try_from(home.extent.estimated_rows).unwrap_or(i64::MAX),
            target: limits.snapshot / SHARE,
            finished: false,
        }
    }

    /// From where an earlier comparison was, if that went in the same order.
    pub(crate) fn go_on(&mut self, reached: &Reached) -> bool {
        let same = reached.order == self.order() && !reached.order.is_empty();
        match &reached.up_to {
            Some(up_to) if same => {
                self.above = Some(up_to.clone());
                self.follower_above = reached.follower_up_to.clone().or_else(|| Some(up_to.clone()));
            }
            None if reached.done => self.finished = true,
            _ => return false,
        }
        true
    }

    /// The names of the order's columns on the home.
    pub(crate) fn order(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.as_str().to_owned()).collect()
    }

    /// The next part; none at the end. An end that takes too long to find splits as a part does.
    pub(crate) async fn next(&self, home: &Connection) -> Result<Option<Range>, VerifyError> {
        debug_assert_eq!(home.side, Side::Home);
        if self.finished {
            return Ok(None);
        }
        let up_to = match self.rows {
            Some(rows) => self.end_of(home, rows).await?,
            None => None,
        };
        let above = [self.above.as_ref(), self.follower_above.as_ref()];
        Ok(Some(Range::new(above, up_to.as_ref(), self.columns.len())))
    }

    async fn end_of(&self, home: &Connection, rows: i64) -> Result<Option<Place>, VerifyError> {
        let lower = Range::new([self.above.as_ref(), None], None, self.columns.len());
        let mut parameters = lower.behind(Side::Home, Vec::new());
        parameters.truncate(self.columns.len());
        parameters.push(&rows);
        let found = home.rows(&self.name, &self.bound, &parameters).await?;
        found.first().map(|row| home.value(&self.name, row, 0)).transpose()
    }

    /// Goes behind a part whose statements took so long.
    pub(crate) async fn done(
        &mut self,
        follower: &Connection,
        range: &Range,
        took: Duration,
    ) -> Result<(), VerifyError> {
        self.above = range.up_to();
        self.finished = self.above.is_none();
        if !self.sorts_otherwise(follower).await? {
            self.follower_above = self.above.clone();
        }
        self.resize(took);
        Ok(())
    }

    /// Whether an end before this one is behind it for the follower.
    async fn sorts_otherwise(&self, follower: &Connection) -> Result<bool, VerifyError> {
        let (Some(sql), Some(ends), Some(before)) =
            (&self.follower_greater, &self.above, &self.follower_above)
        else {
            return Ok(false);
        };
        let values: Vec<Parameter<'_>> =
            before.iter().chain(ends).map(|value| value as Parameter<'_>).collect();
        let rows = follower.rows(&self.name, sql, &values).await?;
        rows.first().map_or(Ok(false), |row| follower.value(&self.name, row, 0))
    }

    /// Where the follower's rows begin behind the parts that are done.
    pub(crate) fn follower_above(&self) -> Option<Place> {
        self.follower_above.clone()
    }

    fn resize(&mut self, took: Duration) {
        let next = match self.rows {
            Some(rows) if took > self.target => rows / 2,
            Some(rows) if took < self.target / 2 => rows.saturating_mul(2),
            Some(rows) => rows,
            None => return,
        };
        self.rows = Some(next.clamp(1, self.rows_max.max(1)));
    }

    /// Makes the next part smaller; false if that cannot be.
    pub(crate) fn split(&mut self) -> bool {
        if self.columns.is_empty() || self.rows == Some(1) {
            return false;
        }
        let rows = self.rows.unwrap_or(self.estimated_rows);
        self.rows = Some((rows / SPLIT).max(1));
        true
    }

    /// True if a part may hold no more than so many rows, or cannot be made smaller.
    pub(crate) fn is_as_small_as(&self, rows: usize) -> bool {
        self.columns.is_empty()
            || self.rows.is_some_and(|now| usize::try_from(now).is_ok_and(|now| now <= rows))
    }
}

/// The rows of the first part; none if the table is small enough to be one.
fn first(extent: Extent, limits: VerifyLimits) -> Option<i64> {
    let Extent { estimated_rows: rows, bytes, .. } = extent;
    let by_size = (bytes > limits.scan_bytes).then(|| {
        let parts = (bytes / (limits.scan_bytes / PARTS).max(1)).max(1);
        rows / parts
    });
    // A rate is kept by pauses between parts, so none may take much longer than a pause that nobody notices.
    let by_rate = limits.rows_per_second_max.filter(|rate| rows > *rate);
    let rows = by_size.into_iter().chain(by_rate).min()?;
    i64::try_from(rows.max(1)).ok()
}

/// The values of the last row of a part that begins above the bound; none if fewer rows are left.
fn bound(relation: &Relation, columns: &[Column]) -> String {
    let texts: Vec<String> = columns.iter().map(sql::text).collect();
    let names: Vec<String> = columns.iter().map(|column| format!("t.{}", column.name.quoted())).collect();
    let rows = columns.len() + 1;
    format!(
        "select array[{}]::text[] from {} t where {} order by {} offset ${rows}::int8 limit 1",
        texts.join(", "),
        relation.name.quoted(),
        beyond(columns, ">", 1),
        names.join(", "),
    )
}

/// Whether the place that the first parameters give is behind that of the others.
fn greater(columns: &[Column]) -> String {
    let place = |first: usize| {
        let values: Vec<String> = (first..)
            .zip(columns)
            .map(|(number, column)| match &column.sorted {
                Sorted::Collation(Some(collation)) => {
                    format!("${number}::text::{} collate {collation}", column.cast)
                }
                Sorted::Bytes => format!("${number}::text::{} collate \"C\"", column.cast),
                _ => format!("${number}::text::{}", column.cast),
            })
            .collect();
        values.join(", ")
    };
    format!("select ({}) > ({})", place(1), place(columns.len() + 1))
}

/// The condition on a row, with the two bounds as parameters from `$first` on; nothing without an order.
pub(crate) fn condition(columns: &[&Column], first: usize) -> String {
    if columns.is_empty() {
        return "true".to_owned();
    }
    format!("{} and {}", beyond(columns, ">", first), beyond(columns, "<=", first + columns.len()))
}

/// Compares the columns as a row, as the index does, with the parameters from `$first` on.
fn beyond<C: std::borrow::Borrow<Column>>(columns: &[C], operator: &str, first: usize) -> String {
    let names: Vec<String> =
        columns.iter().map(|column| format!("t.{}", column.borrow().name.quoted())).collect();
    let values: Vec<String> = (first..)
        .zip(columns)
        .map(|(number, column)| format!("${number}::text::{}", column.borrow().cast))
        .collect();
    let (names, values) = (names.join(", "), values.join(", "));
    format!("(${first}::text is null or ({names}) {operator} ({values}))")
}

/// How long to wait after `rows` rows that took `took`, so that no more than the limit are read per second.
pub(crate) fn pause(rows: u64, took: Duration, limits: VerifyLimits) -> Duration {
    let Some(rate) = limits.rows_per_second_max else { return Duration::ZERO };
    Duration::from_secs_f64(rows as f64 / rate.max(1) as f64).saturating_sub(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(scan_bytes: u64, rate: Option<u64>) -> VerifyLimits {
        VerifyLimits { scan_bytes, rows_per_second_max: rate, ..VerifyLimits::default() }
    }

    fn largest(bytes: u64, estimated_rows: u64, limits: VerifyLimits) -> Option<i64> {
        first(Extent { bytes, estimated_rows, written_rows: 0 }, limits)
    }

    #[test]
    fn a_table_is_read_at_once_unless_it_is_large_or_a_rate_is_to_be_kept() {
        assert_eq!(largest(1000, 100, limits(1000, None)), None);
        assert_eq!(largest(4000, 100, limits(1000, None)), Some(6));
        assert_eq!(largest(1000, 100, limits(1000, Some(100))), None);
        assert_eq!(largest(1000, 100, limits(1000, Some(10))), Some(10));
        assert_eq!(largest(4000, 3, limits(1000, Some(2))), Some(1));
    }

    #[test]
    fn a_pause_makes_up_for_what_was_read_too_fast() {
        let second = Duration::from_secs(1);
        assert_eq!(pause(300, second, limits(1, Some(100))), 2 * second);
        assert_eq!(pause(100, 2 * second, limits(1, Some(100))), Duration::ZERO);
        assert_eq!(pause(100, Duration::ZERO, limits(1, None)), Duration::ZERO);
    }

    #[test]
    fn a_range_knows_its_end_and_whether_it_is_all() {
        let place = vec!["1".to_owned(), "x".to_owned()];
        assert_eq!(Range::new([None; 2], Some(&place), 2).up_to(), Some(place.clone()));
        assert_eq!(Range::new([Some(&place); 2], None, 2).up_to(), None);
        assert!(Range::new([None; 2], None, 2).is_whole() && Range::default().is_whole());
        assert!(!Range::new([Some(&place); 2], None, 2).is_whole());
        assert_eq!(Range::default().up_to(), None);
    }
}
