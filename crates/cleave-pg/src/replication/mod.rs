//! The replication connection (manual 55.4, "Streaming Replication Protocol"), which the driver does not have.
//!
//! - [`wire`]: frames; [`authentication`]: the start of a session; [`stream`]: what flows after `START_REPLICATION`.
//! - This file: commands and their answers.

mod authentication;
mod stream;
mod wire;

pub use stream::{ReplicationReader, ReplicationStream, ReplicationWriter};

use crate::{
    Endpoint, PgError, ServerError,
    session::startup_options,
    transport::{self, Startup, Stream, Target, within},
};
use bytes::BytesMut;
use cleave_model::{Lsn, quote_ident};
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::{
    backend::{DataRowBody, Message},
    frontend,
};
use std::{fmt, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    time::timeout,
};
use wire::{Frame, FrameReader};

/// Limit for a cancel request, and for the server's answer to it.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);
/// First version with `transaction_timeout`.
const TRANSACTION_TIMEOUT_SINCE: u32 = 17;

/// Answer of `IDENTIFY_SYSTEM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemIdentity {
    /// Identifies the cluster.
    pub system_identifier: u64,
    /// Timeline in use.
    pub timeline: u32,
    /// End of the flushed log.
    pub lsn: Lsn,
    /// The database that this connection is bound to.
    pub dbname: String,
}

/// Answer of `CREATE_REPLICATION_SLOT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotCreated {
    /// Every transaction that commits after it is delivered; everything before it is in the snapshot.
    pub consistent_point: Lsn,
    /// Name for `set transaction snapshot`, valid until this connection's next command or end.
    pub snapshot: Option<String>,
}

/// How long a slot lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotLifetime {
    /// Until it is dropped.
    Permanent,
    /// The same, and standbys that synchronize slots keep a copy of it, to be read after their promotion. From 17 on.
    Failover,
    /// Until this connection ends.
    Temporary,
}

/// What becomes of the snapshot at the slot's consistent point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotSnapshot {
    /// Exported for other sessions.
    Export,
    /// Not needed.
    Discard,
}

/// A connection in replication mode, bound to the endpoint's database, that waits for commands.
pub struct ReplicationSession {
    reader: FrameReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
    target: Target,
    key: BackendKey,
    encrypted: bool,
    answer: Answer,
    /// True from sending a command to the end of its answer: a future dropped in between leaves the connection
    /// unusable.
    busy: bool,
}

/// `BackendKeyData`.
#[derive(Clone, Copy, Default)]
struct BackendKey {
    pid: i32,
    secret: i32,
}

/// Opens a replication connection with `replication=database`; `application_name` becomes `cleave <purpose>`. The
/// settings that change how values read as text are pinned, as the output plugin prints values with them.
///
/// # Errors
/// Every kind of [`PgError`] that concerns connecting.
pub async fn connect_replication(endpoint: &Endpoint, purpose: &str) -> Result<ReplicationSession, PgError> {
    transport::connect(endpoint, &ReplicationStartup { purpose }).await
}

struct ReplicationStartup<'a> {
    purpose: &'a str,
}

