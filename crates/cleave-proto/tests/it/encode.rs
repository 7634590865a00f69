//! Writes what the decoder reads, as the server does, independently of the decoder's code.

use bytes::{BufMut, Bytes, BytesMut};
use cleave_model::QualifiedName;
use cleave_proto::pgoutput::{
    Cell, Change, Commit, Decoded, Message, OldTuple, Prepared, Relation, ReplicaIdentity, Tuple,
};

pub(crate) fn encode(decoded: &Decoded) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(tag(&decoded.message));
    if let Some(xid) = decoded.stream_xid {
        out.put_u32(xid.0);
    }
    put_body(&mut out, &decoded.message);
    out.freeze()
}

fn tag(message: &Message) -> u8 {
    match message {
        Message::Begin(_) => b'B',
        Message::Commit(_) => b'C',
        Message::Origin(_) => b'O',
        Message::Relation(_) => b'R',
        Message::Type(_) => b'Y',
        Message::Change { change: Change::Insert { .. }, .. } => b'I',
        Message::Change { change: Change::Update { .. }, .. } => b'U',
        Message::Change { change: Change::Delete { .. }, .. } => b'D',
        Message::Truncate(_) => b'T',
        Message::Logical(_) => b'M',
        Message::StreamStart(_) => b'S',
        Message::StreamStop => b'E',
        Message::StreamCommit(_) => b'c',
        Message::StreamAbort(_) => b'A',
        Message::BeginPrepare(_) => b'b',
        Message::Prepare(_) => b'P',
        Message::StreamPrepare(_) => b'p',
        Message::CommitPrepared(_) => b'K',
        Message::RollbackPrepared(_) => b'r',
    }
}

fn put_body(out: &mut BytesMut, message: &Message) {
    match message {
        Message::Begin(begin) => {
            out.put_u64(begin.final_lsn.0);
            out.put_i64(begin.commit_time.0);
            out.put_u32(begin.xid.0);
        }
        Message::Commit(commit) => put_commit(out, commit),
        Message::Origin(origin) => {
            out.put_u64(origin.commit_lsn.0);
            put_text(out, &origin.name);
        }
        Message::Relation(relation) => put_relation(out, relation),
        Message::Type(type_name) => {
            out.put_u32(type_name.oid.0);
            put_name(out, &type_name.name);
        }
        Message::Change { relation, change } => {
            out.put_u32(relation.0);
            put_change(out, change);
        }
        Message::Truncate(truncate) => {
            out.put_u32(truncate.relations.len() as u32);
            out.put_u8(u8::from(truncate.cascade) | u8::from(truncate.restart_identity) << 1);
            truncate.relations.iter().for_each(|oid| out.put_u32(oid.0));
        }
        Message::Logical(message) => {
            out.put_u8(message.transactional.into());
            out.put_u64(message.lsn.0);
            put_text(out, &message.prefix);
            out.put_u32(message.content.len() as u32);
            out.put_slice(&message.content);
        }
        Message::StreamStart(start) => {
            out.put_u32(start.xid.0);
            out.put_u8(start.first_segment.into());
        }
        Message::StreamStop => {}
        Message::StreamCommit(commit) => {
            out.put_u32(commit.xid.0);
            put_commit(out, &commit.commit);
        }
        Message::StreamAbort(abort) => {
            out.put_u32(abort.xid.0);
            out.put_u32(abort.subxid.0);
            if let Some(aborted) = &abort.aborted {
                out.put_u64(aborted.lsn.0);
                out.put_i64(aborted.time.0);
            }
        }
        prepared => put_two_phase(out, prepared),
    }
}

fn put_two_phase(out: &mut BytesMut, message: &Message) {
    match message {
        Message::BeginPrepare(prepared) => put_prepared(out, prepared),
        Message::Prepare(prepared) | Message::StreamPrepare(prepared) => {
            out.put_u8(0);
            put_prepared(out, prepared);
        }
        Message::CommitPrepared(committed) => {
            put_commit(out, &committed.commit);
            out.put_u32(committed.xid.0);
            put_text(out, &committed.gid);
        }
        Message::RollbackPrepared(aborted) => {
            out.put_u8(0);
            out.put_u64(aborted.prepare_end_lsn.0);
            out.put_u64(aborted.rollback_end_lsn.0);
            out.put_i64(aborted.prepare_time.0);
            out.put_i64(aborted.rollback_time.0);
            out.put_u32(aborted.xid.0);
            put_text(out, &aborted.gid);
        }
        other => panic!("{other:?}"),
    }
}

fn put_relation(out: &mut BytesMut, relation: &Relation) {
    out.put_u32(relation.oid.0);
    put_name(out, &relation.name);
    out.put_u8(match relation.replica_identity {
        ReplicaIdentity::Default => b'd',
        ReplicaIdentity::Nothing => b'n',
        ReplicaIdentity::Full => b'f',
        ReplicaIdentity::Index => b'i',
    });
    out.put_u16(relation.columns.len() as u16);
    for column in &relation.columns {
        out.put_u8(column.key.into());
        put_text(out, column.name.as_str());
        out.put_u32(column.type_oid.0);
        out.put_i32(column.type_modifier);
    }
}

fn put_change(out: &mut BytesMut, change: &Change) {
    match change {
        Change::Insert { new } => put_tuple(out, b'N', new),
        Change::Update { old, new } => {
            old.iter().for_each(|old| put_old(out, old));
            put_tuple(out, b'N', new);
        }
        Change::Delete { old } => put_old(out, old),
    }
}

fn put_old(out: &mut BytesMut, old: &OldTuple) {
    match old {
        OldTuple::Key(tuple) => put_tuple(out, b'K', tuple),
        OldTuple::Full(tuple) => put_tuple(out, b'O', tuple),
    }
}

fn put_tuple(out: &mut BytesMut, kind: u8, tuple: &Tuple) {
    out.put_u8(kind);
    out.put_u16(tuple.cells.len() as u16);
    for cell in &tuple.cells {
        match cell {
            Cell::Null => out.put_u8(b'n'),
            Cell::Unchanged => out.put_u8(b'u'),
            Cell::Text(bytes) => put_value(out, b't', bytes),
            Cell::Binary(bytes) => put_value(out, b'b', bytes),
        }
    }
}

fn put_value(out: &mut BytesMut, kind: u8, bytes: &[u8]) {
    out.put_u8(kind);
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

fn put_prepared(out: &mut BytesMut, prepared: &Prepared) {
    out.put_u64(prepared.prepare_lsn.0);
    out.put_u64(prepared.end_lsn.0);
    out.put_i64(prepared.prepare_time.0);
    out.put_u32(prepared.xid.0);
    put_text(out, &prepared.gid);
}

fn put_commit(out: &mut BytesMut, commit: &Commit) {
    out.put_u8(0);
    out.put_u64(commit.commit_lsn.0);
    out.put_u64(commit.end_lsn.0);
    out.put_i64(commit.commit_time.0);
}

fn put_name(out: &mut BytesMut, name: &QualifiedName) {
    let schema = name.schema.as_str();
    put_text(out, if schema == "pg_catalog" { "" } else { schema });
    put_text(out, name.name.as_str());
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}
