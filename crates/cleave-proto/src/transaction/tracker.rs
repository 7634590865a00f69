//! The state machine.

use super::{
    Event, OrderError, Transaction,
    relations::{Relations, compare},
};
use crate::pgoutput::{
    Begin, Cell, Change, Commit, CommitPrepared, Decoded, LogicalMessage, Message, Origin, Prepared,
    Relation, RollbackPrepared, StreamAbort, StreamCommit, StreamStart, Truncate, Tuple, Xid,
};
use cleave_model::{Lsn, Oid};
use std::{collections::HashMap, sync::Arc};

/// Checks the order of one connection's messages and knows the relations they speak of.
#[derive(Clone, Debug, Default)]
pub struct TransactionTracker {
    open: Option<Open>,
    relations: Relations,
    /// Transactions in progress that have sent a block; at most as many as the source runs at once.
    streamed: HashMap<Xid, Streamed>,
    /// Relation messages so far.
    descriptions: u64,
    /// End of the last transaction that was sent whole.
    previous_end_lsn: Lsn,
}

/// Whose messages are being sent.
#[derive(Clone, Debug)]
struct Open {
    kind: OpenKind,
    /// Nothing but Begin or the first Stream Start has come yet: the one place for an origin.
    fresh: bool,
}

#[derive(Clone, Debug)]
enum OpenKind {
    Transaction { begin: Begin, origin: Option<Origin> },
    Prepared { prepared: Prepared, origin: Option<Origin> },
    StreamBlock { xid: Xid },
}

impl Open {
    fn xid(&self) -> Xid {
        match &self.kind {
            OpenKind::Transaction { begin, .. } => begin.xid,
            OpenKind::Prepared { prepared, .. } => prepared.xid,
            OpenKind::StreamBlock { xid } => *xid,
        }
    }
}

/// What is kept of a transaction in progress. The descriptions it was told are its own until it commits: it may have
/// altered the table, and may yet roll back.
#[derive(Clone, Debug, Default)]
struct Streamed {
    origin: Option<Origin>,
    relations: Relations,
}

impl TransactionTracker {
    /// A tracker for a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// The relation as the transaction being sent sees it; between transactions, as the next one will.
    pub fn relation(&self, oid: Oid) -> Option<&Arc<Relation>> {
        match self.open.as_ref().map(|open| &open.kind) {
            Some(OpenKind::StreamBlock { xid }) => self.streamed.get(xid)?.relations.get(oid),
            _ => self.relations.get(oid),
        }
    }

