//! What is built on a table when its rows are there: indexes, several at a time; then the constraints that stand on them,
//! and statistics. Each is skipped if it is there: a run that was killed may have had the time.

use super::{CopyIndex, CopySpec, CopyTable, worker::Worker};
use crate::{Side, StreamError, error::On};
use cleave_pg::{During, PgError, Session};

/// More is not used by a sort that fits, and would be taken from others.
const WORK_MEMORY_KB_MAX: i64 = 1 << 20;

/// Both in kB.
const SETTINGS: &str = "
    select (pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) / 1024)::bigint,
           (pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')) / 1024)::bigint";

/// Gives the session memory for building indexes: what the server's own setting is, or a share of what it was given for
/// its cache. All jobs together then take no more than `shared_buffers` once more, for as long as they sort.
pub(super) async fn make_room(target: &Session, jobs: usize) -> Result<(), StreamError> {
    let what = "setting up memory for indexes";
    let row = target.query_one(SETTINGS, &[]).await;
    let read = |row: &tokio_postgres::Row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?));
    let (own, shared) = row.and_then(|row| read(&row)).during(what).on(Side::Target)?;
    let memory_kb = work_memory_kb(own, shared, jobs);
    if memory_kb > own {
        let set = format!("set maintenance_work_mem = '{memory_kb}kB'");
        target.batch_execute(&set).await.during(what).on(Side::Target)?;
    }
    Ok(())
}

fn work_memory_kb(own: i64, shared_buffers: i64, jobs: usize) -> i64 {
    let jobs = i64::try_from(jobs.max(1)).unwrap_or(i64::MAX);
    (shared_buffers / jobs).min(WORK_MEMORY_KB_MAX).max(own)
}

/// Whether a table has a valid index of a name, and whether a constraint stands on it.
const FOUND: &str = "
    select exists (select from pg_catalog.pg_constraint k
                   where k.conindid = i.oid and k.conrelid = x.indrelid and k.contype in ('p', 'u', 'x'))
    from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
    where x.indrelid = pg_catalog.to_regclass($1) and i.relname = $2::text and x.indisvalid";

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Index,
    Constraint,
}

impl Worker {
    /// Builds an index with so many helpers at the server, which has the last word on their number.
    pub(super) async fn build(
        &self,
        spec: &CopySpec,
        table: &CopyTable,
        index: &CopyIndex,
        helpers: usize,
    ) -> Result<(), StreamError> {
        if self.find(table, index).await? != Found::Nothing {
            return Ok(());
        }
        spec.lease.check(&*self.target).await?;
        let helpers = format!(
            "set local max_parallel_maintenance_workers = {};",
            if self.has_helpers(helpers).await? { helpers } else { 0 }
        );
        self.make(table, index, &index.create, &helpers, |found| found != Found::Nothing).await
    }

    /// Adds constraints to built indexes, changes of the catalog only, and gathers statistics.
    pub(super) async fn settle(&self, spec: &CopySpec, table: &CopyTable) -> Result<(), StreamError> {
        for index in &table.indexes {
            let Some(constraint) = &index.constraint else { continue };
            if self.find(table, index).await? != Found::Constraint {
                spec.lease.check(&*self.target).await?;
                self.make(table, index, constraint, "", |found| found == Found::Constraint).await?;
            }
        }
        let analyze = format!("analyze {}", table.target_name.quoted());
        let analyzed = self.target.batch_execute(&analyze).await;
        analyzed.during(format!("analyzing {} on the target", table.target_name)).map_err(failed(table))
    }

    /// An administrator who has turned parallel builds off has the last word.
    async fn has_helpers(&self, wanted: usize) -> Result<bool, StreamError> {
        if wanted == 0 {
            return Ok(false);
        }
        let sql = "select pg_catalog.current_setting('max_parallel_maintenance_workers') <> '0'";
        let row = self.target.query_one(sql, &[]).await.and_then(|row| row.try_get(0));
        row.during("looking at settings for indexes").on(Side::Target)
    }

    /// Runs a statement, unless what it makes turns out to be there after all.
    async fn make(
        &self,
        table: &CopyTable,
        index: &CopyIndex,
        statement: &str,
        settings: &str,
        is_made: impl Fn(Found) -> bool,
    ) -> Result<(), StreamError> {
        let path = match table.search_path.as_str() {
            "" => String::new(),
            path => format!("set local search_path = {path};"),
        };
        let what = format!("building {} of {} on the target", index.name, table.target_name);
        let script = format!("begin; {settings} {path} {statement}; commit");
        let Err(error) = self.target.batch_execute(&script).await.during(&what) else { return Ok(()) };
        self.target.batch_execute("rollback").await.during(&what).map_err(failed(table))?;
        // The session of an engine that is no more has built it meanwhile.
        if is_made(self.find(table, index).await?) { Ok(()) } else { Err(failed(table)(error)) }
    }

    async fn find(&self, table: &CopyTable, index: &CopyIndex) -> Result<Found, StreamError> {
        let name = table.target_name.quoted();
        let row = self.target.query_opt(FOUND, &[&name, &index.name.as_str()]).await;
        let read = |row: Option<tokio_postgres::Row>| row.map(|row| row.try_get(0)).transpose();
        let what = format!("looking for {} of {} on the target", index.name, table.target_name);
        Ok(match row.and_then(read).during(what).map_err(failed(table))? {
            None => Found::Nothing,
            Some(false) => Found::Index,
            Some(true) => Found::Constraint,
        })
    }
}

fn failed(table: &CopyTable) -> impl Fn(PgError) -> StreamError + Copy + '_ {
    |source| StreamError::CopyFailed { table: table.source_name.clone(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_for_sorting_is_never_less_than_the_servers_and_never_more_than_its_cache() {
        let (mb, gb) = (1 << 10, 1 << 20);
        assert_eq!(work_memory_kb(64 * mb, 128 * mb, 4), 64 * mb);
        assert_eq!(work_memory_kb(64 * mb, 2 * gb, 4), 512 * mb);
        assert_eq!(work_memory_kb(64 * mb, 64 * gb, 4), gb);
        assert_eq!(work_memory_kb(4 * gb, 64 * gb, 4), 4 * gb);
        assert_eq!(work_memory_kb(64 * mb, 512 * mb, 0), 512 * mb);
    }
}
