//! Messages that cannot follow what came before them.

use crate::pgoutput::Xid;
use cleave_model::{Lsn, Oid, QualifiedName};
use thiserror::Error;

/// The server, or whatever stands between, broke the message flow of manual 55.5.3. Nothing may be concluded from
/// what follows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    /// A message that belongs into a transaction came outside of one.
    #[error("{message} outside a transaction")]
    OutsideTransaction {
        /// The manual's name of the message.
        message: &'static str,
    },
    /// A message that starts or ends something came while another thing was open.
    #[error("{message} while transaction {open} is open")]
    InsideTransaction {
        /// The manual's name of the message.
        message: &'static str,
        /// The transaction whose messages are being sent.
        open: Xid,
    },
    /// An origin that is not the first thing said of its transaction.
    #[error("an Origin message in the middle of transaction {xid}")]
    LateOrigin {
        /// The transaction.
        xid: Xid,
    },
    /// Begin and Commit speak of different commit records.
    #[error("transaction {xid} began as the one that commits at {begin} and ended as the one at {commit}")]
    CommitMismatch {
        /// The transaction.
        xid: Xid,
        /// `final_lsn` of its Begin.
        begin: Lsn,
        /// `commit_lsn` of its Commit.
        commit: Lsn,
    },
    /// Begin Prepare and Prepare speak of different transactions.
    #[error("transaction {xid} began as the one prepared at {begin} and ended as the one at {prepare}")]
    PrepareMismatch {
        /// The transaction.
        xid: Xid,
        /// Where its Begin Prepare says it was prepared.
        begin: Lsn,
        /// Where its Prepare says so.
        prepare: Lsn,
    },
    /// A commit record that ends before it starts.
    #[error("the commit record of transaction {xid} starts at {commit_lsn} and ends at {end_lsn}")]
    EmptyCommitRecord {
        /// The transaction.
        xid: Xid,
        /// Its start.
        commit_lsn: Lsn,
        /// Its end.
        end_lsn: Lsn,
    },
    /// A transaction that committed before one that was sent earlier: positions would go backwards.
    #[error(
        "transaction {xid} commits at {commit_lsn}, before the end {previous_end_lsn} of the one sent before it"
    )]
    CommitOrder {
        /// The transaction.
        xid: Xid,
        /// Where its commit record starts.
        commit_lsn: Lsn,
        /// Where the transaction sent before it ended.
        previous_end_lsn: Lsn,
    },
    /// A change of a relation that was never described.
    #[error("a change of the relation with OID {}, which was not described", oid.0)]
    UnknownRelation {
        /// Its OID on the source.
        oid: Oid,
    },
    /// A tuple with more or fewer cells than its relation has columns.
    #[error("a row of {relation} has {cells} cells where {columns} columns were described")]
    TupleWidth {
        /// The relation.
        relation: QualifiedName,
        /// Cells of the tuple.
        cells: usize,
        /// Columns of the relation.
        columns: usize,
    },
    /// A value marked as unchanged in a row that has no earlier version: it is nowhere to be had.
    #[error("an inserted row of {relation} leaves out the value of column {column}")]
    UnchangedInInsert {
        /// The relation.
        relation: QualifiedName,
        /// The column's name.
        column: String,
    },
    /// A stream block with the wrong idea of whether it is its transaction's first, or the end of a transaction that
    /// has sent no block.
    #[error("{message} of transaction {xid} does not fit the blocks sent so far")]
    StreamSegment {
        /// The manual's name of the message.
        message: &'static str,
        /// The top-level transaction.
        xid: Xid,
    },
}
