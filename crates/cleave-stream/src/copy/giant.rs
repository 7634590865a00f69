//! Giants: tables that are read in ranges of their key, each in whatever snapshot it comes to.
//!
//! A range's rows and its start position commit together, and a range takes a start position once: one that is not
//! finished has no rows, and one that is stays as it is.

use super::{
    CopyRanges, CopyTable,
    fill::{Writing, failed},
    worker::{Run, Worker},
};
use crate::{CopyProgress, StreamError, apply::look};
use cleave_journal::{Copied, Division, Ends, KeyRange, begin_ranges, finish_range, key_ranges};
use cleave_model::{Ident, Oid, quote_literal};
use cleave_pg::{During, Session, copy::Pumped};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A range is found by the key's index: a plan that reads the table would read all of it for each range. How much is read at
/// once is ours to say.
pub(super) const PLANS: &str =
    "set enable_seqscan = off; set jit = off; set max_parallel_workers_per_gather = 0;";

/// Each is a transaction, and a row of the journal.
const RANGES_MAX: u64 = 2000;

/// Blocks that are looked at for each range, and at least for a table.
const SAMPLE_BLOCKS: u64 = 30;
const SAMPLE_BLOCKS_MIN: u64 = 1000;

/// Blocks of the main file, and bytes of all that belongs to its rows; the table's OID at the target comes with them.
const SIZE: &str = "
    select pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint,
           pg_catalog.pg_table_size(c.oid)
    from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)";

/// Whether the table's rows are where they were when the snapshot was taken. One that was truncated or rewritten since may
/// look empty, and without the lock nothing keeps it from that.
pub(crate) const IS_SAME: &str = "
    select c.relfilenode = pg_catalog.pg_relation_filenode(c.oid) from pg_catalog.pg_class c where c.oid = $1";

const TARGET: &str = "select pg_catalog.to_regclass($1)::oid";

/// Ranges of giants by the table's OID on the source.
#[derive(Debug, Default)]
pub(super) struct Divisions(Mutex<HashMap<Oid, Arc<Vec<Ends>>>>);

impl Divisions {
    fn put(&self, table: Oid, ranges: Vec<Ends>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(table, Arc::new(ranges));
    }

    fn ends(&self, table: Oid, number: u32) -> Option<Ends> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&table)?.get(usize::try_from(number).ok()?).cloned()
    }
}

/// Which ranges of a giant are to be read. An earlier run's ranges are kept; else it is divided and emptied here. None if
/// it is not worth dividing: it is to be read like any other table. `keeper` holds a lock on it from here on.
pub(super) async fn ranges<F: Fn(CopyProgress)>(
    run: &Run<F>,
    (worker, keeper): (&Worker, &Session),
    (table, by): (&CopyTable, &CopyRanges),
) -> Result<Vec<u32>, StreamError> {
    let lock = format!("lock table only {} in access share mode", table.source_name.quoted());
    let what = format!("locking {} on the source", table.source_name);
    keeper.batch_execute(&lock).await.during(&what).map_err(failed(table))?;
    let same = keeper.query_opt(IS_SAME, &[&table.source_oid.0]).await;
    let same = same.and_then(|row| row.map(|row| row.try_get(0)).transpose());
    if same.during(&what).map_err(failed(table))? != Some(true) {
        return Err(StreamError::GiantChanged {
            table: table.source_name.clone(),
            problem: "it was truncated or rewritten just after the snapshot was taken; try again".to_owned(),
        });
    }
    let known = known(run, worker, table, by).await?;
    if known.iter().any(|range| range.start.is_some()) {
        same_shape(run, (worker, keeper), table).await?;
    } else {
        worker.record_shapes(&run.spec, std::iter::once(table.source_oid)).await?;
    }
    if !known.is_empty() {
        let left = known.iter().filter(|range| range.start.is_none()).map(|range| range.number).collect();
        run.divisions.put(table.source_oid, known.into_iter().map(|range| range.ends).collect());
        return Ok(left);
    }
    let ranges = divide(keeper, table, by).await?;
    if ranges.len() > 1 {
        worker.open_ranges(run, (table, by), &ranges).await?;
        let numbers = (0..).take(ranges.len()).collect();
        run.divisions.put(table.source_oid, ranges);
        return Ok(numbers);
    }
    Ok(Vec::new())
}

