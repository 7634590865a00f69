//! Are the values of a column keys of another table? A sample of them is looked up there.
//!
//! What it may cost is bounded: so many columns, so many values of each, so long for one and for all. What is not tried
//! then is said to be unproven. Only two counts come back from the server.

use crate::{EngineError, Events};
use cleave_assess::evidence::{ImpliedKey, KeyCandidate};
use cleave_model::QualifiedName;
use cleave_model::catalog::Catalog;
use cleave_pg::{During, Session};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Stands in each statement, so that it can be told from an application's.
pub(super) const MARK: &str = "/* cleave samples */";
/// Columns that are tried.
const COLUMNS_MAX: usize = 500;
/// Values of a column that are looked up.
const VALUES_MAX: u32 = 1000;
/// Rows that are read to find them, as far as the table's size is known.
const ROWS_SAMPLED: f64 = 5000.0;
/// Longest for one column.
const COLUMN_TIMEOUT_MS: u32 = 2000;
/// Longest for all.
const ALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Tables whose rows are counted where PostgreSQL has no estimate.
const COUNTED_MAX: usize = 500;
/// Rows that are counted at most.
const ROWS_COUNTED_MAX: u32 = 100_000;

/// Sets the limits that a session has from then on.
pub(super) async fn limit(session: &Session) -> Result<(), EngineError> {
    let limits = format!(
        "set statement_timeout = '{COLUMN_TIMEOUT_MS}ms'; set lock_timeout = '100ms'; \
         set default_transaction_read_only = on; set max_parallel_workers_per_gather = 0"
    );
    session.batch_execute(&limits).await.during("setting limits for samples")?;
    Ok(())
}

/// Counts the rows of tables that PostgreSQL has no estimate for, up to a number that tells few from many. What cannot
/// be counted in time stays unknown.
pub(super) async fn count(session: &Session, catalog: &mut Catalog) -> Result<(), EngineError> {
    let began = Instant::now();
    let unknown = catalog.tables.iter_mut().filter(|table| table.holds_rows() && table.rows_estimated == 0);
    for table in unknown.take(COUNTED_MAX) {
        if began.elapsed() > ALL_TIMEOUT {
            break;
        }
        let name = table.name.quoted();
        let statement =
            format!("select pg_catalog.count(*) from (select from {name} limit {ROWS_COUNTED_MAX}) counted");
        match session.query_one(&statement, &[]).await {
            Ok(row) => table.rows_estimated = row.get::<_, i64>(0).unsigned_abs(),
            Err(error) if error.as_db_error().is_some() => {}
            Err(error) => return Err(lost(error)),
        }
    }
    Ok(())
}

/// Tries each key that nobody declared. A column that cannot be read, or not in time, stays untried.
pub(super) async fn tried(
    session: &Session,
    mut implied: Vec<ImpliedKey>,
    catalog: &Catalog,
    events: &Events,
) -> Result<Vec<ImpliedKey>, EngineError> {
    if implied.is_empty() {
        return Ok(implied);
    }
    let columns = match implied.len().min(COLUMNS_MAX) {
        1 => "1 column that may be a key".to_owned(),
        columns => format!("{columns} columns that may be keys"),
    };
    events.note(None, format!("trying {columns} on samples"));
    let mut rows: BTreeMap<&QualifiedName, u64> = BTreeMap::new();
    for table in &catalog.tables {
        *rows.entry(&table.name).or_default() += if table.holds_rows() { table.rows_estimated } else { 0 };
        if let Some(partition) = &table.partition_of {
            *rows.entry(&partition.parent).or_default() += table.rows_estimated;
        }
    }
    let began = Instant::now();
    for key in implied.iter_mut().take(COLUMNS_MAX) {
        if began.elapsed() > ALL_TIMEOUT {
            break;
        }
        let size = rows.get(&key.candidate.table).copied().unwrap_or(0);
        match session.query_one(&statement(&key.candidate, size), &[]).await {
            Ok(row) => {
                let (values, found): (i64, i64) = (row.get(0), row.get(1));
                key.included = (values > 0).then(|| found as f64 / values as f64);
            }
            // No right to read, not in time, no way to compare: it stays untried.
            Err(error) if error.as_db_error().is_some() => {}
            Err(error) => return Err(lost(error)),
        }
    }
    Ok(implied)
}

fn lost(error: tokio_postgres::Error) -> EngineError {
    cleave_pg::PgError::from_driver("trying columns that may be keys", &error).into()
}

/// Counts of sampled values, and of those that are keys of the other table.
fn statement(candidate: &KeyCandidate, rows: u64) -> String {
    let (column, key) = (candidate.column.quoted(), candidate.referenced_column.quoted());
    // Pages are picked at random in a large table; a small one is read from its start.
    let share = ROWS_SAMPLED * 100.0 / (rows.max(1) as f64);
    let pages = if share < 50.0 { format!(" tablesample system ({share:.6})") } else { String::new() };
    format!(
        "with {MARK} sampled as (select t.{column} as value from {table} t{pages} where t.{column} is not null \
         limit {VALUES_MAX}) \
         select pg_catalog.count(*), pg_catalog.count(r.{key}) from sampled s left join {referenced} r \
         on r.{key} operator(pg_catalog.=) s.value",
        table = candidate.table.quoted(),
        referenced = candidate.referenced.quoted(),
    )
}

#[cfg(test)]
mod tests {
    use super::statement;
    use cleave_assess::evidence::KeyCandidate;
    use cleave_model::QualifiedName;

    #[test]
    fn a_large_table_is_sampled_by_pages_and_a_small_one_is_read_from_its_start() {
        let candidate = KeyCandidate {
            table: QualifiedName::new("public", "review"),
            column: "customer_id".into(),
            referenced: QualifiedName::new("public", "customer"),
            referenced_column: "id".into(),
        };
        assert!(statement(&candidate, 50_000_000).contains("tablesample system (0.010000)"));
        assert!(!statement(&candidate, 0).contains("tablesample"));
    }
}
