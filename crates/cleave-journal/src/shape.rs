//! What a stream's tables looked like on the source where their rows were copied or last applied, and which changes of
//! their columns were made on the target.

use crate::{JournalError, error::During};
use cleave_model::Oid;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::{GenericClient, types::Json};

/// The columns of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The table on the source.
    pub source_oid: Oid,
    /// The highest number that a column of it has ever had.
    pub last_number: i16,
    /// `pg_class.relfilenode`: another one means that all rows were written anew.
    pub filenode: Oid,
    /// Its columns by their numbers; not those that are generated.
    pub columns: Vec<ShapeColumn>,
    /// What was done on the target, oldest first.
    pub followed: Vec<Followed>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapeColumn {
    /// `attnum`: it stays whatever the column is called, and is never given again.
    pub number: i16,
    /// Its name now, on both sides.
    pub name: String,
    /// `atttypid`.
    #[serde(rename = "type")]
    pub type_oid: u32,
    /// `atttypmod`.
    pub modifier: i32,
}

/// A change of the source's table that was made on the target too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// What was run on the target.
    pub statement: String,
    /// When, by the target's clock, as ISO 8601.
    pub at: String,
}

/// Records tables as they are in the snapshot that their rows are about to be read in. What was recorded before is
/// forgotten, as their rows are.
pub async fn record_shapes(
    transaction: &impl GenericClient,
    stream: &str,
    shapes: &[Shape],
) -> Result<(), JournalError> {
    for shape in shapes {
        transaction
            .execute(
                "insert into cleave.shape (stream, source_oid, last_number, filenode, columns) values ($1, $2, $3, $4, $5)
                 on conflict (stream, source_oid) do update set last_number = excluded.last_number,
                   filenode = excluded.filenode, columns = excluded.columns, followed = '[]'",
                &[
                    &stream,
                    &shape.source_oid.0,
                    &i32::from(shape.last_number),
                    &shape.filenode.0,
                    &Json(&shape.columns),
                ],
            )
            .await
            .during("record what the tables look like")?;
    }
    Ok(())
}

/// Records what a table looks like from here on, in the transaction that makes it so on the target by these statements.
pub async fn follow_shape(
    transaction: &impl GenericClient,
    stream: &str,
    shape: &Shape,
    statements: &[String],
) -> Result<(), JournalError> {
    transaction
        .execute(
            "update cleave.shape set last_number = $3, filenode = $4, columns = $5,
               followed = followed || (
                 select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('statement', s, 'at',
                   pg_catalog.to_char(pg_catalog.clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) order by n), '[]')
                 from pg_catalog.jsonb_array_elements_text($6) with ordinality u(s, n))
             where stream = $1 and source_oid = $2",
            &[
                &stream,
                &shape.source_oid.0,
                &i32::from(shape.last_number),
                &shape.filenode.0,
                &Json(&shape.columns),
                &json!(statements),
            ],
        )
        .await
        .during("record what a table looks like")?;
    Ok(())
}

/// The tables of a stream, as far as they were recorded: streams of earlier versions have none.
pub async fn shapes(client: &impl GenericClient, stream: &str) -> Result<Vec<Shape>, JournalError> {
    let rows = client
        .query(
            "select source_oid, last_number, filenode, columns, followed from cleave.shape
             where stream = $1 order by source_oid",
            &[&stream],
        )
        .await
        .during("read what the tables look like")?;
    let shape = |row: &tokio_postgres::Row| {
        let damaged = |error: tokio_postgres::Error| JournalError::Inconsistent {
            what: format!("cleave.shape: {error}"),
        };
        let columns: Json<Vec<ShapeColumn>> = row.try_get(3).map_err(damaged)?;
        let followed: Json<Vec<Followed>> = row.try_get(4).map_err(damaged)?;
        Ok(Shape {
            source_oid: Oid(row.get(0)),
            last_number: i16::try_from(row.get::<_, i32>(1)).unwrap_or(i16::MAX),
            filenode: Oid(row.get(2)),
            columns: columns.0,
            followed: followed.0,
        })
    };
    rows.iter().map(shape).collect()
}