    /// Nothing is open: everything before the next message's transaction is complete, save what is still being sent
    /// in blocks.
    pub fn is_between_transactions(&self) -> bool {
        self.open.is_none()
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// A message that cannot stand here. The tracker must not be used any more then.
    pub fn step(&mut self, decoded: Decoded) -> Result<Event, OrderError> {
        let Decoded { stream_xid, message } = decoded;
        let first = self.open.as_mut().is_some_and(|open| std::mem::take(&mut open.fresh));
        match message {
            Message::Begin(begin) => self.begin(begin),
            Message::Commit(commit) => self.commit(commit),
            Message::Origin(origin) => self.origin(origin, first),
            Message::Relation(relation) => self.describe(stream_xid, relation),
            Message::Type(type_name) => {
                self.inside("Type")?;
                Ok(Event::Type { stream_xid, type_name })
            }
            Message::Change { relation, change } => self.change(stream_xid, relation, change),
            Message::Truncate(truncate) => self.truncate(stream_xid, truncate),
            Message::Logical(message) => self.logical(stream_xid, message, first),
            Message::StreamStart(start) => self.stream_start(start),
            Message::StreamStop => self.stream_stop(),
            Message::StreamCommit(commit) => self.stream_commit(commit),
            Message::StreamAbort(abort) => self.stream_abort(abort),
            Message::BeginPrepare(prepared) => self.begin_prepare(prepared),
            Message::Prepare(prepared) => self.prepare(prepared),
            Message::StreamPrepare(prepared) => self.stream_prepare(prepared),
            Message::CommitPrepared(committed) => self.commit_prepared(committed),
            Message::RollbackPrepared(aborted) => self.rollback_prepared(aborted),
        }
    }

    fn inside(&self, message: &'static str) -> Result<&Open, OrderError> {
        self.open.as_ref().ok_or(OrderError::OutsideTransaction { message })
    }

    fn outside(&self, message: &'static str) -> Result<(), OrderError> {
        match &self.open {
            None => Ok(()),
            Some(open) => Err(OrderError::InsideTransaction { message, open: open.xid() }),
        }
    }

    /// Commits come in the order of the log.
    fn follows_in_log(&self, xid: Xid, commit_lsn: Lsn) -> Result<(), OrderError> {
        let previous_end_lsn = self.previous_end_lsn;
        if commit_lsn < previous_end_lsn {
            return Err(OrderError::CommitOrder { xid, commit_lsn, previous_end_lsn });
        }
        Ok(())
    }

    fn complete(&mut self, xid: Xid, origin: Option<Origin>, end: Commit) -> Result<Transaction, OrderError> {
        let Commit { commit_lsn, end_lsn, commit_time } = end;
        if end_lsn <= commit_lsn {
            return Err(OrderError::EmptyCommitRecord { xid, commit_lsn, end_lsn });
        }
        self.previous_end_lsn = end_lsn;
        Ok(Transaction { xid, origin, commit_lsn, end_lsn, commit_time })
    }

    fn begin(&mut self, begin: Begin) -> Result<Event, OrderError> {
        self.outside("Begin")?;
        self.follows_in_log(begin.xid, begin.final_lsn)?;
        self.open = Some(Open { kind: OpenKind::Transaction { begin, origin: None }, fresh: true });
        Ok(Event::Begin(begin))
    }

    fn commit(&mut self, commit: Commit) -> Result<Event, OrderError> {
        match self.open.take() {
            None => Err(OrderError::OutsideTransaction { message: "Commit" }),
            Some(open @ Open { kind: OpenKind::StreamBlock { .. } | OpenKind::Prepared { .. }, .. }) => {
                Err(OrderError::InsideTransaction { message: "Commit", open: open.xid() })
            }
            Some(Open { kind: OpenKind::Transaction { begin, origin }, .. }) => {
                let (xid, commit_lsn) = (begin.xid, commit.commit_lsn);
                if begin.final_lsn != commit_lsn {
                    return Err(OrderError::CommitMismatch {
                        xid,
                        begin: begin.final_lsn,
                        commit: commit_lsn,
                    });
                }
                Ok(Event::Commit(self.complete(xid, origin, commit)?))
            }
        }
    }

    fn origin(&mut self, said: Origin, first: bool) -> Result<Event, OrderError> {
        let open = self.open.as_mut().ok_or(OrderError::OutsideTransaction { message: "Origin" })?;
        if !first {
            return Err(OrderError::LateOrigin { xid: open.xid() });
        }
        let place = match &mut open.kind {
            OpenKind::Transaction { origin, .. } | OpenKind::Prepared { origin, .. } => origin,
            OpenKind::StreamBlock { xid } => &mut self.streamed.entry(*xid).or_default().origin,
        };
        *place = Some(said.clone());
        Ok(Event::Origin(said))
    }

    fn describe(&mut self, stream_xid: Option<Xid>, relation: Relation) -> Result<Event, OrderError> {
        let open = self.inside("Relation")?;
        let block = match &open.kind {
            OpenKind::StreamBlock { xid } => Some(*xid),
            OpenKind::Transaction { .. } | OpenKind::Prepared { .. } => None,
        };
        let known = self.relation(relation.oid).or_else(|| self.relations.get(relation.oid));
        let (relation, status) = compare(known, relation);
        self.descriptions += 1;
        let relations = match block {
            Some(xid) => &mut self.streamed.entry(xid).or_default().relations,
            None => &mut self.relations,
        };
        relations.describe(Arc::clone(&relation), self.descriptions);
        Ok(Event::Relation { stream_xid, relation, status })
    }

    fn known(&self, oid: Oid) -> Result<Arc<Relation>, OrderError> {
        self.relation(oid).cloned().ok_or(OrderError::UnknownRelation { oid })
    }

    fn change(&self, stream_xid: Option<Xid>, oid: Oid, change: Change) -> Result<Event, OrderError> {
        self.inside("a change")?;
        let relation = self.known(oid)?;
        match &change {
            Change::Insert { new } => {
                check_width(&relation, new)?;
                check_complete(&relation, new)?;
            }
            Change::Update { old, new } => {
                if let Some(old) = old {
                    check_width(&relation, old.tuple())?;
                }
                check_width(&relation, new)?;
            }
            Change::Delete { old } => check_width(&relation, old.tuple())?,
        }
        Ok(Event::Change { stream_xid, relation, change })
    }

    fn truncate(&self, stream_xid: Option<Xid>, truncate: Truncate) -> Result<Event, OrderError> {
        self.inside("Truncate")?;
        let Truncate { cascade, restart_identity, relations } = truncate;
        let relations = relations.into_iter().map(|oid| self.known(oid)).collect::<Result<Vec<_>, _>>()?;
        Ok(Event::Truncate { stream_xid, relations, cascade, restart_identity })
    }

    fn logical(
        &mut self,
        stream_xid: Option<Xid>,
        message: LogicalMessage,
        first: bool,
    ) -> Result<Event, OrderError> {
        if message.transactional {
            self.inside("a transactional Message")?;
        } else if let Some(open) = &mut self.open {
            // It is no part of the transaction around it, so an origin may still follow.
            open.fresh = first;
        }
        Ok(Event::Logical { stream_xid, message })
    }

    fn stream_start(&mut self, start: StreamStart) -> Result<Event, OrderError> {
        let StreamStart { xid, first_segment } = start;
        self.outside("Stream Start")?;
        if first_segment == self.streamed.contains_key(&xid) {
            return Err(OrderError::StreamSegment { message: "Stream Start", xid });
        }
        self.streamed.entry(xid).or_default();
        // The server names the origin in the first block only.
        self.open = Some(Open { kind: OpenKind::StreamBlock { xid }, fresh: first_segment });
        Ok(Event::StreamStart(start))
    }

    fn stream_stop(&mut self) -> Result<Event, OrderError> {
        match self.open.take() {
            Some(Open { kind: OpenKind::StreamBlock { xid }, .. }) => Ok(Event::StreamStop { xid }),
            Some(open) => Err(OrderError::InsideTransaction { message: "Stream Stop", open: open.xid() }),
            None => Err(OrderError::OutsideTransaction { message: "Stream Stop" }),
        }
    }

    fn stream_commit(&mut self, said: StreamCommit) -> Result<Event, OrderError> {
        let StreamCommit { xid, commit } = said;
        self.outside("Stream Commit")?;
        self.follows_in_log(xid, commit.commit_lsn)?;
        let streamed = self.streamed.remove(&xid);
        let streamed = streamed.ok_or(OrderError::StreamSegment { message: "Stream Commit", xid })?;
        self.relations.merge(streamed.relations);
        Ok(Event::StreamCommit(self.complete(xid, streamed.origin, commit)?))
    }

    fn stream_abort(&mut self, abort: StreamAbort) -> Result<Event, OrderError> {
        self.outside("Stream Abort")?;
        if !self.streamed.contains_key(&abort.xid) {
            return Err(OrderError::StreamSegment { message: "Stream Abort", xid: abort.xid });
        }
        // After a part was rolled back the server describes relations again before it uses them.
        if abort.subxid == abort.xid {
            self.streamed.remove(&abort.xid);
        }
        Ok(Event::StreamAbort(abort))
    }
}

/// Prepared transactions (version 3). They come at the place of their prepare record, and their end at its own.
impl TransactionTracker {
    fn begin_prepare(&mut self, prepared: Prepared) -> Result<Event, OrderError> {
        self.outside("Begin Prepare")?;
        self.follows_in_log(prepared.xid, prepared.prepare_lsn)?;
        let kind = OpenKind::Prepared { prepared: prepared.clone(), origin: None };
        self.open = Some(Open { kind, fresh: true });
        Ok(Event::BeginPrepare(prepared))
    }

