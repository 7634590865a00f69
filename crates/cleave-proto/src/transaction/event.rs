//! What the tracker gives to whoever follows a stream.

use super::RelationStatus;
use crate::{
    Timestamp,
    pgoutput::{
        Begin, Change, CommitPrepared, LogicalMessage, Origin, Prepared, Relation, RollbackPrepared,
        StreamAbort, StreamStart, TypeName, Xid,
    },
};
use cleave_model::Lsn;
use std::sync::Arc;

/// A message that came in its right place. `stream_xid` is the writing (sub)transaction where the message is part
/// of a stream block, and none otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A committed transaction starts.
    Begin(Begin),
    /// The open transaction, or the one whose first block this is, was replayed on the source from this origin. Comes
    /// before anything else of the transaction.
    Origin(Origin),
    /// A relation was described, for the first time or again.
    Relation {
        /// The writing (sub)transaction.
        stream_xid: Option<Xid>,
        /// What later changes will refer to.
        relation: Arc<Relation>,
        /// Whether that is news.
        status: RelationStatus,
    },
    /// A type's name, before the relation that uses it.
    Type {
        /// The writing (sub)transaction.
        stream_xid: Option<Xid>,
        /// The type.
        type_name: TypeName,
    },
    /// A row has changed; every tuple has as many cells as the relation has columns.
    Change {
        /// The writing (sub)transaction.
        stream_xid: Option<Xid>,
        /// The table as it was then.
        relation: Arc<Relation>,
        /// What happened.
        change: Change,
    },
    /// Tables were emptied by one statement.
    Truncate {
        /// The writing (sub)transaction.
        stream_xid: Option<Xid>,
        /// The tables.
        relations: Vec<Arc<Relation>>,
        /// `CASCADE` was said.
        cascade: bool,
        /// `RESTART IDENTITY` was said.
        restart_identity: bool,
    },
    /// Someone emitted a message. Transactional ones come inside their transaction; others anywhere.
    Logical {
        /// The writing (sub)transaction.
        stream_xid: Option<Xid>,
        /// The message.
        message: LogicalMessage,
    },
    /// The open transaction is complete.
    Commit(Transaction),
    /// A block of a transaction in progress starts.
    StreamStart(StreamStart),
    /// The block ends.
    StreamStop {
        /// The top-level transaction it belongs to.
        xid: Xid,
    },
    /// A transaction that came in blocks has committed.
    StreamCommit(Transaction),
    /// A transaction that came in blocks, or one of its subtransactions, was rolled back.
    StreamAbort(StreamAbort),
    /// A prepared transaction starts.
    BeginPrepare(Prepared),
    /// The open transaction is complete and waits under a name.
    Prepare {
        /// What it waits under.
        prepared: Prepared,
        /// The origin it was replayed from, if any.
        origin: Option<Origin>,
    },
    /// A transaction that came in blocks is complete and waits under a name.
    StreamPrepare {
        /// What it waits under.
        prepared: Prepared,
        /// The origin it was replayed from, if any.
        origin: Option<Origin>,
    },
    /// One that waited has committed.
    CommitPrepared(CommitPrepared),
    /// One that waited was rolled back.
    RollbackPrepared(RollbackPrepared),
}

/// A whole source transaction, as its end tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its id on the source.
    pub xid: Xid,
    /// The origin it was replayed from, if any.
    pub origin: Option<Origin>,
    /// Where its commit record starts: skipped if and only if this is below the position.
    pub commit_lsn: Lsn,
    /// Where its commit record ends: the position once it is stored.
    pub end_lsn: Lsn,
    /// When it committed, by the source's clock.
    pub commit_time: Timestamp,
}
