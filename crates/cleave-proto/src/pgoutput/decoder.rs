//! Bytes of one message to a [`Message`].

use super::message::{
    Aborted, Begin, Cell, Change, Commit, CommitPrepared, Decoded, LogicalMessage, Message, OldTuple, Origin,
    Prepared, Relation, RelationColumn, ReplicaIdentity, RollbackPrepared, StreamAbort, StreamCommit,
    StreamStart, Truncate, Tuple, TypeName, Xid,
};
use crate::{DecodeError, DecodeProblem, reader::Reader};
use bytes::Bytes;
use cleave_model::{Ident, QualifiedName};

/// The plugin's option `proto_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// Whole transactions only.
    V1,
    /// Also transactions in progress (14+).
    V2,
    /// Also prepared transactions, before they commit (15+).
    V3,
    /// Also where and when a transaction in progress was rolled back (16+). To be asked for together with the option
    /// `streaming` = `parallel`, without which the server leaves that out.
    V4,
}

impl ProtocolVersion {
    /// The number to ask the server for.
    pub fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

/// Reads the messages of one replication connection, in the order they come.
///
/// After an error the connection must be given up: what the following bytes mean may depend on the message that
/// could not be read.
#[derive(Clone, Debug)]
pub struct Decoder {
    version: ProtocolVersion,
    in_stream: bool,
}

impl Decoder {
    /// A decoder for a new connection that was started with this version.
    pub fn new(version: ProtocolVersion) -> Self {
        Self { version, in_stream: false }
    }

    /// A decoder of what was kept from the inside of stream blocks.
    pub fn inside_block(version: ProtocolVersion) -> Self {
        Self { version, in_stream: true }
    }

