//! A large table is read in ranges of its key's first column, so that no snapshot is held for long on either side. Both
//! sides read the same ranges, and a row stays in its range for as long as it is the same row.

use crate::{
    Side, VerifyError, VerifyLimits,
    canonical::oid,
    connection::Connection,
    relation::{Column, Relation},
};
use std::time::Duration;

/// Types that have one order on all versions, whatever the locale, and a text that gives the value back.
const ORDERED: [u32; 7] =
    [oid::INT2, oid::INT4, oid::INT8, oid::DATE, oid::TIMESTAMP, oid::TIMESTAMPTZ, oid::UUID];

/// A range is to be a fourth of what is read at once.
const PARTS: u64 = 4;

/// Whether rows lie in the order of a column, or nearly so, and its index finds a range of them. Otherwise each row would
/// be fetched from another page.
const IN_ORDER: &str = "\
    select exists (
        select from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_index i on i.indrelid = c.oid and i.indisvalid and i.indpred is null
        join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        join pg_class x on x.oid = i.indexrelid
        join pg_am m on m.oid = x.relam and m.amname = 'btree'
        join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
        where n.nspname = $1 and c.relname = $2 and a.attname = $3
            and c.relkind = 'r' and not c.relhassubclass and abs(s.correlation) > 0.9)";

/// The ranges of a table.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    /// `$1` lower bound, `$2` rows; gives the upper bound.
    bound: String,
    rows: i64,
}

/// Rows whose key's first column is above one bound and not above the other; without bounds, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) above: Option<String>,
    pub(crate) up_to: Option<String>,
}

impl Ranges {
    /// None if the table is to be read at once.
    pub(crate) async fn of(
        sides: [(&Connection, &Relation); 2],
        key: usize,
        limits: VerifyLimits,
    ) -> Result<Option<Self>, VerifyError> {
        let [(_, home), (_, follower)] = sides;
        let bytes = home.extent.bytes.max(follower.extent.bytes);
        let (Some(here), Some(there)) = (home.columns.get(key), follower.columns.get(key)) else {
            return Ok(None);
        };
        let ordered = here.type_oid == there.type_oid && ORDERED.contains(&here.type_oid);
        let largest = largest(bytes, home.extent.estimated_rows, limits);
        let Some(rows) = largest.filter(|_| ordered) else { return Ok(None) };
        for ((connection, relation), column) in sides.into_iter().zip([here, there]) {
            if !in_order(connection, relation, column).await? {
                return Ok(None);
            }
        }
        Ok(Some(Self { bound: bound(home, here), rows }))
    }

    /// The range behind another one; none behind the last.
    pub(crate) async fn after(
        &self,
        home: &Connection,
        table: &cleave_model::QualifiedName,
        range: &Range,
    ) -> Result<Option<Range>, VerifyError> {
        debug_assert_eq!(home.side, Side::Home);
        let Some(above) = &range.up_to else { return Ok(None) };
        let bound = home.texts(table, &self.bound, &[&Some(above), &self.rows]).await?.pop_first();
        Ok(Some(Range { above: Some(above.clone()), up_to: bound }))
    }

    /// The first range.
    pub(crate) async fn first(
        &self,
        home: &Connection,
        table: &cleave_model::QualifiedName,
    ) -> Result<Range, VerifyError> {
        let bound = home.texts(table, &self.bound, &[&None::<String>, &self.rows]).await?.pop_first();
        Ok(Range { above: None, up_to: bound })
    }
}

/// The rows of a range; none if the table is small enough.
fn largest(bytes: u64, rows: u64, limits: VerifyLimits) -> Option<i64> {
    let by_size = (bytes > limits.scan_bytes).then(|| {
        let parts = (bytes / (limits.scan_bytes / PARTS).max(1)).max(1);
        rows / parts
    });
    // A rate is kept by pauses between ranges, so none may take much longer than a pause that nobody notices.
    let by_rate = limits.rows_per_second_max.filter(|rate| rows > *rate);
    let rows = by_size.into_iter().chain(by_rate).min()?;
    i64::try_from(rows.max(1)).ok()
}

async fn in_order(
    connection: &Connection,
    relation: &Relation,
    column: &Column,
) -> Result<bool, VerifyError> {
    let name = &relation.name;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&name.schema.as_str(), &name.name.as_str(), &column.name.as_str()];
    let rows = connection.rows(name, IN_ORDER, &parameters).await?;
    rows.first().map_or(Ok(false), |row| connection.value(name, row, 0))
}

/// The last row's value of a range that begins above `$1`; none if fewer rows than `$2` are left.
fn bound(relation: &Relation, column: &Column) -> String {
    let (name, cast) = (column.name.quoted(), &column.cast);
    format!(
        "select t.{name}::text from {} t where $1::text is null or t.{name} > $1::text::{cast} \
         order by t.{name} offset $2::int8 limit 1",
        relation.name.quoted()
    )
}

/// The condition on a row, with the bounds as two parameters from `$first` on.
pub(crate) fn condition(column: &Column, first: usize) -> String {
    let (name, cast, second) = (column.name.quoted(), &column.cast, first + 1);
    format!(
        "(${first}::text is null or t.{name} > ${first}::text::{cast}) \
         and (${second}::text is null or t.{name} <= ${second}::text::{cast})"
    )
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
}
