//! What a slot's messages mean to this stream: drops what is not for it, gathers the rest for the applier. Where the
//! messages come from is for `streaming` and `slices`.

use super::{
    FollowSpec,
    item::{Item, ItemSender},
    messages::{Meaning, meaning},
    spool::{Messages, SpoolLimits, Spools},
    status::Reporter,
};
use crate::{StreamError, apply::BinaryTypes};
use bytes::Bytes;
use cleave_model::{Lsn, labels};
use cleave_proto::{
    pgoutput::{Decoded, Decoder, Message, ProtocolVersion, StreamStart, Xid},
    transaction::{Event, Transaction, TransactionTracker},
};
use std::sync::Arc;
use tokio::{sync::watch, time::Instant};

/// Messages up to this size are taken out of the read buffer, so that a queue of small ones does not keep it whole.
const SHARED_BYTES_MIN: usize = 16 << 10;

/// The reading side of one connection.
pub(super) struct Reader {
    pub(super) spec: Arc<FollowSpec>,
    pub(super) output: ItemSender,
    pub(super) reporter: Reporter,
    /// What the target has durably applied.
    pub(super) flushed: watch::Receiver<Lsn>,
    /// Values come in their binary forms.
    binary: bool,
    decoder: Decoder,
    tracker: TransactionTracker,
    transaction: Open,
    /// Transactions in progress.
    pub(super) spools: Spools,
    /// One of them has committed and is being handed over.
    replay: Option<Replay>,
    /// Transactions that commit before it were applied earlier, or are handed over.
    position: Lsn,
    /// End of the log as the server last told it.
    pub(super) log_end: Lsn,
    /// Everything before it was delivered, and what concerns us of it was handed over.
    pub(super) delivered: Lsn,
    /// The last position handed over.
    pub(super) handed_over: Lsn,
    pub(super) idle_since: Instant,
    pub(super) asked: bool,
}

/// A transaction that came in blocks and has committed. Its blocks are read as if they came now.
struct Replay {
    messages: Messages,
    decoder: Decoder,
    tracker: TransactionTracker,
    ended: Transaction,
}

/// The transaction that is being read.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    commit_lsn: Lsn,
    xid: Xid,
    /// Applied earlier, or written by the peer.
    dropped: bool,
    /// Its `Begin` was handed over.
    begun: bool,
}

impl Reader {
    pub(super) fn new(
        spec: Arc<FollowSpec>,
        output: ItemSender,
        reporter: Reporter,
        flushed: watch::Receiver<Lsn>,
        position: Lsn,
        binary: &BinaryTypes,
    ) -> Self {
        let limits =
            SpoolLimits { memory_bytes: spec.options.memory_bytes, file_bytes: spec.options.spool_bytes };
        Self {
            spec,
            output,
            reporter,
            flushed,
            binary: binary.is_safe(),
            decoder: Decoder::new(ProtocolVersion::V1),
            tracker: TransactionTracker::new(),
            transaction: Open::default(),
            spools: Spools::new(limits),
            replay: None,
            position,
            log_end: position,
            delivered: position,
            handed_over: position,
            idle_since: Instant::now(),
            asked: false,
        }
    }

