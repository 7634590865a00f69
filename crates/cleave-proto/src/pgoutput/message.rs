//! What the plugin says, as values. Field names and meanings are those of manual 55.9.

use crate::Timestamp;
use bytes::Bytes;
use cleave_model::{Ident, Lsn, Oid, QualifiedName};
use std::fmt;

/// A transaction id as the protocol carries it: 32 bits, wraps around, so never compare by order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Xid(pub u32);

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message, and who wrote it where the protocol says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The (sub)transaction that wrote it: given inside a stream block, for all messages but Origin and the
    /// block's own; nowhere else.
    pub stream_xid: Option<Xid>,
    /// The message.
    pub message: Message,
}

/// One message of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `B`: a transaction that has committed follows.
    Begin(Begin),
    /// `C`: it is complete.
    Commit(Commit),
    /// `O`: the transaction was replayed on the source, from this origin.
    Origin(Origin),
    /// `R`: what the following changes of a table look like.
    Relation(Relation),
    /// `Y`: the name of a type that is not built in, before the Relation that uses it.
    Type(TypeName),
    /// `I`, `U`, `D`: a row has changed.
    Change {
        /// The table, introduced by a Relation message.
        relation: Oid,
        /// What happened to the row.
        change: Change,
    },
    /// `T`: tables were emptied.
    Truncate(Truncate),
    /// `M`: what someone said with `pg_logical_emit_message`.
    Logical(LogicalMessage),
    /// `S` (version 2): a block of a transaction that is still in progress.
    StreamStart(StreamStart),
    /// `E` (version 2): the block's end.
    StreamStop,
    /// `c` (version 2): a transaction sent in blocks has committed.
    StreamCommit(StreamCommit),
    /// `A` (version 2): a transaction sent in blocks, or a part of it, has been rolled back.
    StreamAbort(StreamAbort),
    /// `b` (version 3): a transaction that was prepared for two-phase commit follows.
    BeginPrepare(Prepared),
    /// `P` (version 3): it is complete.
    Prepare(Prepared),
    /// `p` (version 3): a transaction sent in blocks was prepared.
    StreamPrepare(Prepared),
    /// `K` (version 3): a prepared transaction has committed.
    CommitPrepared(CommitPrepared),
    /// `r` (version 3): a prepared transaction has been rolled back.
    RollbackPrepared(RollbackPrepared),
}

/// `Begin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Where its commit record starts. The same as [`Commit::commit_lsn`].
    pub final_lsn: Lsn,
    /// When it committed, by the source's clock.
    pub commit_time: Timestamp,
    /// Its id.
    pub xid: Xid,
}

/// `Commit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Where the commit record starts.
    pub commit_lsn: Lsn,
    /// Where it ends: what a stream's position becomes once the transaction is stored.
    pub end_lsn: Lsn,
    /// When it committed, by the source's clock.
    pub commit_time: Timestamp,
}

/// `Origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The commit position on the origin's server; 0 where unknown (always so inside a stream block).
    pub commit_lsn: Lsn,
    /// The origin's name on the source.
    pub name: String,
}

/// `Relation`: the published columns of a table as they were when the following changes were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The table's OID on the source.
    pub oid: Oid,
    /// Schema and name. The protocol's empty schema is given as `pg_catalog`.
    pub name: QualifiedName,
    /// What an update or delete says of the old row.
    pub replica_identity: ReplicaIdentity,
    /// The published columns in table order; every tuple has exactly these.
    pub columns: Vec<RelationColumn>,
}

/// A column of a [`Relation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    /// Part of the replica identity (with `full`: every column).
    pub key: bool,
    /// The name.
    pub name: Ident,
    /// The type's OID on the source.
    pub type_oid: Oid,
    /// `pg_attribute.atttypmod`, -1 for none.
    pub type_modifier: i32,
}

/// `pg_class.relreplident`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplicaIdentity {
    /// `d`: the primary key, if there is one.
    Default,
    /// `n`: nothing; updates and deletes cannot be published.
    Nothing,
    /// `f`: the whole old row.
    Full,
    /// `i`: a chosen unique index.
    Index,
}

/// `Type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// The type's OID on the source; for a domain the domain's own.
    pub oid: Oid,
    /// Schema and name; for a domain those of its *base* type. The empty schema is given as `pg_catalog`.
    pub name: QualifiedName,
}

/// `Insert`, `Update`, `Delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A row is new.
    Insert {
        /// The row.
        new: Tuple,
    },
    /// A row has other values.
    Update {
        /// The old row, where the replica identity's values have changed or the identity is the whole row.
        old: Option<OldTuple>,
        /// The row as it is now.
        new: Tuple,
    },
    /// A row is gone.
    Delete {
        /// What is known of it.
        old: OldTuple,
    },
}

