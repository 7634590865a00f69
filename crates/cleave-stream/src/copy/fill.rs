//! Rows into a table: whole in one transaction, or in chunks of one each.
//!
//! A whole table's rows and its record commit together, so an unfinished one is empty. A table that is filled in chunks is
//! emptied and entered in `cleave.copying` first; each chunk's rows and its count commit together, and the last one's
//! transaction makes the table copied.

use super::{
    CopySpec, CopyTable,
    chunk::{Blocks, divide},
    worker::{Run, Worker},
};
use crate::{CopyProgress, StreamError};
use cleave_journal::{Copied, Copying, begin_chunks, copied_tables, finish_chunk, record_copied};
use cleave_model::Oid;
use cleave_pg::{
    During, PgError, Session,
    copy::{Pump, Pumped, copy_in, copy_out},
};

/// How long the lock that a frozen copy needs may be waited for: a reader at the target is no reason to stand still.
const FREEZE_LOCK_LIMIT_MS: u32 = 1000;

/// Whether rows may be written frozen: the transaction has truncated the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    Frozen,
    Ordinary,
}

/// `true` if the table may be truncated and take frozen rows: an ordinary one (a partition is), nobody refers to it, and
/// we have the right. Its OID comes along.
const MAY_TRUNCATE: &str = "
    select c.oid, c.relkind = 'r' and pg_catalog.has_table_privilege(c.oid, 'truncate')
                  and not exists (select from pg_catalog.pg_constraint k where k.confrelid = c.oid and k.contype = 'f')
    from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)";

/// Blocks of the main file if the table is a heap, and bytes of all that belongs to its rows.
const SIZE: &str = "
    select case when a.amname = 'heap' then pg_catalog.pg_relation_size(c.oid)
                / pg_catalog.current_setting('block_size')::bigint else 0 end,
           pg_catalog.pg_table_size(c.oid)
    from pg_catalog.pg_class c left join pg_catalog.pg_am a on a.oid = c.relam
    where c.oid = pg_catalog.to_regclass($1)";

pub(super) fn failed(table: &CopyTable) -> impl Fn(PgError) -> StreamError + Copy + '_ {
    |source| StreamError::CopyFailed { table: table.source_name.clone(), source: Box::new(source) }
}

/// Divides a table for several workers, in a session in the snapshot that stays until all chunks are read: its lock keeps
/// the table from being rewritten, which would give rows other places between two chunks.
pub(super) async fn chunks(
    spec: &CopySpec,
    keeper: &Session,
    table: &CopyTable,
) -> Result<Vec<Blocks>, StreamError> {
    let name = table.source_name.quoted();
    let what = format!("measuring {} on the source", table.source_name);
    let lock = format!("lock table only {name} in access share mode");
    keeper.batch_execute(&lock).await.during(&what).map_err(failed(table))?;
    let size = keeper.query_one(SIZE, &[&name]).await;
    let read = |row: &tokio_postgres::Row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?));
    let (blocks, bytes) = size.and_then(|row| read(&row)).during(&what).map_err(failed(table))?;
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(divide(count(blocks), count(bytes), spec.chunk_bytes))
}

impl Worker {
    /// Copies one table and records it, in one transaction on the target.
    pub(super) async fn copy_whole<F: Fn(CopyProgress)>(
        &self,
        run: &Run<F>,
        (source, table): (&Session, &CopyTable),
    ) -> Result<Copied, StreamError> {
        let (_, writing) = self.empty(run, table).await?;
        let Pumped { rows, bytes } =
            self.pass_through(run, (source, table), "", writing).await.map_err(failed(table))?;
        cleave_failpoint::hit_async("copy.record.before").await;
        run.spec.lease.check(&*self.target).await?;
        let copied = Copied { source_oid: table.source_oid, start: self.start, rows, bytes };
        record_copied(&*self.target, &run.spec.stream, copied).await?;
        self.commit(table).await?;
        cleave_failpoint::hit_async("copy.record.after").await;
        Ok(copied)
    }