/// Fails if the table's columns are not what they were when its first range was read: the stream cannot change the columns
/// of some rows.
async fn same_shape<F: Fn(CopyProgress)>(
    run: &Run<F>,
    (worker, keeper): (&Worker, &Session),
    table: &CopyTable,
) -> Result<(), StreamError> {
    let recorded = cleave_journal::shapes(&*worker.target, &run.spec.stream).await?;
    let now = look(&**keeper, &[table.source_oid]).await?;
    let recorded = recorded.iter().find(|shape| shape.source_oid == table.source_oid);
    let Some((recorded, now)) = recorded.zip(now.tables.first()) else { return Ok(()) };
    if now.has_columns_of(recorded) {
        return Ok(());
    }
    Err(StreamError::GiantChanged {
        table: table.source_name.clone(),
        problem: "its columns were changed after the first of them was read".to_owned(),
    })
}

/// The ranges that an earlier run, or round, has made of the table that stands on the target now.
async fn known<F: Fn(CopyProgress)>(
    run: &Run<F>,
    worker: &Worker,
    table: &CopyTable,
    by: &CopyRanges,
) -> Result<Vec<KeyRange>, StreamError> {
    let name = table.target_name.quoted();
    let target = worker.target.query_one(TARGET, &[&name]).await.and_then(|row| row.try_get(0));
    let target: Option<u32> =
        target.during(format!("looking at {} on the target", table.target_name)).map_err(failed(table))?;
    let mut known = key_ranges(&*worker.target, &run.spec.stream).await?;
    known.retain(|range| {
        range.division.source_oid == table.source_oid && Some(range.division.target_oid.0) == target
    });
    let fits = |range: &KeyRange| {
        range.division.key_column == by.column.as_str() && range.division.key_type == by.kind.as_str()
    };
    match known.iter().find(|range| !fits(range)) {
        None => Ok(known),
        Some(range) => Err(StreamError::GiantChanged {
            table: table.source_name.clone(),
            problem: format!(
                "its ranges are of {} ({}), and it would be divided by {} ({}) now",
                range.division.key_column,
                range.division.key_type,
                by.column,
                by.kind.as_str()
            ),
        }),
    }
}

/// Divides a table into ranges with about as many rows each, as a sample of its blocks has them.
async fn divide(keeper: &Session, table: &CopyTable, by: &CopyRanges) -> Result<Vec<Ends>, StreamError> {
    let name = table.source_name.quoted();
    let what = format!("looking for ranges of {} on the source", table.source_name);
    let size = keeper.query_one(SIZE, &[&name]).await;
    let read = |row: &tokio_postgres::Row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?));
    let (blocks, bytes) = size.and_then(|row| read(&row)).during(&what).map_err(failed(table))?;
    let [blocks, bytes] = [blocks, bytes].map(|count| u64::try_from(count).unwrap_or(0));
    let count = (bytes / by.bytes.max(1)).min(RANGES_MAX);
    if count < 2 {
        return Ok(Vec::new());
    }
    let wanted = (count * SAMPLE_BLOCKS).max(SAMPLE_BLOCKS_MIN);
    let percent = if wanted >= blocks { 100.0 } else { wanted as f64 * 100.0 / blocks as f64 };
    let rows = keeper.query(&sample(&name, &by.column, percent, count), &[]).await;
    let bounds: Result<Vec<String>, _> =
        rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect());
    let ranges = between(bounds.during(&what).map_err(failed(table))?);
    // One value is never divided. Where few are most of the table, chunks of blocks do more.
    Ok(if ranges.len() as u64 * 2 < count { Vec::new() } else { ranges })
}