    /// Options of the output plugin, for whole transactions.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        self.options_of(ProtocolVersion::V1)
    }

    /// Options of the output plugin for transactions that are in progress too. What is read next was asked for with them.
    pub(super) fn options_with_blocks(&mut self) -> Vec<(&'static str, String)> {
        self.decoder = Decoder::new(ProtocolVersion::V2);
        let mut options = self.options_of(ProtocolVersion::V2);
        options.push(("streaming", "on".to_owned()));
        options
    }

    fn options_of(&self, version: ProtocolVersion) -> Vec<(&'static str, String)> {
        let mut options = vec![
            ("proto_version", version.number().to_string()),
            ("publication_names", self.spec.publication.quoted()),
            ("messages", "true".to_owned()),
        ];
        if self.binary {
            options.push(("binary", "true".to_owned()));
        }
        options
    }

    /// True if no transaction is half read. Those in progress are kept aside.
    pub(super) fn is_between_transactions(&self) -> bool {
        self.tracker.is_between_transactions() && self.replay.is_none()
    }

    /// The slot is read anew from `delivered` on, in another way.
    pub(super) fn start_over(&mut self) {
        self.decoder = Decoder::new(ProtocolVersion::V1);
        self.position = self.delivered;
    }

    /// Says how far was read, so that the target stores it even if nothing on the way was for it.
    pub(super) async fn hand_over_position(&mut self) -> Result<(), StreamError> {
        if self.is_between_transactions() && self.delivered > self.handed_over {
            self.output.gather(Item::Idle { lsn: self.delivered }, 0);
            self.handed_over = self.delivered;
            self.idle_since = Instant::now();
        }
        self.output.hand_over().await
    }

    /// Reads one message.
    pub(super) fn read(&mut self, data: Bytes) -> Result<(), StreamError> {
        if self.transaction.dropped && matches!(data.first(), Some(b'I' | b'U' | b'D')) {
            return Ok(());
        }
        if self.spools.is_open() {
            match data.first() {
                Some(b'I' | b'U' | b'D' | b'T' | b'M' | b'Y') => return self.spools.keep(&data),
                // Later transactions may rely on it.
                Some(b'R') => self.spools.keep(&data)?,
                _ => {}
            }
        }
        let bytes = data.len();
        let decoded = self.decoder.decode(unshared(data)).map_err(|error| protocol(&error))?;
        let event = self.tracker.step(decoded).map_err(|error| protocol(&error))?;
        self.take(event, bytes)
    }

    /// Hands over some of the transaction in blocks that has committed last; false if there is none, or no more of it.
    /// Nothing else may be read before.
    pub(super) async fn replay(&mut self) -> Result<bool, StreamError> {
        let Some(mut replay) = self.replay.take() else { return Ok(false) };
        let Some(messages) = replay.messages.next().await? else {
            self.committed(&replay.ended);
            return Ok(false);
        };
        for data in messages {
            let bytes = data.len();
            let decoded = replay.decoder.decode(unshared(data)).map_err(|error| protocol(&error))?;
            let event = replay.tracker.step(decoded).map_err(|error| protocol(&error))?;
            self.take(event, bytes)?;
        }
        self.replay = Some(replay);
        Ok(true)
    }

    fn take(&mut self, event: Event, bytes: usize) -> Result<(), StreamError> {
        match event {
            Event::Begin(begin) => {
                let dropped = begin.final_lsn < self.position;
                self.transaction =
                    Open { commit_lsn: begin.final_lsn, xid: begin.xid, dropped, begun: false };
            }
            Event::Origin(origin) => {
                if labels::is_peer_origin(&self.spec.service, self.spec.direction, &origin.name) {
                    self.transaction.dropped |= !self.spools.is_open();
                    self.spools.drop_open();
                }
            }
            Event::Change { relation, change, .. } => self.gather(Item::Change { relation, change }, bytes),
            Event::Truncate { relations, restart_identity, .. } => {
                self.gather(Item::Truncate { relations, restart_identity }, bytes);
            }
            Event::Logical { message, .. } => match meaning(&self.spec, &message)? {
                Meaning::Nothing => {}
                Meaning::Marker(id) => self.gather(Item::Marker(id), bytes),
                Meaning::Switch(switch) => self.gather(Item::Switch(switch), bytes),
            },
            Event::Commit(ended) => self.committed(&ended),
            Event::Relation { .. } | Event::Type { .. } => {}
            Event::StreamStart(start) => self.spools.start(start.xid),
            Event::StreamStop { .. } => {
                self.spools.stop();
                self.report_spools();
            }
            Event::StreamAbort(abort) => {
                self.spools.abort(abort.xid, abort.subxid);
                self.report_spools();
            }
            Event::StreamCommit(ended) => {
                self.begin_replay(ended)?;
                self.report_spools();
            }
            Event::BeginPrepare(_)
            | Event::Prepare { .. }
            | Event::StreamPrepare { .. }
            | Event::CommitPrepared(_)
            | Event::RollbackPrepared(_) => {
                let problem = "a prepared transaction came, which was not asked for".to_owned();
                return Err(StreamError::Protocol { problem });
            }
        }
        Ok(())
    }

    /// The open transaction is complete.
    fn committed(&mut self, ended: &Transaction) {
        let begun = std::mem::take(&mut self.transaction).begun;
        self.delivered = self.delivered.max(ended.end_lsn);
        if begun {
            let (end_lsn, commit_time) = (ended.end_lsn, ended.commit_time);
            self.output.gather(Item::Commit { end_lsn, commit_time }, 0);
            self.handed_over = end_lsn;
            self.idle_since = Instant::now();
        }
    }

    fn begin_replay(&mut self, ended: Transaction) -> Result<(), StreamError> {
        let spool = self.spools.take(ended.xid).filter(|_| ended.commit_lsn >= self.position);
        let Some(spool) = spool else {
            self.committed(&ended);
            return Ok(());
        };
        self.transaction =
            Open { commit_lsn: ended.commit_lsn, xid: ended.xid, dropped: false, begun: false };
        let mut tracker = TransactionTracker::new();
        let start = Message::StreamStart(StreamStart { xid: ended.xid, first_segment: true });
        tracker.step(Decoded { stream_xid: None, message: start }).map_err(|error| protocol(&error))?;
        let decoder = Decoder::inside_block(ProtocolVersion::V2);
        self.replay = Some(Replay { messages: spool.into_messages(), decoder, tracker, ended });
        Ok(())
    }

    fn report_spools(&self) {
        let (transactions, bytes) = self.spools.size();
        self.reporter.change(|status| {
            (status.in_progress, status.in_progress_bytes) = (transactions, bytes);
        });
    }

    /// Gathers a piece of the open transaction, after its `Begin`, unless the transaction is dropped.
    fn gather(&mut self, item: Item, bytes: usize) {
        if self.transaction.dropped {
            return;
        }
        if !std::mem::replace(&mut self.transaction.begun, true) {
            let Open { commit_lsn, xid, .. } = self.transaction;
            self.output.gather(Item::Begin { commit_lsn, xid }, 0);
        }
        self.output.gather(item, bytes);
    }
}

/// Takes a small message out of the buffer that it came in.
fn unshared(data: Bytes) -> Bytes {
    if data.len() < SHARED_BYTES_MIN { Bytes::copy_from_slice(&data) } else { data }
}

pub(super) fn protocol(error: &dyn std::error::Error) -> StreamError {
    StreamError::Protocol { problem: error.to_string() }
}