    /// Empties a table and says that what comes into it from now on is ours.
    pub(super) async fn open<F: Fn(CopyProgress)>(
        &self,
        run: &Run<F>,
        table: &CopyTable,
        chunks: usize,
    ) -> Result<(), StreamError> {
        let (target_oid, _) = self.empty(run, table).await?;
        run.spec.lease.check(&*self.target).await?;
        let chunks_left = u32::try_from(chunks).unwrap_or(u32::MAX);
        let copying = Copying { source_oid: table.source_oid, target_oid, start: self.start, chunks_left };
        begin_chunks(&*self.target, &run.spec.stream, copying).await?;
        self.commit(table).await
    }

    /// Copies a range of blocks and counts it, in one transaction; the last one makes the table copied.
    pub(super) async fn copy_chunk<F: Fn(CopyProgress)>(
        &self,
        run: &Run<F>,
        (source, table): (&Session, &CopyTable),
        blocks: Blocks,
    ) -> Result<Option<Copied>, StreamError> {
        self.begin(table).await?;
        let pumped = self.pass_through(run, (source, table), &blocks.condition(), Writing::Ordinary).await;
        let Pumped { rows, bytes } = pumped.map_err(failed(table))?;
        cleave_failpoint::hit_async("copy.chunk.before").await;
        run.spec.lease.check(&*self.target).await?;
        let chunk = Copied { source_oid: table.source_oid, start: self.start, rows, bytes };
        let copied = finish_chunk(&*self.target, &run.spec.stream, chunk).await?;
        self.commit(table).await?;
        cleave_failpoint::hit_async("copy.chunk.after").await;
        Ok(copied)
    }

    /// Begins a part of a table.
    pub(super) async fn begin(&self, table: &CopyTable) -> Result<(), StreamError> {
        let begun = self.target.batch_execute("begin").await;
        begun.during(format!("beginning a part of {}", table.target_name)).map_err(failed(table))
    }

    pub(super) async fn commit(&self, table: &CopyTable) -> Result<(), StreamError> {
        let done = self.target.batch_execute("commit").await;
        done.during(format!("committing the rows of {} on the target", table.target_name))
            .map_err(failed(table))
    }

    /// Begins a transaction in which the table is locked and empty. Rows in it are an error, unless `cleave.copying` says
    /// that they are what an earlier run had of it.
    pub(super) async fn empty<F: Fn(CopyProgress)>(
        &self,
        run: &Run<F>,
        table: &CopyTable,
    ) -> Result<(Oid, Writing), StreamError> {
        let name = &table.target_name;
        let what = format!("looking at {name} on the target");
        let facts = self.target.query_one(MAY_TRUNCATE, &[&name.quoted()]).await;
        let read = |row: &tokio_postgres::Row| Ok((Oid(row.try_get(0)?), row.try_get::<_, bool>(1)?));
        let (oid, may) = facts.and_then(|row| read(&row)).during(&what).map_err(failed(table))?;
        let mut ours = run.unfinished.get(&table.source_oid) == Some(&oid);
        let alone = may && self.lock_alone(table).await?;
        if !alone {
            // A worker of an engine that is no more may still fill this table; its transaction ends before ours goes on.
            let begin = format!("begin; lock table only {} in share row exclusive mode", name.quoted());
            let locked = self.target.batch_execute(&begin).await;
            locked.during(format!("locking {name} on the target")).map_err(failed(table))?;
        }
        if !ours {
            let filled = format!("select exists (select from only {})", name.quoted());
            let filled = self.target.query_one(&filled, &[]).await.and_then(|row| row.try_get(0));
            let filled: bool = filled.during(&what).map_err(failed(table))?;
            // The session of an earlier run may have come to its commit after this run has looked.
            ours = filled && self.is_recorded(run, table).await?;
            if filled && !ours {
                return Err(StreamError::TargetNotEmpty { table: name.clone() });
            }
        }
        let clear = match (alone, ours) {
            (true, _) => format!("truncate only {}", name.quoted()),
            (false, true) => format!("delete from only {}", name.quoted()),
            (false, false) => return Ok((oid, Writing::Ordinary)),
        };
        let cleared = self.target.batch_execute(&clear).await;
        cleared.during(format!("emptying {name} on the target")).map_err(failed(table))?;
        Ok((oid, if alone { Writing::Frozen } else { Writing::Ordinary }))
    }

    async fn is_recorded<F: Fn(CopyProgress)>(
        &self,
        run: &Run<F>,
        table: &CopyTable,
    ) -> Result<bool, StreamError> {
        let copied = copied_tables(&*self.target, &run.spec.stream).await?;
        Ok(copied.iter().any(|copied| copied.source_oid == table.source_oid))
    }