/// The values at which a new range begins: `count - 1` of them, or fewer where one value is so frequent.
fn sample(table: &str, column: &Ident, percent: f64, count: u64) -> String {
    let column = column.quoted();
    format!(
        "select k::pg_catalog.text as bound from (
           select k, pg_catalog.row_number() over (order by k) - 1 as at, pg_catalog.count(*) over () as total
           from (select {column} as k from only {table} tablesample system ({percent})) drawn) placed
         where at > 0 and at * {count} / total <> (at - 1) * {count} / total
         group by placed.k order by placed.k"
    )
}

/// The ranges before, between and behind the bounds.
fn between(bounds: Vec<String>) -> Vec<Ends> {
    let lower = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
    let upper = bounds.iter().cloned().map(Some).chain(std::iter::once(None));
    lower.zip(upper).map(|(lower, upper)| Ends { lower, upper }).collect()
}

/// The condition on a row's key. A literal takes the column's type.
pub(crate) fn condition(column: &Ident, ends: &Ends) -> String {
    let column = column.quoted();
    let from = ends.lower.as_ref().map(|value| format!("{column} >= {}", quote_literal(value)));
    let to = ends.upper.as_ref().map(|value| format!("{column} < {}", quote_literal(value)));
    from.into_iter().chain(to).collect::<Vec<_>>().join(" and ")
}

impl Worker {
    /// Empties a giant and says which ranges there are.
    async fn open_ranges<F: Fn(CopyProgress)>(
        &self,
        run: &Run<F>,
        (table, by): (&CopyTable, &CopyRanges),
        ranges: &[Ends],
    ) -> Result<(), StreamError> {
        let (target_oid, _) = self.empty(run, table).await?;
        run.spec.lease.check(&*self.target).await?;
        let division = Division {
            source_oid: table.source_oid,
            target_oid,
            key_column: by.column.as_str().to_owned(),
            key_type: by.kind.as_str().to_owned(),
        };
        begin_ranges(&*self.target, &run.spec.stream, &division, ranges).await?;
        self.commit(table).await?;
        cleave_failpoint::hit_async("copy.ranges.stored").await;
        Ok(())
    }

    /// Copies a range of a giant and records it, in one transaction; the last one makes the table copied.
    pub(super) async fn copy_range<F: Fn(CopyProgress)>(
        &self,
        run: &Run<F>,
        (source, table): (&Session, &CopyTable),
        number: u32,
    ) -> Result<Option<Copied>, StreamError> {
        let known = table.ranges.as_ref().zip(run.divisions.ends(table.source_oid, number));
        let Some((by, ends)) = known else {
            return Err(StreamError::Task(format!("{} has no range {number}", table.source_name)));
        };
        self.begin(table).await?;
        let condition = condition(&by.column, &ends);
        let pumped = self.pass_through(run, (source, table), &condition, Writing::Ordinary).await;
        let Pumped { rows, bytes } = pumped.map_err(failed(table))?;
        cleave_failpoint::hit_async("copy.range.before").await;
        run.spec.lease.check(&*self.target).await?;
        let range = Copied { source_oid: table.source_oid, start: self.start, rows, bytes };
        let copied = finish_range(&*self.target, &run.spec.stream, number, range).await?;
        self.commit(table).await?;
        cleave_failpoint::hit_async("copy.range.after").await;
        Ok(copied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_and_are_open_at_both_ends() {
        let conditions = |bounds: &[&str]| -> Vec<String> {
            let ranges = between(bounds.iter().map(|bound| (*bound).to_owned()).collect());
            ranges.iter().map(|ends| condition(&Ident::new("Key"), ends)).collect()
        };
        assert_eq!(
            conditions(&["10", "it's"]),
            [r#""Key" < '10'"#, r#""Key" >= '10' and "Key" < 'it''s'"#, r#""Key" >= 'it''s'"#]
        );
        assert_eq!(conditions(&[]), [""]);
    }
}
