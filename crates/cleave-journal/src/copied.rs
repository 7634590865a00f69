//! Which tables are copied, where each starts in its stream, and which are filled in chunks at this moment.

use crate::{JournalError, error::During};
use cleave_model::{Lsn, Oid};
use tokio_postgres::{GenericClient, Row, types::PgLsn};

/// A table whose copy is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// OID on the source.
    pub source_oid: Oid,
    /// Consistent point of the snapshot it was read in: changes committed before it are dropped.
    pub start: Lsn,
    /// Rows copied.
    pub rows: u64,
    /// Bytes copied, as they came over the wire.
    pub bytes: u64,
}

/// A table that is filled in several transactions, one for each chunk: until the last one it is not copied, and
/// whatever rows stand in it are its stream's and may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copying {
    /// OID on the source.
    pub source_oid: Oid,
    /// OID on the target: a table made anew under the same name holds none of our rows.
    pub target_oid: Oid,
    /// As in [`Copied::start`].
    pub start: Lsn,
    /// Chunks that are not committed yet; at least 1.
    pub chunks_left: u32,
}

fn to_bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn from_bigint(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// Records a copied table in the transaction that filled it, or that brought its last chunk.
pub async fn record_copied(
    transaction: &impl GenericClient,
    stream: &str,
    copied: Copied,
) -> Result<(), JournalError> {
    let Copied { source_oid, start, rows, bytes } = copied;
    transaction
        .execute(
            "insert into cleave.copied (stream, source_oid, start, rows, bytes) values ($1, $2, $3, $4, $5)
             on conflict (stream, source_oid) do update set start = excluded.start, rows = excluded.rows, bytes = excluded.bytes",
            &[&stream, &source_oid.0, &PgLsn::from(start.0), &to_bigint(rows), &to_bigint(bytes)],
        )
        .await
        .during("record the copied table")?;
    let over = [
        "delete from cleave.copying where stream = $1 and source_oid = $2",
        // It was to be read in ranges once, and now was not.
        "delete from cleave.copied_range r where stream = $1 and source_oid = $2
         and exists (select from cleave.copied_range u
                     where u.stream = r.stream and u.source_oid = r.source_oid and u.start is null)",
    ];
    for sql in over {
        transaction.execute(sql, &[&stream, &source_oid.0]).await.during("record the copied table")?;
    }
    Ok(())
}

/// The tables of a stream whose copy is committed.
pub async fn copied_tables(client: &impl GenericClient, stream: &str) -> Result<Vec<Copied>, JournalError> {
    let rows = client
        .query("select source_oid, start, rows, bytes from cleave.copied where stream = $1", &[&stream])
        .await
        .during("read the copied tables")?;
    let copied = |row: &Row| Copied {
        source_oid: Oid(row.get(0)),
        start: Lsn(row.get::<_, PgLsn>(1).into()),
        rows: from_bigint(row.get(2)),
        bytes: from_bigint(row.get(3)),
    };
    Ok(rows.iter().map(copied).collect())
}

/// Says that a table is about to be filled in chunks, in the transaction that has found or made it empty. What an
/// earlier snapshot's chunks have counted is forgotten.
pub async fn begin_chunks(
    transaction: &impl GenericClient,
    stream: &str,
    copying: Copying,
) -> Result<(), JournalError> {
    let Copying { source_oid, target_oid, start, chunks_left } = copying;
    transaction
        .execute(
            "insert into cleave.copying (stream, source_oid, target_oid, start, chunks_left) values ($1, $2, $3, $4, $5)
             on conflict (stream, source_oid) do update set target_oid = excluded.target_oid, start = excluded.start,
               chunks_left = excluded.chunks_left, rows = 0, bytes = 0",
            &[&stream, &source_oid.0, &target_oid.0, &PgLsn::from(start.0), &i64::from(chunks_left)],
        )
        .await
        .during("record that a table is being copied")?;
    Ok(())
}

/// Counts a chunk in the transaction that brings its rows, as its last statement: the row is locked until its end.
/// With the last chunk the table is recorded as copied, and its record is returned.
///
/// # Errors
/// [`JournalError::Inconsistent`] if the table is not being filled from that position: somebody else has begun anew,
/// and this transaction must not commit.
pub async fn finish_chunk(
    transaction: &impl GenericClient,
    stream: &str,
    chunk: Copied,
) -> Result<Option<Copied>, JournalError> {
    let counted = transaction
        .query_opt(
            "update cleave.copying set chunks_left = chunks_left - 1, rows = rows + $4, bytes = bytes + $5
             where stream = $1 and source_oid = $2 and start = $3 and chunks_left > 0
             returning chunks_left, rows, bytes",
            &[
                &stream,
                &chunk.source_oid.0,
                &PgLsn::from(chunk.start.0),
                &to_bigint(chunk.rows),
                &to_bigint(chunk.bytes),
            ],
        )
        .await
        .during("count a copied chunk")?;
    let Some(row) = counted else {
        return Err(JournalError::Inconsistent {
            what: format!("a table of {stream} is not being copied from {}", chunk.start),
        });
    };
    if row.get::<_, i64>(0) > 0 {
        return Ok(None);
    }
    let copied = Copied { rows: from_bigint(row.get(1)), bytes: from_bigint(row.get(2)), ..chunk };
    record_copied(transaction, stream, copied).await?;
    Ok(Some(copied))
}

/// The tables of a stream that are being filled in chunks, or were when their engine ended.
pub async fn tables_in_chunks(
    client: &impl GenericClient,
    stream: &str,
) -> Result<Vec<Copying>, JournalError> {
    let rows = client
        .query(
            "select source_oid, target_oid, start, chunks_left from cleave.copying where stream = $1",
            &[&stream],
        )
        .await
        .during("read the tables that are being copied")?;
    let copying = |row: &Row| Copying {
        source_oid: Oid(row.get(0)),
        target_oid: Oid(row.get(1)),
        start: Lsn(row.get::<_, PgLsn>(2).into()),
        chunks_left: u32::try_from(row.get::<_, i64>(3)).unwrap_or(0),
    };
    Ok(rows.iter().map(copying).collect())
}
