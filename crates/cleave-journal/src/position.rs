//! What a stream has durably applied on its target.

use crate::{JournalError, error::During};
use cleave_model::{Lsn, Position, labels};
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

/// Takes a position over to a timeline that has all of the log before it. Fails if the row has moved meanwhile.
pub async fn change_timeline(
    transaction: &impl GenericClient,
    stream: &str,
    from: Position,
    timeline: u32,
) -> Result<(), JournalError> {
    let number = |timeline: u32| i32::try_from(timeline).unwrap_or(i32::MAX);
    let changed = transaction
        .execute(
            "update cleave.position set timeline = $2 where stream = $1 and timeline = $3 and lsn = $4",
            &[&stream, &number(timeline), &number(from.timeline), &PgLsn::from(from.lsn.0)],
        )
        .await
        .during("take the position to another timeline")?;
    if changed == 1 {
        return Ok(());
    }
    Err(JournalError::Inconsistent {
        what: format!("the position of {stream} is not {}: another applier has moved it", from.lsn),
    })
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

/// Forgets the position of a stream whose slot is to be made anew.
pub async fn delete_position(client: &impl GenericClient, stream: &str) -> Result<(), JournalError> {
    client
        .execute("delete from cleave.position where stream = $1", &[&stream])
        .await
        .during("forget the position")?;
    Ok(())
}

/// Forgets a stream: its position, its copied tables and those that were being copied, and its detached groups.
pub async fn delete_stream(client: &impl GenericClient, stream: &str) -> Result<(), JournalError> {
    delete_position(client, stream).await?;
    for part in labels::parts() {
        delete_position(client, &labels::part_of(stream, part)).await?;
    }
    for table in ["copied", "copying", "copied_range", "copied_row", "detached", "shape"] {
        client
            .execute(&format!("delete from cleave.{table} where stream = $1"), &[&stream])
            .await
            .during("forget the copied tables")?;
    }
    Ok(())
}
