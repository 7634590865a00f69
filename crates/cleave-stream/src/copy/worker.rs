//! One worker: a session in the snapshot on the source, a tagged session on the target, table after table.

use super::{CopySpec, CopyTable, progress::Meter};
use crate::{CopyProgress, Side, StreamError, error::On, session::connect_writer};
use cleave_journal::{Copied, record_copied};
use cleave_model::{Lsn, labels, quote_literal};
use cleave_pg::{
    During, PgError, Session, connect,
    copy::{Pumped, copy_in, copy_out, pump},
};
use std::time::Duration;
use tokio::time::timeout;

/// A worker that was stopped inside a transaction gives its locks back after this time.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// How long to wait for the server to take a stopped table back, before the session is dropped.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(2);

/// Its two sessions.
pub(super) struct Worker {
    source: Session,
    target: Session,
    start: Lsn,
}

impl Worker {
    /// Connects both sides and takes the snapshot, which afterwards lives in the worker's own transaction.
    pub(super) async fn start(
        spec: &CopySpec,
        number: usize,
        snapshot: &str,
        start: Lsn,
    ) -> Result<Self, StreamError> {
        let purpose = super::purpose(&spec.service);
        let source = connect(&spec.source, &purpose).await.on(Side::Source)?;
        // Where policies would hide rows the copy must fail, not be incomplete.
        let sql = format!(
            "set row_security = off;
             begin isolation level repeatable read read only;
             set transaction snapshot {}",
            quote_literal(snapshot)
        );
        source.batch_execute(&sql).await.during("taking the snapshot").map_err(|error| {
            let gone = error.sqlstate().is_some_and(|code| matches!(code, "42704" | "22023" | "55000"));
            if gone {
                StreamError::SnapshotGone { snapshot: snapshot.to_owned() }
            } else {
                StreamError::Server { side: Side::Source, source: error }
            }
        })?;
        let origin = labels::copy_origin(&spec.service, number);
        let target = connect_writer(&spec.target, &purpose, &origin, IDLE_LIMIT).await?;
        Ok(Self { source, target, start })
    }

    /// Copies one table and records it, in one transaction on the target. If stopped, the transaction is rolled back.
    pub(super) async fn copy<F: Fn(CopyProgress)>(
        &self,
        spec: &CopySpec,
        table: &CopyTable,
        meter: &Meter<F>,
    ) -> Result<Copied, StreamError> {
        let done = tokio::select! {
            biased;
            () = spec.cancelled.cancelled() => Err(StreamError::Cancelled),
            done = self.fill(spec, table, meter) => done,
        };
        if done.is_err() {
            // Best effort: the session is given up, and the error that ended the copy matters more.
            let _gone = timeout(ROLLBACK_LIMIT, self.target.batch_execute("rollback")).await;
        }
        done
    }

    async fn fill<F: Fn(CopyProgress)>(
        &self,
        spec: &CopySpec,
        table: &CopyTable,
        meter: &Meter<F>,
    ) -> Result<Copied, StreamError> {
        let name = &table.target_name;
        let failed =
            |source| StreamError::CopyFailed { table: table.source_name.clone(), source: Box::new(source) };
        // A worker of an engine that is no more may still fill this table; its transaction ends before ours goes on.
        let begin = format!("begin; lock table only {} in share row exclusive mode", name.quoted());
        self.target
            .batch_execute(&begin)
            .await
            .during(format!("locking {name} on the target"))
            .map_err(failed)?;
        let filled = format!("select exists (select from only {})", name.quoted());
        let filled = self.target.query_one(&filled, &[]).await;
        let filled = filled.during(format!("looking for rows in {name} on the target")).map_err(failed)?;
        if filled.get(0) {
            return Err(StreamError::TargetNotEmpty { table: name.clone() });
        }
        let Pumped { rows, bytes } = self.pass_through(table, meter).await.map_err(failed)?;
        cleave_failpoint::hit_async("copy.record.before").await;
        spec.lease.check(&*self.target).await?;
        let copied = Copied { source_oid: table.source_oid, start: self.start, rows, bytes };
        record_copied(&*self.target, &spec.stream, copied).await?;
        let done = self.target.batch_execute("commit").await;
        done.during(format!("committing the rows of {name} on the target")).map_err(failed)?;
        cleave_failpoint::hit_async("copy.record.after").await;
        Ok(copied)
    }

    /// The bytes that the source sends are the bytes that the target takes.
    async fn pass_through<F: Fn(CopyProgress)>(
        &self,
        table: &CopyTable,
        meter: &Meter<F>,
    ) -> Result<Pumped, PgError> {
        let (read, write) = statements(table);
        let reading = format!("reading {} on the source", table.source_name);
        let writing = format!("writing {} on the target", table.target_name);
        let from = copy_out(&self.source, &read, &reading).await?;
        let into = copy_in(&self.target, &write, &writing).await?;
        let mut told = 0;
        let report = |bytes| {
            meter.passed(bytes - told);
            told = bytes;
        };
        pump(from, into, report).await
    }
}

/// `copy (select ...) to stdout` and `copy ... from stdin`.
fn statements(table: &CopyTable) -> (String, String) {
    let list = |quoted: Vec<String>| quoted.join(", ");
    let from = list(table.columns.iter().map(|(source, _)| source.quoted()).collect());
    let to = list(table.columns.iter().map(|(_, target)| target.quoted()).collect());
    let (source, target) = (table.source_name.quoted(), table.target_name.quoted());
    let format = table.format.as_sql();
    // A table without columns has rows nevertheless; COPY can carry them only without a column list.
    let to = if to.is_empty() { String::new() } else { format!(" ({to})") };
    (
        format!("copy (select {from} from only {source}) to stdout (format {format})"),
        format!("copy {target}{to} from stdin (format {format})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CopyFormat;
    use cleave_model::{Ident, Oid, QualifiedName};

    #[test]
    fn columns_are_named_on_both_sides_in_the_same_order() {
        let table = CopyTable {
            source_oid: Oid(1),
            source_name: QualifiedName::new("public", "film"),
            target_name: QualifiedName::new("films", "film"),
            columns: vec![(Ident::new("id"), Ident::new("film_id")), (Ident::new("T"), Ident::new("title"))],
            format: CopyFormat::Binary,
            bytes_estimate: 0,
        };
        let (read, write) = statements(&table);
        assert_eq!(read, r#"copy (select "id", "T" from only "public"."film") to stdout (format binary)"#);
        assert_eq!(write, r#"copy "films"."film" ("film_id", "title") from stdin (format binary)"#);
    }
}
