//! Giants: tables that are copied in ranges of their key, each in whatever snapshot it comes to (docs/design/copy.md).

use crate::{Finding, MovePlan, PlannedRanges, PlannedTable};
use cleave_model::catalog::{Catalog, Column, ConstraintKind, Index, ReplicaIdentity, Table};
use cleave_model::{Ident, RangeType, format_bytes};

/// About so many ranges are of the size from which on a table is a giant.
const RANGES_PER_GIANT: u64 = 8;

/// `pg_stats.correlation` below which a range would read much more than itself.
const CORRELATION_MIN: f64 = 0.5;

/// Below it, it is worth saying so.
const CORRELATION_GOOD: f64 = 0.9;

/// Types whose values are equal only if their bytes are, beside those of [`RangeType`]: boolean, oid, text, varchar.
const BYTEWISE: [u32; 4] = [16, 26, 25, 1043];
const TEXTS: [u32; 2] = [25, 1043];

/// The column that each giant of a plan would be divided by, as far as the catalog says: what the correlation is to be
/// looked up of.
pub fn giant_columns<'c>(
    plan: &MovePlan,
    source: &'c Catalog,
    giant_bytes: u64,
) -> Vec<(&'c Table, &'c Ident)> {
    let giants = giants(plan, source, giant_bytes);
    giants.filter_map(|(_, table)| Some((table, &divisible(table).ok()?.0.name))).collect()
}

/// What statistics say of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Of the order of rows with that of values: `pg_stats.correlation`.
    pub correlation: f64,
    /// How many values there are; below 0 the part of all rows: `pg_stats.n_distinct`.
    pub distinct: f64,
}

/// Says of each giant in the plan how it is divided, or why it is not. `spread` is that of its column, if there are
/// statistics.
pub fn plan_giants(
    plan: &mut MovePlan,
    source: &Catalog,
    giant_bytes: u64,
    spread: impl Fn(&Table) -> Option<Spread>,
) {
    let found: Vec<(u32, &Table)> =
        giants(plan, source, giant_bytes).map(|(planned, table)| (planned.source_oid, table)).collect();
    for (oid, table) in found {
        let set = plan.tables.iter().find(|planned| planned.source_oid == oid);
        let is_set = set.is_some_and(|planned| planned.set_identity.is_some());
        let divided = match divisible(table) {
            Ok(_) if is_set => Err(NO_KEY.to_owned()),
            Ok((column, kind)) => match spread(table) {
                None => Err(format!("there are no statistics of column {}: analyze the table", column.name)),
                Some(spread) if values(spread, table) < fewest_values(table, giant_bytes) => Err(format!(
                    "column {}, the first of its key, has only about {:.0} values, and rows of one value are not divided",
                    column.name,
                    values(spread, table)
                )),
                Some(Spread { correlation, .. }) if correlation.abs() < CORRELATION_MIN => Err(format!(
                    "its rows do not stand in the order of column {} (correlation {correlation:.2}), so that each range \
                     would read much of the table",
                    column.name
                )),
                Some(Spread { correlation, .. }) => Ok((column, kind, correlation)),
            },
            Err(reason) => Err(reason),
        };
        match divided {
            Ok((column, kind, correlation)) => {
                let ranges = PlannedRanges {
                    column: column.name.as_str().to_owned(),
                    kind: kind.as_str().to_owned(),
                    bytes: (giant_bytes / RANGES_PER_GIANT).max(1),
                };
                plan.findings.push(divided_note(table, &ranges, correlation));
                divide(plan, table, ranges);
            }
            Err(reason) => plan.findings.push(Finding::warning(
                "C0551",
                &table.name,
                format!(
                    "has {}, and is copied in one snapshot all the same, which holds back vacuum on the source for as long, and \
                     is begun anew after a crash: {reason}",
                    format_bytes(table.heap_bytes)
                ),
            )),
        }
    }
}

fn values(spread: Spread, table: &Table) -> f64 {
    if spread.distinct < 0.0 { -spread.distinct * table.rows_estimated as f64 } else { spread.distinct }
}