impl Startup for ReplicationStartup<'_> {
    type Session = ReplicationSession;

    async fn start(&self, stream: Stream, target: &Target) -> Result<ReplicationSession, PgError> {
        let encrypted = stream.is_encrypted();
        let binding = stream.channel_binding().map(<[u8]>::to_vec);
        let (reader, mut writer) = tokio::io::split(stream);
        let mut reader = FrameReader::new(reader);
        let endpoint = &target.endpoint;
        let options = startup_options(endpoint.config.get_options());
        let application_name = format!("cleave {}", self.purpose);
        let parameters = [
            ("client_encoding", "UTF8"),
            ("user", endpoint.user()),
            ("database", endpoint.dbname()),
            ("replication", "database"),
            ("application_name", &application_name),
            ("options", &options),
        ];
        let what = format!("connecting to {}", target.server);
        let mut message = BytesMut::new();
        frontend::startup_message(parameters, &mut message)
            .map_err(|error| PgError::protocol(&what, error.to_string()))?;
        writer.write_all(&message).await.map_err(|error| PgError::lost(&what, error.to_string()))?;
        authentication::authenticate(&mut reader, &mut writer, target, binding).await?;
        let ready = authentication::wait_until_ready(&mut reader, target).await?;
        let target = target.clone();
        let mut session = ReplicationSession {
            reader,
            writer,
            target,
            key: ready.key,
            encrypted,
            answer: Answer::default(),
            busy: false,
        };
        if ready.major_version >= TRANSACTION_TIMEOUT_SINCE {
            // Would end the transaction that keeps an exported snapshot alive. Older servers refuse it at startup.
            session.command("set transaction_timeout = 0", &what).await?;
        }
        if let Some(writable) = session.target.endpoint.wants_writable() {
            let row = session.one_row("select pg_catalog.pg_is_in_recovery()", &what).await?;
            let in_recovery = row.first().cloned().flatten().as_deref() == Some("t");
            if in_recovery == writable {
                return Err(PgError::other_kind(what));
            }
        }
        Ok(session)
    }
}

impl ReplicationSession {
    /// The walsender's process at the server.
    pub fn backend_pid(&self) -> i32 {
        self.key.pid
    }

    /// True if the connection goes over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// `IDENTIFY_SYSTEM`.
    ///
    /// # Errors
    /// The connection is lost, or the answer is not as the manual says.
    pub async fn identify_system(&mut self) -> Result<SystemIdentity, PgError> {
        let what = "identifying the system";
        let row = self.one_row("IDENTIFY_SYSTEM", what).await?;
        let text = |at: usize| row.get(at).cloned().flatten();
        let parsed = || {
            Some(SystemIdentity {
                system_identifier: text(0)?.parse().ok()?,
                timeline: text(1)?.parse().ok()?,
                lsn: text(2)?.parse().ok()?,
                dbname: text(3)?,
            })
        };
        parsed().ok_or_else(|| PgError::protocol(what, "a column is missing or not as documented"))
    }

    /// `TIMELINE_HISTORY`: the timelines that this one comes from, each with the position at which it was left.
    ///
    /// # Errors
    /// The server does not have the file, or it is not as the manual says.
    pub async fn timeline_history(&mut self, timeline: u32) -> Result<Vec<(u32, Lsn)>, PgError> {
        let what = format!("reading the history of timeline {timeline}");
        let row = self.one_row(&format!("TIMELINE_HISTORY {timeline}"), &what).await?;
        let text = row.get(1).cloned().flatten().unwrap_or_default();
        timelines(&text).ok_or_else(|| PgError::protocol(&what, "it is not as documented"))
    }

    /// `CREATE_REPLICATION_SLOT name [TEMPORARY] LOGICAL pgoutput`. The server waits for every transaction that has
    /// an id, in any database, and for those that get one while it waits; past `limit` the command is cancelled and
    /// leaves no slot.
    ///
    /// # Errors
    /// [`PgError::SlotNotReady`] past the limit; no slot is free (53400), the name is taken (42710), `wal_level` (55000).
    pub async fn create_slot(
        &mut self,
        name: &str,
        lifetime: SlotLifetime,
        snapshot: SlotSnapshot,
        limit: Duration,
    ) -> Result<SlotCreated, PgError> {
        let what = format!("creating the slot {name}");
        let temporary = if lifetime == SlotLifetime::Temporary { " TEMPORARY" } else { "" };
        let export = if snapshot == SlotSnapshot::Export { "EXPORT_SNAPSHOT" } else { "NOEXPORT_SNAPSHOT" };
        let quoted = quote_ident(name);
        let sql = if lifetime == SlotLifetime::Failover {
            let snapshot = if snapshot == SlotSnapshot::Export { "export" } else { "nothing" };
            format!(
                "CREATE_REPLICATION_SLOT {quoted} LOGICAL pgoutput (SNAPSHOT '{snapshot}', FAILOVER true)"
            )
        } else {
            // The syntax of 14, which 15 to 18 still take.
            format!("CREATE_REPLICATION_SLOT {quoted}{temporary} LOGICAL pgoutput {export}")
        };
        let row = match self.one_row_within(&sql, &what, limit).await {
            Err(error) if error.is_canceled() => return Err(PgError::slot_not_ready(name, limit)),
            done => done?,
        };
        let text = |at: usize| row.get(at).cloned().flatten();
        let consistent_point = text(1).and_then(|lsn| lsn.parse().ok());
        let consistent_point =
            consistent_point.ok_or_else(|| PgError::protocol(&what, "the consistent point is missing"))?;
        Ok(SlotCreated { consistent_point, snapshot: text(2).filter(|snapshot| !snapshot.is_empty()) })
    }

