//! Short ways to write messages in tests.

use bytes::Bytes;
use cleave_model::{Ident, Lsn, Oid, QualifiedName};
use cleave_proto::{
    Timestamp,
    pgoutput::{
        Begin, Cell, Change, Commit, Decoded, LogicalMessage, Message, OldTuple, Origin, Prepared, Relation,
        RelationColumn, ReplicaIdentity, StreamAbort, StreamCommit, StreamStart, Truncate, Tuple, Xid,
    },
};

pub(crate) const FILM: Oid = Oid(16_401);

/// Outside a stream block.
pub(crate) fn plain(message: Message) -> Decoded {
    Decoded { stream_xid: None, message }
}

/// Inside one.
pub(crate) fn by(xid: u32, message: Message) -> Decoded {
    Decoded { stream_xid: Some(Xid(xid)), message }
}

pub(crate) fn begin(xid: u32, final_lsn: u64) -> Decoded {
    plain(Message::Begin(Begin { final_lsn: Lsn(final_lsn), commit_time: Timestamp(7), xid: Xid(xid) }))
}

pub(crate) fn commit_of(commit_lsn: u64) -> Commit {
    Commit { commit_lsn: Lsn(commit_lsn), end_lsn: Lsn(commit_lsn + 48), commit_time: Timestamp(7) }
}

pub(crate) fn commit(commit_lsn: u64) -> Decoded {
    plain(Message::Commit(commit_of(commit_lsn)))
}

pub(crate) fn origin(name: &str) -> Decoded {
    plain(Message::Origin(Origin { commit_lsn: Lsn(0), name: name.to_owned() }))
}

/// `public.film (id int4 key, title text)`, with more columns `c2`, `c3`, ... if asked for.
pub(crate) fn film(columns: usize) -> Message {
    let column = |at: usize| RelationColumn {
        key: at == 0,
        name: match at {
            0 => Ident::from("id"),
            1 => Ident::from("title"),
            _ => Ident::new(format!("c{at}")),
        },
        type_oid: Oid(if at == 0 { 23 } else { 25 }),
        type_modifier: -1,
    };
    Message::Relation(Relation {
        oid: FILM,
        name: QualifiedName::new("public", "film"),
        replica_identity: ReplicaIdentity::Default,
        columns: (0..columns).map(column).collect(),
    })
}

pub(crate) fn row(cells: &[Cell]) -> Tuple {
    Tuple { cells: cells.to_vec() }
}

pub(crate) fn text(value: &'static str) -> Cell {
    Cell::Text(Bytes::from_static(value.as_bytes()))
}

pub(crate) fn insert(cells: &[Cell]) -> Message {
    Message::Change { relation: FILM, change: Change::Insert { new: row(cells) } }
}

pub(crate) fn update(old: Option<OldTuple>, cells: &[Cell]) -> Message {
    Message::Change { relation: FILM, change: Change::Update { old, new: row(cells) } }
}

pub(crate) fn delete(old: OldTuple) -> Message {
    Message::Change { relation: FILM, change: Change::Delete { old } }
}

pub(crate) fn truncate(relations: &[Oid]) -> Message {
    let relations = relations.to_vec();
    Message::Truncate(Truncate { cascade: true, restart_identity: false, relations })
}

pub(crate) fn said(transactional: bool) -> Message {
    let content = Bytes::from_static(b"tick");
    Message::Logical(LogicalMessage { transactional, lsn: Lsn(90), prefix: "cleave".into(), content })
}

pub(crate) fn stream_start(xid: u32, first_segment: bool) -> Decoded {
    plain(Message::StreamStart(StreamStart { xid: Xid(xid), first_segment }))
}

pub(crate) fn stream_stop() -> Decoded {
    plain(Message::StreamStop)
}

pub(crate) fn stream_commit(xid: u32, commit_lsn: u64) -> Decoded {
    plain(Message::StreamCommit(StreamCommit { xid: Xid(xid), commit: commit_of(commit_lsn) }))
}

pub(crate) fn stream_abort(xid: u32, subxid: u32) -> Decoded {
    plain(Message::StreamAbort(StreamAbort { xid: Xid(xid), subxid: Xid(subxid), aborted: None }))
}

pub(crate) fn prepared(xid: u32, prepare_lsn: u64) -> Prepared {
    Prepared {
        prepare_lsn: Lsn(prepare_lsn),
        end_lsn: Lsn(prepare_lsn + 48),
        prepare_time: Timestamp(7),
        xid: Xid(xid),
        gid: "order 7".into(),
    }
}
