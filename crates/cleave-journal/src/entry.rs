//! The append-only record of every step taken.

use crate::{JournalError, Lease, error::During};
use cleave_model::ServiceName;
use serde_json::Value;
use std::time::SystemTime;
use tokio_postgres::GenericClient;

/// What happened to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryEvent {
    /// Work on it starts; what it changes may or may not be there.
    Begin,
    /// Its work is there.
    Done,
    /// Its work has been taken back.
    Undone,
    /// It gave up; what it changed has been taken back or will be found by its next run.
    Failed,
    /// Something worth knowing.
    Note,
}

impl EntryEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Failed => "failed",
            Self::Note => "note",
        }
    }

    fn parse(text: &str) -> Result<Self, JournalError> {
        Ok(match text {
            "begin" => Self::Begin,
            "done" => Self::Done,
            "undone" => Self::Undone,
            "failed" => Self::Failed,
            "note" => Self::Note,
            other => return Err(JournalError::Inconsistent { what: format!("journal event `{other}`") }),
        })
    }
}

/// A row of `cleave.journal`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Order of writing.
    pub id: i64,
    /// When, by the server's clock.
    pub at: SystemTime,
    /// Incarnation of the move.
    pub incarnation: i64,
    /// Lease epoch of the writer.
    pub lease_epoch: i64,
    /// Step name: `copy`, `cutover.switch`, ...
    pub step: String,
    /// What happened.
    pub event: EntryEvent,
    /// Facts without row values: names, counts, positions, milliseconds.
    pub detail: Value,
}

/// Appends an entry. In a transactional step the caller passes the step's own transaction.
pub async fn append(
    client: &impl GenericClient,
    lease: &Lease,
    service: &ServiceName,
    incarnation: i64,
    step: &str,
    event: EntryEvent,
    detail: &Value,
) -> Result<(), JournalError> {
    client
        .execute(
            "insert into cleave.journal (service, move, lease_epoch, step, event, detail) values ($1, $2, $3, $4, $5, $6)",
            &[&service.as_str(), &incarnation, &lease.epoch, &step, &event.as_str(), detail],
        )
        .await
        .during("write the journal")?;
    Ok(())
}

/// All entries of a service in order, all its moves.
pub async fn entries(client: &impl GenericClient, service: &ServiceName) -> Result<Vec<Entry>, JournalError> {
    let rows = client
        .query(
            "select id, at, move, lease_epoch, step, event, detail from cleave.journal where service = $1 order by id",
            &[&service.as_str()],
        )
        .await
        .during("read the journal")?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                id: row.get(0),
                at: row.get(1),
                incarnation: row.get(2),
                lease_epoch: row.get(3),
                step: row.get(4),
                event: EntryEvent::parse(row.get(5))?,
                detail: row.get(6),
            })
        })
        .collect()
}

/// What a move's journal comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Entries.
    pub entries: u64,
    /// Number of the last one, 0 if there is none.
    pub last_entry: i64,
    /// SHA-256 over all of them in order, in hexadecimal digits. The same on every version.
    pub hash: String,
}

/// Hashes the entries of a move, all or those up to one.
pub async fn digest(
    client: &impl GenericClient,
    service: &ServiceName,
    incarnation: i64,
    up_to: Option<i64>,
) -> Result<Digest, JournalError> {
    let row = client
        .query_one(
            "select pg_catalog.count(*), coalesce(pg_catalog.max(id), 0),
                    pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce(pg_catalog.string_agg(
                        pg_catalog.concat_ws('|', id, (extract(epoch from at) * 1000000)::bigint, lease_epoch, step,
                            event, detail), E'\\n' order by id), ''), 'UTF8')), 'hex')
             from cleave.journal where service = $1 and move = $2 and id <= coalesce($3, id)",
            &[&service.as_str(), &incarnation, &up_to],
        )
        .await
        .during("hash the journal")?;
    let entries: i64 = row.get(0);
    Ok(Digest { entries: entries.unsigned_abs(), last_entry: row.get(1), hash: row.get(2) })
}

/// True if the last `begin`, `done` or `undone` of a step in this move is `done`.
pub async fn step_is_done(
    client: &impl GenericClient,
    service: &ServiceName,
    incarnation: i64,
    step: &str,
) -> Result<bool, JournalError> {
    let row = client
        .query_opt(
            "select event from cleave.journal
             where service = $1 and move = $2 and step = $3 and event in ('begin', 'done', 'undone')
             order by id desc limit 1",
            &[&service.as_str(), &incarnation, &step],
        )
        .await
        .during("read the journal")?;
    Ok(row.is_some_and(|row| row.get::<_, String>(0) == "done"))
}