    /// `DROP_REPLICATION_SLOT name WAIT`: waits until nobody uses it.
    ///
    /// # Errors
    /// There is no such slot (42704).
    pub async fn drop_slot(&mut self, name: &str) -> Result<(), PgError> {
        let sql = format!("DROP_REPLICATION_SLOT {} WAIT", quote_ident(name));
        self.command(&sql, &format!("dropping the slot {name}")).await.map(drop)
    }

    /// `START_REPLICATION SLOT name LOGICAL lsn (options)`. The server starts at the later of `start` and the slot's
    /// confirmed position.
    ///
    /// # Errors
    /// No such slot, the slot is in use (55006), an option or publication is unknown.
    pub async fn start_replication(
        mut self,
        slot: &str,
        start: Lsn,
        options: &[(&str, &str)],
    ) -> Result<ReplicationStream, PgError> {
        let what = format!("starting to read the slot {slot}");
        let mut sql = format!("START_REPLICATION SLOT {} LOGICAL {start}", quote_ident(slot));
        if !options.is_empty() {
            let options: Vec<String> = options
                .iter()
                .map(|(name, value)| format!("{} {}", quote_ident(name), literal(value)))
                .collect();
            sql.push_str(&format!(" ({})", options.join(", ")));
        }
        self.send(&sql, &what).await?;
        loop {
            match self.receive(&what).await? {
                Frame::CopyBoth => break,
                Frame::Message(Message::ErrorResponse(body)) => {
                    return Err(PgError::from_server(&what, ServerError::from_fields(body.fields())));
                }
                Frame::Message(Message::NoticeResponse(_) | Message::ParameterStatus(_)) => {}
                Frame::Message(_) | Frame::CopyData(_) => return Err(unexpected(&what)),
            }
        }
        Ok(ReplicationStream::new(self.reader, self.writer, slot, self.key.pid))
    }

    /// Asks the server to stop the command that is running.
    async fn cancel(&self) -> Result<(), PgError> {
        let what = format!("sending a cancel request to {}", self.target.server);
        within(CANCEL_LIMIT, &what, async {
            let mut stream = self.target.open().await?;
            let mut message = BytesMut::new();
            frontend::cancel_request(self.key.pid, self.key.secret, &mut message);
            let sent = async {
                stream.write_all(&message).await?;
                stream.shutdown().await?;
                // The server closes when it has sent its last signal; one that came late would end the next command.
                let mut rest = [0; 64];
                while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
                Ok::<_, std::io::Error>(())
            };
            sent.await.map_err(|error| PgError::lost(&what, error.to_string()))
        })
        .await
    }

    async fn one_row(&mut self, sql: &str, what: &str) -> Result<Vec<Option<String>>, PgError> {
        first_row(self.command(sql, what).await?, what)
    }