/// What is known of a row before its change. Both forms have all of the relation's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OldTuple {
    /// `K`: the columns of the replica identity; all others are null and mean nothing.
    Key(Tuple),
    /// `O`: the whole row (replica identity full).
    Full(Tuple),
}

impl OldTuple {
    /// The cells, whichever form it is.
    pub fn tuple(&self) -> &Tuple {
        match self {
            Self::Key(tuple) | Self::Full(tuple) => tuple,
        }
    }
}

/// `TupleData`: one cell for each of the relation's columns.
#[derive(Clone, PartialEq, Eq)]
pub struct Tuple {
    /// The cells in the relation's order.
    pub cells: Vec<Cell>,
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.cells).finish()
    }
}

/// One value. Its `Debug` tells kind and length only, so that no row value reaches a log by accident.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Cell {
    /// `n`: SQL null.
    Null,
    /// `u`: a value stored out of line (TOAST) that the change did not touch, and therefore did not send. Not null,
    /// and never to be written.
    Unchanged,
    /// `t`: the type's text form, a slice of the message.
    Text(Bytes),
    /// `b`: the type's binary form, a slice of the message; the same bytes as in `COPY ... (format binary)`.
    Binary(Bytes),
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Unchanged => f.write_str("Unchanged"),
            Self::Text(bytes) => write!(f, "Text({} bytes)", bytes.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// `Truncate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncate {
    /// `TRUNCATE ... CASCADE` was said; the tables it reached are listed like the others.
    pub cascade: bool,
    /// `TRUNCATE ... RESTART IDENTITY` was said.
    pub restart_identity: bool,
    /// The published tables among those that were emptied by one statement.
    pub relations: Vec<Oid>,
}

/// `Message`, from `pg_logical_emit_message`. Its content is shown by length only.
#[derive(Clone, PartialEq, Eq)]
pub struct LogicalMessage {
    /// Part of a transaction, or said at once whatever becomes of the transaction around it.
    pub transactional: bool,
    /// Where it stands in the log.
    pub lsn: Lsn,
    /// Whom it is for.
    pub prefix: String,
    /// What it says, a slice of the message.
    pub content: Bytes,
}

impl fmt::Debug for LogicalMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogicalMessage")
            .field("transactional", &self.transactional)
            .field("lsn", &self.lsn)
            .field("prefix", &self.prefix)
            .field("content_bytes", &self.content.len())
            .finish()
    }
}

/// `Stream Start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// The top-level transaction.
    pub xid: Xid,
    /// This is the transaction's first block.
    pub first_segment: bool,
}

/// `Stream Commit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCommit {
    /// The top-level transaction.
    pub xid: Xid,
    /// Where and when it committed.
    pub commit: Commit,
}

/// `Stream Abort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamAbort {
    /// The top-level transaction.
    pub xid: Xid,
    /// What was rolled back: a subtransaction, or the whole if it is the same as `xid`.
    pub subxid: Xid,
    /// Where and when (version 4, if `streaming` is `parallel`).
    pub aborted: Option<Aborted>,
}

/// Where and when something was rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// Where the abort record starts.
    pub lsn: Lsn,
    /// When, by the source's clock.
    pub time: Timestamp,
}

/// `Begin Prepare`, `Prepare` and `Stream Prepare`: a transaction under a name, which waits for the word of whoever
/// prepared it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Where the prepare record starts.
    pub prepare_lsn: Lsn,
    /// Where it ends.
    pub end_lsn: Lsn,
    /// When it was prepared, by the source's clock.
    pub prepare_time: Timestamp,
    /// Its id.
    pub xid: Xid,
    /// The name that it was prepared under.
    pub gid: String,
}

/// `Commit Prepared`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPrepared {
    /// Where and when it committed.
    pub commit: Commit,
    /// Its id.
    pub xid: Xid,
    /// The name that it was prepared under.
    pub gid: String,
}

/// `Rollback Prepared`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackPrepared {
    /// Where its prepare record ends.
    pub prepare_end_lsn: Lsn,
    /// Where the record of the rollback ends.
    pub rollback_end_lsn: Lsn,
    /// When it was prepared, by the source's clock.
    pub prepare_time: Timestamp,
    /// When it was rolled back, by the source's clock.
    pub rollback_time: Timestamp,
    /// Its id.
    pub xid: Xid,
    /// The name that it was prepared under.
    pub gid: String,
}
