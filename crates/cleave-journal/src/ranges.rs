//! Giants: which ranges of their keys there are, which are copied, and where each starts in its stream.

use crate::{Copied, Copying, JournalError, begin_chunks, copied::record_copied, error::During};
use cleave_model::{Lsn, Oid};
use tokio_postgres::{GenericClient, Row, types::PgLsn};

/// How a giant is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// OID on the source.
    pub source_oid: Oid,
    /// OID on the target: a table made anew under the same name holds none of our rows.
    pub target_oid: Oid,
    /// The column on the source whose values are in ranges.
    pub key_column: String,
    /// Its type, as [`RangeType::as_str`](cleave_model::RangeType::as_str) has it.
    pub key_type: String,
}

/// Values from the one up to, not including, the other, as text; open where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The first value.
    pub lower: Option<String>,
    /// The first that is not in it any more.
    pub upper: Option<String>,
}

/// A range of a giant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Of which giant.
    pub division: Division,
    /// Its number, in the order of keys.
    pub number: u32,
    /// What is in it.
    pub ends: Ends,
    /// Consistent point of the snapshot that it was read in; none while it is not copied.
    pub start: Option<Lsn>,
    /// Rows copied.
    pub rows: u64,
    /// Bytes copied.
    pub bytes: u64,
}

/// A row of a giant that was read by itself: changes of its key that its snapshot has seen are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedRow {
    /// OID of the giant on the source.
    pub source_oid: Oid,
    /// The key, in the stream's own form.
    pub key: Vec<u8>,
    /// Where the log ended when it was read: the snapshot sees nothing that committed there or behind.
    pub start: Lsn,
    /// `pg_current_snapshot()`.
    pub seen: String,
}

fn to_bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Says into which ranges a giant is divided, in the transaction that has found or made it empty. What was said of it
/// before is forgotten.
pub async fn begin_ranges(
    transaction: &impl GenericClient,
    stream: &str,
    division: &Division,
    ranges: &[Ends],
) -> Result<(), JournalError> {
    let what = "record the ranges of a giant";
    let Division { source_oid, target_oid, key_column, key_type } = division;
    let sql = "delete from cleave.copied_range where stream = $1 and source_oid = $2";
    transaction.execute(sql, &[&stream, &source_oid.0]).await.during(what)?;
    let lower: Vec<&Option<String>> = ranges.iter().map(|ends| &ends.lower).collect();
    let upper: Vec<&Option<String>> = ranges.iter().map(|ends| &ends.upper).collect();
    transaction
        .execute(
            "insert into cleave.copied_range
               (stream, source_oid, number, target_oid, key_column, key_type, lower_end, upper_end)
             select $1, $2, (at - 1)::integer, $3, $4, $5, l, u
             from rows from (pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[])) with ordinality x (l, u, at)",
            &[&stream, &source_oid.0, &target_oid.0, key_column, key_type, &lower, &upper],
        )
        .await
        .during(what)?;
    let copying = Copying {
        source_oid: *source_oid,
        target_oid: *target_oid,
        start: Lsn(0),
        chunks_left: u32::try_from(ranges.len()).unwrap_or(u32::MAX),
    };
    begin_chunks(transaction, stream, copying).await
}

/// Records a copied range in the transaction that brings its rows, as its last statements: the giant's count is locked
/// until its end. With the last range the table is recorded as copied from the latest start on, and its record is returned.
///
/// # Errors
/// [`JournalError::Inconsistent`] if the range is copied already, or is none any more: this transaction must not commit.
pub async fn finish_range(
    transaction: &impl GenericClient,
    stream: &str,
    number: u32,
    range: Copied,
) -> Result<Option<Copied>, JournalError> {
    let what = "record a copied range";
    let Copied { source_oid, start, rows, bytes } = range;
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    let recorded = transaction
        .execute(
            "update cleave.copied_range set start = $4, rows = $5, bytes = $6
             where stream = $1 and source_oid = $2 and number = $3 and start is null",
            &[&stream, &source_oid.0, &number, &PgLsn::from(start.0), &to_bigint(rows), &to_bigint(bytes)],
        )
        .await
        .during(what)?;
    let counted = transaction
        .query_opt(
            "update cleave.copying set chunks_left = chunks_left - 1
             where stream = $1 and source_oid = $2 and chunks_left > 0 returning chunks_left",
            &[&stream, &source_oid.0],
        )
        .await
        .during(what)?;
    let (1, Some(counted)) = (recorded, counted) else {
        let what = format!("range {number} of a table of {stream} is not to be copied any more");
        return Err(JournalError::Inconsistent { what });
    };
    if counted.get::<_, i64>(0) > 0 {
        return Ok(None);
    }
    let row = transaction
        .query_one(
            "select pg_catalog.max(start), pg_catalog.sum(rows)::bigint, pg_catalog.sum(bytes)::bigint
             from cleave.copied_range where stream = $1 and source_oid = $2",
            &[&stream, &source_oid.0],
        )
        .await
        .during(what)?;
    let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    let start = Lsn(row.get::<_, PgLsn>(0).into());
    let copied = Copied { source_oid, start, rows: count(1), bytes: count(2) };
    record_copied(transaction, stream, copied).await?;
    Ok(Some(copied))
}

