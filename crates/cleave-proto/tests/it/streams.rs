//! Generators of messages that a server could send.

use bytes::Bytes;
use cleave_model::{Ident, Lsn, Oid, QualifiedName};
use cleave_proto::{
    Timestamp,
    pgoutput::{
        Aborted, Begin, Cell, Change, Commit, CommitPrepared, Decoded, LogicalMessage, Message, OldTuple,
        Origin, Prepared, Relation, RelationColumn, ReplicaIdentity, RollbackPrepared, StreamAbort,
        StreamCommit, StreamStart, Truncate, Tuple, TypeName, Xid,
    },
};
use proptest::{collection::vec, prelude::*};

fn name() -> impl Strategy<Value = String> {
    "[^\0]{0,12}"
}

fn qualified_name() -> impl Strategy<Value = QualifiedName> {
    let schema = prop_oneof![Just("pg_catalog".to_owned()), "[^\0]{1,12}"];
    (schema, name()).prop_map(|(schema, name)| QualifiedName::new(schema, name))
}

fn xid() -> impl Strategy<Value = Xid> {
    (1..=u32::MAX).prop_map(Xid)
}

fn value() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn tuple() -> impl Strategy<Value = Tuple> {
    let cell = prop_oneof![
        Just(Cell::Null),
        Just(Cell::Unchanged),
        value().prop_map(Cell::Text),
        value().prop_map(Cell::Binary)
    ];
    vec(cell, 0..6).prop_map(|cells| Tuple { cells })
}

fn old_tuple() -> impl Strategy<Value = OldTuple> {
    prop_oneof![tuple().prop_map(OldTuple::Key), tuple().prop_map(OldTuple::Full)]
}

fn commit() -> impl Strategy<Value = Commit> {
    (1..=u64::MAX, 1..=u64::MAX, any::<i64>()).prop_map(|(start, end, time)| Commit {
        commit_lsn: Lsn(start),
        end_lsn: Lsn(end),
        commit_time: Timestamp(time),
    })
}

fn relation() -> impl Strategy<Value = Relation> {
    let column =
        (any::<bool>(), name(), any::<u32>(), any::<i32>()).prop_map(|(key, name, oid, modifier)| {
            RelationColumn { key, name: Ident::new(name), type_oid: Oid(oid), type_modifier: modifier }
        });
    let identity = prop_oneof![
        Just(ReplicaIdentity::Default),
        Just(ReplicaIdentity::Nothing),
        Just(ReplicaIdentity::Full),
        Just(ReplicaIdentity::Index)
    ];
    (any::<u32>(), qualified_name(), identity, vec(column, 0..6)).prop_map(
        |(oid, name, replica_identity, columns)| Relation { oid: Oid(oid), name, replica_identity, columns },
    )
}

/// Messages that carry a transaction id inside a stream block.
fn content() -> impl Strategy<Value = Message> {
    let change = prop_oneof![
        tuple().prop_map(|new| Change::Insert { new }),
        (proptest::option::of(old_tuple()), tuple()).prop_map(|(old, new)| Change::Update { old, new }),
        old_tuple().prop_map(|old| Change::Delete { old })
    ];
    prop_oneof![
        relation().prop_map(Message::Relation),
        (any::<u32>(), qualified_name())
            .prop_map(|(oid, name)| Message::Type(TypeName { oid: Oid(oid), name })),
        (any::<u32>(), change).prop_map(|(oid, change)| Message::Change { relation: Oid(oid), change }),
        (any::<bool>(), any::<bool>(), vec(any::<u32>().prop_map(Oid), 0..4)).prop_map(
            |(cascade, restart_identity, relations)| Message::Truncate(Truncate {
                cascade,
                restart_identity,
                relations
            })
        ),
        (any::<bool>(), any::<u64>(), name(), value()).prop_map(|(transactional, lsn, prefix, content)| {
            Message::Logical(LogicalMessage { transactional, lsn: Lsn(lsn), prefix, content })
        }),
    ]
}

/// Messages that never carry one.
fn frame() -> impl Strategy<Value = Message> {
    prop_oneof![
        (1..=u64::MAX, any::<i64>(), xid()).prop_map(|(lsn, time, xid)| Message::Begin(Begin {
            final_lsn: Lsn(lsn),
            commit_time: Timestamp(time),
            xid
        })),
        commit().prop_map(Message::Commit),
        (any::<u64>(), name()).prop_map(|(lsn, name)| Message::Origin(Origin { commit_lsn: Lsn(lsn), name })),
        (xid(), commit()).prop_map(|(xid, commit)| Message::StreamCommit(StreamCommit { xid, commit })),
        (xid(), xid(), aborted()).prop_map(|(xid, subxid, aborted)| {
            Message::StreamAbort(StreamAbort { xid, subxid, aborted: Some(aborted) })
        }),
        prepared().prop_map(Message::BeginPrepare),
        prepared().prop_map(Message::Prepare),
        prepared().prop_map(Message::StreamPrepare),
        (commit(), xid(), name()).prop_map(|(commit, xid, gid)| Message::CommitPrepared(CommitPrepared {
            commit,
            xid,
            gid
        })),
        (prepared(), 1..=u64::MAX, any::<i64>()).prop_map(|(prepared, lsn, time)| {
            Message::RollbackPrepared(RollbackPrepared {
                prepare_end_lsn: prepared.end_lsn,
                rollback_end_lsn: Lsn(lsn),
                prepare_time: prepared.prepare_time,
                rollback_time: Timestamp(time),
                xid: prepared.xid,
                gid: prepared.gid,
            })
        }),
    ]
}

fn aborted() -> impl Strategy<Value = Aborted> {
    (any::<u64>(), any::<i64>()).prop_map(|(lsn, time)| Aborted { lsn: Lsn(lsn), time: Timestamp(time) })
}

fn prepared() -> impl Strategy<Value = Prepared> {
    (commit(), xid(), name()).prop_map(|(commit, xid, gid)| Prepared {
        prepare_lsn: commit.commit_lsn,
        end_lsn: commit.end_lsn,
        prepare_time: commit.commit_time,
        xid,
        gid,
    })
}

/// What a connection of version 4 may send, as far as layout goes: blocks of content, and frames anywhere. The order
/// makes no sense.
pub(crate) fn connection() -> impl Strategy<Value = Vec<Decoded>> {
    let plain = |message| Decoded { stream_xid: None, message };
    let outside = prop_oneof![content(), frame()].prop_map(move |message| vec![plain(message)]);
    let inside = prop_oneof![
        3 => (xid(), content()).prop_map(|(xid, message)| Decoded { stream_xid: Some(xid), message }),
        1 => frame().prop_map(plain)
    ];
    let block = (xid(), any::<bool>(), vec(inside, 0..6)).prop_map(move |(xid, first_segment, content)| {
        let start = Message::StreamStart(StreamStart { xid, first_segment });
        let mut block = vec![plain(start)];
        block.extend(content);
        block.push(plain(Message::StreamStop));
        block
    });
    vec(prop_oneof![3 => outside, 1 => block], 0..8).prop_map(|parts| parts.concat())
}