/// Two for each range.
fn fewest_values(table: &Table, giant_bytes: u64) -> f64 {
    2.0 * table.heap_bytes as f64 / (giant_bytes / RANGES_PER_GIANT).max(1) as f64
}

const NO_KEY: &str = "it is not followed by its primary key";

fn giants<'p, 'c>(
    plan: &'p MovePlan,
    source: &'c Catalog,
    giant_bytes: u64,
) -> impl Iterator<Item = (&'p PlannedTable, &'c Table)> {
    plan.row_tables().filter_map(move |planned| {
        let table = source.tables.iter().find(|table| table.oid.0 == planned.source_oid)?;
        (table.heap_bytes >= giant_bytes).then_some((planned, table))
    })
}

fn divided_note(table: &Table, ranges: &PlannedRanges, correlation: f64) -> Finding {
    let mut message = format!(
        "has {}: it is copied in ranges of column {} of about {} each, and those that are copied stay, whatever happens",
        format_bytes(table.heap_bytes),
        ranges.column,
        format_bytes(ranges.bytes)
    );
    if correlation.abs() < CORRELATION_GOOD {
        message.push_str(&format!(
            "; its rows are only about in that order (correlation {correlation:.2}), so blocks are read more than once"
        ));
    }
    Finding::note("C0550", &table.name, message)
}

/// The first column of a key by which a table can be divided.
fn divisible(table: &Table) -> Result<(&Column, RangeType), String> {
    if table.access_method.is_some() {
        return Err("its rows are not in a heap".to_owned());
    }
    let key = table.immediate_primary_key().filter(|_| table.replica_identity == ReplicaIdentity::Default);
    let Some(key) = key.filter(|key| !key.is_empty()) else { return Err(NO_KEY.to_owned()) };
    let mut first = None;
    for name in key {
        let column = table.column(name).filter(|column| column.is_written());
        let Some(column) = column else { return Err(format!("column {name} of its key is computed")) };
        let kind = RangeType::from_oid(column.type_oid);
        if kind.is_none() && !is_bytewise(column) {
            return Err(format!(
                "values of column {name} of its key ({}) can be equal and look different",
                column.type_name
            ));
        }
        first = first.or(Some((column, kind)));
    }
    match first {
        Some((column, Some(kind))) => Ok((column, kind)),
        Some((column, None)) => Err(format!(
            "the order of column {}, the first of its key ({}), is not the same everywhere",
            column.name, column.type_name
        )),
        None => Err(NO_KEY.to_owned()),
    }
}

/// A collation that was chosen may hold different texts for equal; a database's own never does.
fn is_bytewise(column: &Column) -> bool {
    let own = column.collation.as_deref().is_none_or(|name| name.ends_with("\"C\""));
    BYTEWISE.contains(&column.type_oid.0) && (own || !TEXTS.contains(&column.type_oid.0))
}

fn divide(plan: &mut MovePlan, table: &Table, ranges: PlannedRanges) {
    for indexes in plan.script.tables.iter_mut().filter(|indexes| indexes.source_oid == table.oid.0) {
        for planned in &mut indexes.indexes {
            let index = table.indexes.iter().find(|index| index.name.as_str() == planned.name);
            planned.late = index.is_none_or(|index| is_late(table, index, &ranges.column));
        }
    }
    let planned = plan.tables.iter_mut().find(|planned| planned.source_oid == table.oid.0);
    if let Some(planned) = planned {
        planned.ranges = Some(ranges);
    }
}

/// True if rows of ranges of different ages may not stand in it together.
fn is_late(table: &Table, index: &Index, column: &str) -> bool {
    let constraint = index.constraint.as_ref();
    let excludes = table
        .constraints
        .iter()
        .any(|known| Some(&known.name) == constraint && known.kind == ConstraintKind::Exclusion);
    excludes || (index.unique && !index.columns.iter().any(|known| known.as_str() == column))
}

#[cfg(test)]
mod tests;