    /// Reads one message: the whole of one `XLogData`, or of one row of `pg_logical_slot_get_binary_changes`.
    ///
    /// # Errors
    /// Any byte that the manual does not allow there, trailing bytes included.
    pub fn decode(&mut self, data: Bytes) -> Result<Decoded, DecodeError> {
        let mut reader = Reader::new("pgoutput message", data);
        let tag = reader.u8()?;
        let Some((name, since)) = name_of(tag) else {
            let problem = DecodeProblem::UnknownMessage { tag };
            return Err(DecodeError { message: "pgoutput message", offset: 0, problem });
        };
        reader.set_message(name);
        if since > self.version {
            let problem = DecodeProblem::NotInVersion { version: self.version.number() };
            return Err(DecodeError { message: name, offset: 0, problem });
        }
        let carries_xid = matches!(tag, b'R' | b'Y' | b'I' | b'U' | b'D' | b'T' | b'M');
        let stream_xid = if self.in_stream && carries_xid { Some(xid(&mut reader)?) } else { None };
        let in_stream = match tag {
            b'S' if !self.in_stream => true,
            b'E' if self.in_stream => false,
            b'S' | b'E' => {
                return Err(DecodeError { message: name, offset: 0, problem: DecodeProblem::StreamNesting });
            }
            _ => self.in_stream,
        };
        let message = body(tag, self.version, &mut reader)?;
        reader.finish()?;
        self.in_stream = in_stream;
        Ok(Decoded { stream_xid, message })
    }
}

/// The manual's name of a message, and the first version that has it.
fn name_of(tag: u8) -> Option<(&'static str, ProtocolVersion)> {
    let (name, since) = match tag {
        b'B' => ("Begin", ProtocolVersion::V1),
        b'C' => ("Commit", ProtocolVersion::V1),
        b'O' => ("Origin", ProtocolVersion::V1),
        b'R' => ("Relation", ProtocolVersion::V1),
        b'Y' => ("Type", ProtocolVersion::V1),
        b'I' => ("Insert", ProtocolVersion::V1),
        b'U' => ("Update", ProtocolVersion::V1),
        b'D' => ("Delete", ProtocolVersion::V1),
        b'T' => ("Truncate", ProtocolVersion::V1),
        b'M' => ("Message", ProtocolVersion::V1),
        b'S' => ("Stream Start", ProtocolVersion::V2),
        b'E' => ("Stream Stop", ProtocolVersion::V2),
        b'c' => ("Stream Commit", ProtocolVersion::V2),
        b'A' => ("Stream Abort", ProtocolVersion::V2),
        b'b' => ("Begin Prepare", ProtocolVersion::V3),
        b'P' => ("Prepare", ProtocolVersion::V3),
        b'p' => ("Stream Prepare", ProtocolVersion::V3),
        b'K' => ("Commit Prepared", ProtocolVersion::V3),
        b'r' => ("Rollback Prepared", ProtocolVersion::V3),
        _ => return None,
    };
    Some((name, since))
}

/// Everything after the tag and the stream's xid.
fn body(tag: u8, version: ProtocolVersion, reader: &mut Reader) -> Result<Message, DecodeError> {
    Ok(match tag {
        b'B' => Message::Begin(begin(reader)?),
        b'C' => Message::Commit(commit(reader)?),
        b'O' => Message::Origin(Origin { commit_lsn: reader.lsn()?, name: reader.text()? }),
        b'R' => Message::Relation(relation(reader)?),
        b'Y' => Message::Type(TypeName { oid: reader.oid()?, name: qualified_name(reader)? }),
        b'I' => Message::Change { relation: reader.oid()?, change: insert(reader)? },
        b'U' => Message::Change { relation: reader.oid()?, change: update(reader)? },
        b'D' => Message::Change { relation: reader.oid()?, change: delete(reader)? },
        b'T' => Message::Truncate(truncate(reader)?),
        b'M' => Message::Logical(logical(reader)?),
        b'S' => Message::StreamStart(StreamStart {
            xid: xid(reader)?,
            first_segment: reader.bool("first segment")?,
        }),
        b'E' => Message::StreamStop,
        b'c' => Message::StreamCommit(StreamCommit { xid: xid(reader)?, commit: commit(reader)? }),
        b'A' => Message::StreamAbort(stream_abort(version, reader)?),
        b'b' => Message::BeginPrepare(prepared(reader)?),
        b'P' => {
            reader.flags("prepare flags", 0)?;
            Message::Prepare(prepared(reader)?)
        }
        b'p' => {
            reader.flags("prepare flags", 0)?;
            Message::StreamPrepare(prepared(reader)?)
        }
        b'K' => Message::CommitPrepared(CommitPrepared {
            commit: commit(reader)?,
            xid: xid(reader)?,
            gid: reader.text()?,
        }),
        b'r' => Message::RollbackPrepared(rollback_prepared(reader)?),
        tag => return Err(reader.error(DecodeProblem::UnknownMessage { tag })),
    })
}

/// A transaction id that the manual never leaves unset.
fn xid(reader: &mut Reader) -> Result<Xid, DecodeError> {
    Ok(Xid(reader.set_u32("transaction id")?))
}

fn begin(reader: &mut Reader) -> Result<Begin, DecodeError> {
    Ok(Begin { final_lsn: reader.set_lsn("final LSN")?, commit_time: reader.timestamp()?, xid: xid(reader)? })
}

/// What Commit and Stream Commit share.
fn commit(reader: &mut Reader) -> Result<Commit, DecodeError> {
    reader.flags("commit flags", 0)?;
    Ok(Commit {
        commit_lsn: reader.set_lsn("commit LSN")?,
        end_lsn: reader.set_lsn("end LSN")?,
        commit_time: reader.timestamp()?,
    })
}

fn stream_abort(version: ProtocolVersion, reader: &mut Reader) -> Result<StreamAbort, DecodeError> {
    let (xid, subxid) = (xid(reader)?, xid(reader)?);
    let aborted = if version >= ProtocolVersion::V4 {
        Some(Aborted { lsn: reader.lsn()?, time: reader.timestamp()? })
    } else {
        None
    };
    Ok(StreamAbort { xid, subxid, aborted })
}

/// What the messages of a prepared transaction share.
fn prepared(reader: &mut Reader) -> Result<Prepared, DecodeError> {
    Ok(Prepared {
        prepare_lsn: reader.set_lsn("prepare LSN")?,
        end_lsn: reader.set_lsn("end LSN")?,
        prepare_time: reader.timestamp()?,
        xid: xid(reader)?,
        gid: reader.text()?,
    })
}

fn rollback_prepared(reader: &mut Reader) -> Result<RollbackPrepared, DecodeError> {
    reader.flags("rollback flags", 0)?;
    Ok(RollbackPrepared {
        prepare_end_lsn: reader.set_lsn("end LSN of the prepared transaction")?,
        rollback_end_lsn: reader.set_lsn("end LSN of the rollback")?,
        prepare_time: reader.timestamp()?,
        rollback_time: reader.timestamp()?,
        xid: xid(reader)?,
        gid: reader.text()?,
    })
}

/// Schema and name; the plugin shortens `pg_catalog` to nothing.
fn qualified_name(reader: &mut Reader) -> Result<QualifiedName, DecodeError> {
    let (schema, name) = (reader.text()?, reader.text()?);
    let schema = if schema.is_empty() { Ident::from("pg_catalog") } else { Ident::new(schema) };
    Ok(QualifiedName::new(schema, name))
}

fn relation(reader: &mut Reader) -> Result<Relation, DecodeError> {
    /// Flags, an empty name's zero byte, type, modifier.
    const COLUMN_BYTES_MIN: usize = 1 + 1 + 4 + 4;
    let oid = reader.oid()?;
    let name = qualified_name(reader)?;
    let replica_identity = match reader.u8()? {
        b'd' => ReplicaIdentity::Default,
        b'n' => ReplicaIdentity::Nothing,
        b'f' => ReplicaIdentity::Full,
        b'i' => ReplicaIdentity::Index,
        other => return Err(reader.unknown_value("replica identity", other)),
    };
    let count = usize::from(reader.u16()?);
    reader.check_count("columns", count, COLUMN_BYTES_MIN)?;
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        columns.push(RelationColumn {
            key: reader.bool("column flags")?,
            name: Ident::new(reader.text()?),
            type_oid: reader.oid()?,
            type_modifier: reader.i32()?,
        });
    }
    Ok(Relation { oid, name, replica_identity, columns })
}