    /// Begins a transaction that holds the table alone; `false`, and no transaction, if somebody reads it.
    async fn lock_alone(&self, table: &CopyTable) -> Result<bool, StreamError> {
        let begin = format!(
            "begin; set local lock_timeout = {FREEZE_LOCK_LIMIT_MS};
             lock table only {} in access exclusive mode; set local lock_timeout = 0",
            table.target_name.quoted()
        );
        let what = format!("locking {} on the target", table.target_name);
        match self.target.batch_execute(&begin).await.during(&what) {
            Ok(()) => Ok(true),
            Err(error) if error.sqlstate() == Some("55P03") => {
                let back = self.target.batch_execute("rollback").await;
                back.during(&what).map_err(failed(table)).map(|()| false)
            }
            Err(error) => Err(failed(table)(error)),
        }
    }

    /// The bytes that the source sends are the bytes that the target takes. With a condition only the rows that meet it.
    pub(super) async fn pass_through<F: Fn(CopyProgress)>(
        &self,
        run: &Run<F>,
        (source, table): (&Session, &CopyTable),
        condition: &str,
        writing: Writing,
    ) -> Result<Pumped, PgError> {
        let (read, write) = statements(table, condition, writing);
        let from = copy_out(source, &read, &format!("reading {} on the source", table.source_name)).await?;
        let into =
            copy_in(&self.target, &write, &format!("writing {} on the target", table.target_name)).await?;
        let mut pump = Pump::new(from, into);
        while let Some(bytes) = pump.step().await? {
            run.meter.passed(bytes);
            if let Some(rate) = &run.rate {
                rate.pass(bytes).await;
            }
            run.brake.rested().await;
        }
        pump.finish().await
    }
}

/// `copy ... to stdout` and `copy ... from stdin`.
fn statements(table: &CopyTable, condition: &str, writing: Writing) -> (String, String) {
    let list = |quoted: Vec<String>| quoted.join(", ");
    let from = list(table.columns.iter().map(|(source, _)| source.quoted()).collect());
    let to = list(table.columns.iter().map(|(_, target)| target.quoted()).collect());
    let (source, target) = (table.source_name.quoted(), table.target_name.quoted());
    let format = table.format.as_sql();
    // A table without columns has rows nevertheless; COPY can carry them only without a column list.
    let columns = |list: &str| if list.is_empty() { String::new() } else { format!(" ({list})") };
    // Of a table itself COPY reads the rows that stand in it, not those of tables that inherit from it.
    let read = match condition {
        "" => format!("{source}{}", columns(&from)),
        condition => format!("(select {from} from only {source} where {condition})"),
    };
    let freeze = if writing == Writing::Frozen { ", freeze" } else { "" };
    (
        format!("copy {read} to stdout (format {format})"),
        format!("copy {target}{} from stdin (format {format}{freeze})", columns(&to)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CopyFormat;
    use cleave_model::{Ident, QualifiedName};

    #[test]
    fn columns_are_named_on_both_sides_in_the_same_order() {
        let table = CopyTable {
            source_oid: Oid(1),
            source_name: QualifiedName::new("public", "film"),
            target_name: QualifiedName::new("films", "film"),
            columns: vec![(Ident::new("id"), Ident::new("film_id")), (Ident::new("T"), Ident::new("title"))],
            format: CopyFormat::Binary,
            bytes_estimate: 0,
            ranges: None,
            search_path: String::new(),
            indexes: Vec::new(),
        };
        let (read, write) = statements(&table, "", Writing::Frozen);
        assert_eq!(read, r#"copy "public"."film" ("id", "T") to stdout (format binary)"#);
        assert_eq!(write, r#"copy "films"."film" ("film_id", "title") from stdin (format binary, freeze)"#);
        let first = divide(2, 4, 1)[0].condition();
        let (read, write) = statements(&table, &first, Writing::Ordinary);
        assert_eq!(
            read,
            r#"copy (select "id", "T" from only "public"."film" where ctid < '(1,0)'::pg_catalog.tid) to stdout (format binary)"#
        );
        assert_eq!(write, r#"copy "films"."film" ("film_id", "title") from stdin (format binary)"#);
    }
}