    fn prepare(&mut self, said: Prepared) -> Result<Event, OrderError> {
        match self.open.take() {
            None => Err(OrderError::OutsideTransaction { message: "Prepare" }),
            Some(Open { kind: OpenKind::Prepared { prepared, origin }, .. }) => {
                if prepared != said {
                    return Err(OrderError::PrepareMismatch {
                        xid: prepared.xid,
                        begin: prepared.prepare_lsn,
                        prepare: said.prepare_lsn,
                    });
                }
                self.ends(said.xid, said.prepare_lsn, said.end_lsn)?;
                Ok(Event::Prepare { prepared: said, origin })
            }
            Some(open) => Err(OrderError::InsideTransaction { message: "Prepare", open: open.xid() }),
        }
    }

    fn stream_prepare(&mut self, prepared: Prepared) -> Result<Event, OrderError> {
        self.outside("Stream Prepare")?;
        self.follows_in_log(prepared.xid, prepared.prepare_lsn)?;
        let streamed = self.streamed.remove(&prepared.xid);
        let streamed =
            streamed.ok_or(OrderError::StreamSegment { message: "Stream Prepare", xid: prepared.xid })?;
        self.relations.merge(streamed.relations);
        self.ends(prepared.xid, prepared.prepare_lsn, prepared.end_lsn)?;
        Ok(Event::StreamPrepare { prepared, origin: streamed.origin })
    }