fn insert(reader: &mut Reader) -> Result<Change, DecodeError> {
    match reader.u8()? {
        b'N' => Ok(Change::Insert { new: tuple(reader)? }),
        other => Err(reader.unknown_value("tuple kind", other)),
    }
}

fn update(reader: &mut Reader) -> Result<Change, DecodeError> {
    let (old, kind) = match reader.u8()? {
        b'K' => (Some(OldTuple::Key(tuple(reader)?)), reader.u8()?),
        b'O' => (Some(OldTuple::Full(tuple(reader)?)), reader.u8()?),
        other => (None, other),
    };
    match kind {
        b'N' => Ok(Change::Update { old, new: tuple(reader)? }),
        other => Err(reader.unknown_value("tuple kind", other)),
    }
}

fn delete(reader: &mut Reader) -> Result<Change, DecodeError> {
    let old = match reader.u8()? {
        b'K' => OldTuple::Key(tuple(reader)?),
        b'O' => OldTuple::Full(tuple(reader)?),
        other => return Err(reader.unknown_value("tuple kind", other)),
    };
    Ok(Change::Delete { old })
}

fn tuple(reader: &mut Reader) -> Result<Tuple, DecodeError> {
    let count = usize::from(reader.u16()?);
    reader.check_count("cells", count, 1)?;
    let mut cells = Vec::with_capacity(count);
    for _ in 0..count {
        cells.push(match reader.u8()? {
            b'n' => Cell::Null,
            b'u' => Cell::Unchanged,
            b't' => Cell::Text(reader.counted_bytes("cell length")?),
            b'b' => Cell::Binary(reader.counted_bytes("cell length")?),
            other => return Err(reader.unknown_value("cell kind", other)),
        });
    }
    Ok(Tuple { cells })
}

fn truncate(reader: &mut Reader) -> Result<Truncate, DecodeError> {
    const CASCADE: u8 = 1;
    const RESTART_IDENTITY: u8 = 2;
    let count = reader.u32()? as usize;
    let options = reader.flags("truncate options", CASCADE | RESTART_IDENTITY)?;
    reader.check_count("relations", count, 4)?;
    let mut relations = Vec::with_capacity(count);
    for _ in 0..count {
        relations.push(reader.oid()?);
    }
    let (cascade, restart_identity) = (options & CASCADE != 0, options & RESTART_IDENTITY != 0);
    Ok(Truncate { cascade, restart_identity, relations })
}

fn logical(reader: &mut Reader) -> Result<LogicalMessage, DecodeError> {
    Ok(LogicalMessage {
        transactional: reader.bool("message flags")?,
        lsn: reader.lsn()?,
        prefix: reader.text()?,
        content: reader.counted_bytes("content length")?,
    })
}