/// The ranges of a stream's giants, each giant's in their order.
pub async fn key_ranges(client: &impl GenericClient, stream: &str) -> Result<Vec<KeyRange>, JournalError> {
    let rows = client
        .query(
            "select source_oid, number, target_oid, key_column, key_type, lower_end, upper_end, start, rows, bytes
             from cleave.copied_range where stream = $1 order by source_oid, number",
            &[&stream],
        )
        .await
        .during("read the ranges of giants")?;
    let range = |row: &Row| KeyRange {
        division: Division {
            source_oid: Oid(row.get(0)),
            target_oid: Oid(row.get(2)),
            key_column: row.get(3),
            key_type: row.get(4),
        },
        number: u32::try_from(row.get::<_, i32>(1)).unwrap_or(0),
        ends: Ends { lower: row.get(5), upper: row.get(6) },
        start: row.get::<_, Option<PgLsn>>(7).map(|start| Lsn(start.into())),
        rows: u64::try_from(row.get::<_, i64>(8)).unwrap_or(0),
        bytes: u64::try_from(row.get::<_, i64>(9)).unwrap_or(0),
    };
    Ok(rows.iter().map(range).collect())
}

/// True if a table, or a range of one, is copied: a new slot of the stream would begin behind changes of it.
pub async fn is_partly_copied(client: &impl GenericClient, stream: &str) -> Result<bool, JournalError> {
    let sql = "select exists (select from cleave.copied where stream = $1)
                   or exists (select from cleave.copied_range where stream = $1 and start is not null)";
    Ok(client.query_one(sql, &[&stream]).await.during("look for copied tables")?.get(0))
}

/// Rows of a stream's giants that were read by themselves and that the position has not passed.
pub async fn copied_rows(
    client: &impl GenericClient,
    stream: &str,
    position: Lsn,
) -> Result<Vec<CopiedRow>, JournalError> {
    let rows = client
        .query(
            "select source_oid, key, start, seen from cleave.copied_row where stream = $1 and start > $2",
            &[&stream, &PgLsn::from(position.0)],
        )
        .await
        .during("read the rows of giants that were read by themselves")?;
    let copied = |row: &Row| CopiedRow {
        source_oid: Oid(row.get(0)),
        key: row.get(1),
        start: Lsn(row.get::<_, PgLsn>(2).into()),
        seen: row.get(3),
    };
    Ok(rows.iter().map(copied).collect())
}

/// Records rows that were read by themselves, in the transaction that brings them and that moves the position to
/// `position`. Their table has the last of their start positions from then on, if its own is earlier.
pub async fn record_rows(
    transaction: &impl GenericClient,
    stream: &str,
    rows: &[CopiedRow],
    position: Lsn,
) -> Result<(), JournalError> {
    let what = "record rows that were read by themselves";
    let oids: Vec<u32> = rows.iter().map(|row| row.source_oid.0).collect();
    let keys: Vec<&[u8]> = rows.iter().map(|row| row.key.as_slice()).collect();
    let starts: Vec<PgLsn> = rows.iter().map(|row| PgLsn::from(row.start.0)).collect();
    let seen: Vec<&str> = rows.iter().map(|row| row.seen.as_str()).collect();
    // Of other tables, another stream may not have come as far.
    let passed = "delete from cleave.copied_row where stream = $1 and start <= $2 and source_oid = any($3)";
    transaction.execute(passed, &[&stream, &PgLsn::from(position.0), &oids]).await.during(what)?;
    transaction
        .execute(
            "insert into cleave.copied_row (stream, source_oid, key, start, seen)
             select distinct on (o, k) $1, o, k, s, v
             from rows from (pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::bytea[]), pg_catalog.unnest($4::pg_lsn[]),
                             pg_catalog.unnest($5::text[])) with ordinality x (o, k, s, v, at) order by o, k, at desc
             on conflict (stream, source_oid, key) do update set start = excluded.start, seen = excluded.seen",
            &[&stream, &oids, &keys, &starts, &seen],
        )
        .await
        .during(what)?;
    transaction
        .execute(
            "update cleave.copied c set start = greatest(c.start, x.s)
             from (select o, pg_catalog.max(s) as s
                   from rows from (pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::pg_lsn[])) u (o, s) group by o) x
             where c.stream = $1 and c.source_oid = x.o",
            &[&stream, &oids, &starts],
        )
        .await
        .during(what)?;
    Ok(())
}
