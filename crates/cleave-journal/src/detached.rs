//! Tables that a stream has left to a stream of their own, and tables whose copy is to be made anew.

use crate::{Copying, JournalError, copied::begin_chunks, delete_position, error::During};
use cleave_model::{Lsn, Oid, labels};
use serde_json::Value;
use tokio_postgres::{GenericClient, types::PgLsn};

/// A table that its stream leaves out.
#[derive(Clone, Debug, PartialEq)]
pub struct DetachedTable {
    /// OID on the source.
    pub source_oid: Oid,
    /// Its name on the source, for people.
    pub table: String,
    /// The group that it is followed with: `<stream>/d<part>` is that stream.
    pub part: u32,
    /// True for the table whose change failed; the others are tied to it.
    pub cause: bool,
    /// Code of the error.
    pub code: String,
    /// The error and its causes. Never a row value.
    pub error: String,
    /// The key of the row, column by column. Never logged.
    pub key: Option<Value>,
    /// The position of the stream when it failed: the change is in one of the next transactions.
    pub position: Lsn,
    /// Since when, RFC 3339; what is given to [`record_detached`] does not count.
    pub since: String,
}

/// Records that tables leave a stream, in the transaction that gives their own stream its position.
pub async fn record_detached(
    transaction: &impl GenericClient,
    stream: &str,
    tables: &[DetachedTable],
) -> Result<(), JournalError> {
    for table in tables {
        transaction
            .execute(
                "insert into cleave.detached (stream, source_oid, table_name, part, cause, code, error, key, position)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    &stream,
                    &table.source_oid.0,
                    &table.table,
                    &part_number(table.part),
                    &table.cause,
                    &table.code,
                    &table.error,
                    &table.key,
                    &PgLsn::from(table.position.0),
                ],
            )
            .await
            .during("record the detached tables")?;
    }
    Ok(())
}

/// Says anew what stops a group: the table, if it is one's, the error and the key of the row.
pub async fn retell_detached(
    transaction: &impl GenericClient,
    stream: &str,
    cause: &DetachedTable,
) -> Result<(), JournalError> {
    transaction
        .execute(
            "update cleave.detached set cause = source_oid = $3, code = $4, error = $5, position = $7,
                    key = case when source_oid = $3 then $6::jsonb end
             where stream = $1 and part = $2",
            &[
                &stream,
                &part_number(cause.part),
                &cause.source_oid.0,
                &cause.code,
                &cause.error,
                &cause.key,
                &PgLsn::from(cause.position.0),
            ],
        )
        .await
        .during("say anew what stops detached tables")?;
    Ok(())
}

fn part_number(part: u32) -> i32 {
    i32::try_from(part).unwrap_or(i32::MAX)
}

/// The tables that a stream leaves out, group by group, those that failed first.
pub async fn detached_tables(
    client: &impl GenericClient,
    stream: &str,
) -> Result<Vec<DetachedTable>, JournalError> {
    let rows = client
        .query(
            "select source_oid, table_name, part, cause, code, error, key, position,
                    pg_catalog.to_char(since at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
             from cleave.detached where stream = $1 order by part, not cause, table_name",
            &[&stream],
        )
        .await
        .during("read the detached tables")?;
    Ok(rows
        .iter()
        .map(|row| DetachedTable {
            source_oid: Oid(row.get(0)),
            table: row.get(1),
            part: row.get::<_, i32>(2).unsigned_abs(),
            cause: row.get(3),
            code: row.get(4),
            error: row.get(5),
            key: row.get(6),
            position: Lsn(row.get::<_, PgLsn>(7).into()),
            since: row.get(8),
        })
        .collect())
}

/// Gives a group's tables back to their stream, in one transaction: what commits before `start` was applied by the
/// group's stream. Fails if the group is not detached: somebody else has done it.
pub async fn rejoin(
    transaction: &impl GenericClient,
    stream: &str,
    part: u32,
    start: Lsn,
) -> Result<(), JournalError> {
    let raised = transaction
        .execute(
            "update cleave.copied as c set start = greatest(c.start, $3) from cleave.detached as d
             where c.stream = $1 and d.stream = $1 and d.part = $2 and c.source_oid = d.source_oid",
            &[&stream, &part_number(part), &PgLsn::from(start.0)],
        )
        .await
        .during("raise the start positions of tables that join again")?;
    transaction
        .execute(
            "update cleave.copied_range as r set start = greatest(r.start, $3) from cleave.detached as d
             where r.stream = $1 and d.stream = $1 and d.part = $2 and r.source_oid = d.source_oid",
            &[&stream, &part_number(part), &PgLsn::from(start.0)],
        )
        .await
        .during("raise the start positions of ranges that join again")?;
    let joined = forget_part(transaction, stream, part).await?;
    if raised == 0 || raised != joined {
        return Err(JournalError::Inconsistent {
            what: format!(
                "{joined} tables of {stream}/d{part} are detached, and {raised} of them are copied"
            ),
        });
    }
    Ok(())
}

/// Forgets a group and its stream's position; returns how many tables it had.
pub async fn forget_part(
    transaction: &impl GenericClient,
    stream: &str,
    part: u32,
) -> Result<u64, JournalError> {
    delete_position(transaction, &labels::part_of(stream, part)).await?;
    transaction
        .execute(
            "delete from cleave.detached where stream = $1 and part = $2",
            &[&stream, &part_number(part)],
        )
        .await
        .during("forget the detached tables")
}

/// Says of a copied table, by its OIDs on source and target, that its rows are to go and to be read anew. In a
/// transaction, while its stream stands still.
pub async fn reopen_copy(
    transaction: &impl GenericClient,
    stream: &str,
    (source_oid, target_oid): (Oid, Oid),
) -> Result<(), JournalError> {
    let copying = Copying { source_oid, target_oid, start: Lsn::default(), chunks_left: 1 };
    begin_chunks(transaction, stream, copying).await?;
    for table in ["copied", "copied_range", "copied_row"] {
        let sql = format!("delete from cleave.{table} where stream = $1 and source_oid = $2");
        let forgotten = transaction.execute(&sql, &[&stream, &source_oid.0]).await;
        forgotten.during("forget that a table is copied")?;
    }
    Ok(())
}