    /// Cancels the command past the limit: it then fails with 57014, unless it was done at that very moment.
    async fn one_row_within(
        &mut self,
        sql: &str,
        what: &str,
        limit: Duration,
    ) -> Result<Vec<Option<String>>, PgError> {
        self.send(sql, what).await?;
        let rows = match timeout(limit, self.answer(what)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.cancel().await?;
                within(CANCEL_LIMIT, what, self.answer(what)).await
            }
        };
        first_row(rows?, what)
    }

    async fn command(&mut self, sql: &str, what: &str) -> Result<Vec<Vec<Option<String>>>, PgError> {
        self.send(sql, what).await?;
        self.answer(what).await
    }

    async fn send(&mut self, sql: &str, what: &str) -> Result<(), PgError> {
        if std::mem::replace(&mut self.busy, true) {
            return Err(PgError::protocol(what, "an earlier command on this connection was abandoned"));
        }
        let mut message = BytesMut::new();
        frontend::query(sql, &mut message).map_err(|error| PgError::protocol(what, error.to_string()))?;
        let sent = async {
            self.writer.write_all(&message).await?;
            self.writer.flush().await
        };
        sent.await.map_err(|error| PgError::lost(what, error.to_string()))
    }

    async fn receive(&mut self, what: &str) -> Result<Frame, PgError> {
        self.reader.next(what).await?.ok_or_else(|| PgError::lost(what, "the server closed the connection"))
    }

    /// Reads to `ReadyForQuery`. Broken off and called again, it goes on with what it has.
    async fn answer(&mut self, what: &str) -> Result<Vec<Vec<Option<String>>>, PgError> {
        loop {
            match self.receive(what).await? {
                Frame::Message(Message::DataRow(body)) => self.answer.rows.push(columns(&body, what)?),
                Frame::Message(Message::ErrorResponse(body)) => {
                    let error = ServerError::from_fields(body.fields());
                    let ends_session = error.ends_session();
                    let failure = PgError::from_server(what, error);
                    if ends_session {
                        return Err(failure);
                    }
                    self.answer.failure = Some(failure);
                }
                Frame::Message(Message::ReadyForQuery(_)) => {
                    self.busy = false;
                    let Answer { rows, failure } = std::mem::take(&mut self.answer);
                    return failure.map_or(Ok(rows), Err);
                }
                Frame::Message(
                    Message::RowDescription(_)
                    | Message::CommandComplete(_)
                    | Message::EmptyQueryResponse
                    | Message::NoticeResponse(_)
                    | Message::ParameterStatus(_),
                ) => {}
                Frame::Message(_) | Frame::CopyBoth | Frame::CopyData(_) => return Err(unexpected(what)),
            }
        }
    }
}

/// What has come of an answer so far.
#[derive(Default)]
struct Answer {
    rows: Vec<Vec<Option<String>>>,
    failure: Option<PgError>,
}

impl fmt::Debug for ReplicationSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = &self.target.endpoint;
        f.debug_struct("ReplicationSession").field("endpoint", endpoint).field("pid", &self.key.pid).finish()
    }
}

fn first_row(rows: Vec<Vec<Option<String>>>, what: &str) -> Result<Vec<Option<String>>, PgError> {
    rows.into_iter().next().ok_or_else(|| PgError::protocol(what, "the answer has no row"))
}

fn unexpected(what: &str) -> PgError {
    PgError::protocol(what, "a message that has no place there")
}

fn columns(body: &DataRowBody, what: &str) -> Result<Vec<Option<String>>, PgError> {
    let text = |range: Option<std::ops::Range<usize>>| {
        Ok(range.map(|range| String::from_utf8_lossy(&body.buffer()[range]).into_owned()))
    };
    body.ranges().map(text).collect().map_err(|error| PgError::protocol(what, error.to_string()))
}

/// A string constant of the replication grammar: it has no escape but the doubled quote.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The lines of a history file: a timeline, where it was left, why (`timeline.c`, `readTimeLineHistory`).
fn timelines(history: &str) -> Option<Vec<(u32, Lsn)>> {
    let lines = history.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_file_names_each_timeline_and_where_it_was_left() {
        let text = "1\t0/3000148\tno recovery target specified\n\n# by hand\n2\t1/A0\tbefore 2026-11-01\n";
        assert_eq!(timelines(text), Some(vec![(1, Lsn(0x300_0148)), (2, Lsn(0x1_0000_00A0))]));
        assert_eq!(timelines(""), Some(Vec::new()));
        assert_eq!(timelines("1\tnowhere\n"), None);
    }
}
