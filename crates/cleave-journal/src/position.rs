//! What a stream has durably applied on its target, and where each table starts.

use crate::{JournalError, error::During};
use cleave_model::{Lsn, Oid, Position};
use tokio_postgres::{GenericClient, ToStatement, types::PgLsn};

/// A row of `cleave.position`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    /// Slot that the position belongs to; its name carries the incarnation.
    pub slot: String,
    /// Applied up to here.
    pub position: Position,
    /// The last marker applied.
    pub marker: Option<String>,
}

/// Reads a stream's position; `None` before its first row is written.
pub async fn position(
    client: &impl GenericClient,
    stream: &str,
) -> Result<Option<StreamPosition>, JournalError> {
    let row = client
        .query_opt(
            "select slot, system_identifier, timeline, lsn, marker from cleave.position where stream = $1",
            &[&stream],
        )
        .await
        .during("read the position")?;
    let Some(row) = row else { return Ok(None) };
    let identifier: String = row.get(1);
    let system_identifier = identifier.parse().map_err(|_| JournalError::Inconsistent {
        what: format!("the position of {stream} has no system identifier"),
    })?;
    let timeline: i32 = row.get(2);
    Ok(Some(StreamPosition {
        slot: row.get(0),
        position: Position {
            system_identifier,
            timeline: timeline.unsigned_abs(),
            lsn: Lsn(row.get::<_, PgLsn>(3).into()),
        },
        marker: row.get(4),
    }))
}

/// Writes the first position of a slot, before streaming, in place of an earlier slot's.
pub async fn insert_position(
    client: &impl GenericClient,
    stream: &str,
    slot: &str,
    position: Position,
) -> Result<(), JournalError> {
    let timeline = i32::try_from(position.timeline).unwrap_or(i32::MAX);
    client
        .execute(
            "insert into cleave.position (stream, slot, system_identifier, timeline, lsn) values ($1, $2, $3, $4, $5)
             on conflict (stream) do update set slot = excluded.slot, system_identifier = excluded.system_identifier,
               timeline = excluded.timeline, lsn = excluded.lsn, marker = null, applied_at = pg_catalog.clock_timestamp()",
            &[&stream, &slot, &position.system_identifier.to_string(), &timeline, &PgLsn::from(position.lsn.0)],
        )
        .await
        .during("write the first position")?;
    Ok(())
}

/// Moves the position from `from` to `to` inside the transaction that applied what lies between. Fails if the row
/// is not at `from`: somebody else has applied, and this transaction must not commit.
pub async fn advance_position(
    transaction: &impl GenericClient,
    stream: &str,
    from: Lsn,
    to: Lsn,
    marker: Option<&str>,
) -> Result<(), JournalError> {
    advance_with(transaction, ADVANCE, stream, from, to, marker).await
}

pub(crate) const ADVANCE: &str = "
    update cleave.position set lsn = $3, marker = coalesce($4, marker), applied_at = pg_catalog.clock_timestamp()
    where stream = $1 and lsn = $2";

pub(crate) async fn advance_with(
    transaction: &impl GenericClient,
    statement: &(impl ToStatement + ?Sized + Sync + Send),
    stream: &str,
    from: Lsn,
    to: Lsn,
    marker: Option<&str>,
) -> Result<(), JournalError> {
    let changed = transaction
        .execute(statement, &[&stream, &PgLsn::from(from.0), &PgLsn::from(to.0), &marker])
        .await
        .during("advance the position")?;
    if changed == 1 {
        return Ok(());
    }
    Err(JournalError::Inconsistent {
        what: format!("the position of {stream} is not {from}: another applier has moved it"),
    })
}

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

/// Records a copied table in the transaction that filled it.
pub async fn record_copied(
    transaction: &impl GenericClient,
    stream: &str,
    copied: Copied,
) -> Result<(), JournalError> {
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    transaction
        .execute(
            "insert into cleave.copied (stream, source_oid, start, rows, bytes) values ($1, $2, $3, $4, $5)
             on conflict (stream, source_oid) do update set start = excluded.start, rows = excluded.rows, bytes = excluded.bytes",
            &[
                &stream,
                &copied.source_oid.0,
                &PgLsn::from(copied.start.0),
                &count(copied.rows),
                &count(copied.bytes),
            ],
        )
        .await
        .during("record the copied table")?;
    Ok(())
}

/// The tables of a stream whose copy is committed.
pub async fn copied_tables(client: &impl GenericClient, stream: &str) -> Result<Vec<Copied>, JournalError> {
    let rows = client
        .query("select source_oid, start, rows, bytes from cleave.copied where stream = $1", &[&stream])
        .await
        .during("read the copied tables")?;
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(rows
        .iter()
        .map(|row| Copied {
            source_oid: Oid(row.get(0)),
            start: Lsn(row.get::<_, PgLsn>(1).into()),
            rows: count(row.get(2)),
            bytes: count(row.get(3)),
        })
        .collect())
}

/// Forgets a stream: its position and its copied tables.
pub async fn delete_stream(client: &impl GenericClient, stream: &str) -> Result<(), JournalError> {
    client
        .execute("delete from cleave.position where stream = $1", &[&stream])
        .await
        .during("forget the position")?;
    client
        .execute("delete from cleave.copied where stream = $1", &[&stream])
        .await
        .during("forget the copied tables")?;
    Ok(())
}