    fn commit_prepared(&mut self, committed: CommitPrepared) -> Result<Event, OrderError> {
        self.outside("Commit Prepared")?;
        let (xid, commit) = (committed.xid, committed.commit);
        self.follows_in_log(xid, commit.commit_lsn)?;
        self.ends(xid, commit.commit_lsn, commit.end_lsn)?;
        Ok(Event::CommitPrepared(committed))
    }

    fn rollback_prepared(&mut self, aborted: RollbackPrepared) -> Result<Event, OrderError> {
        self.outside("Rollback Prepared")?;
        self.ends(aborted.xid, aborted.prepare_end_lsn, aborted.rollback_end_lsn)?;
        Ok(Event::RollbackPrepared(aborted))
    }

    /// Keeps where a record of a prepared transaction ends.
    fn ends(&mut self, xid: Xid, commit_lsn: Lsn, end_lsn: Lsn) -> Result<(), OrderError> {
        if end_lsn <= commit_lsn {
            return Err(OrderError::EmptyCommitRecord { xid, commit_lsn, end_lsn });
        }
        self.previous_end_lsn = self.previous_end_lsn.max(end_lsn);
        Ok(())
    }
}

fn check_width(relation: &Relation, tuple: &Tuple) -> Result<(), OrderError> {
    let (cells, columns) = (tuple.cells.len(), relation.columns.len());
    if cells == columns {
        return Ok(());
    }
    Err(OrderError::TupleWidth { relation: relation.name.clone(), cells, columns })
}

fn check_complete(relation: &Relation, row: &Tuple) -> Result<(), OrderError> {
    let left_out = relation.columns.iter().zip(&row.cells).find(|(_, cell)| matches!(cell, Cell::Unchanged));
    match left_out {
        None => Ok(()),
        Some((column, _)) => {
            let (relation, column) = (relation.name.clone(), column.name.to_string());
            Err(OrderError::UnchangedInInsert { relation, column })
        }
    }
}
