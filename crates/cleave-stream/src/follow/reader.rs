//! What a slot's messages mean to this stream: drops what is not for it, gathers the rest for the applier. Where the
//! messages come from is for `streaming` and `slices`.

use super::{
    FollowSpec,
    item::{Item, ItemSender},
    messages::{Meaning, meaning},
    status::Reporter,
};
use crate::{StreamError, apply::BinaryTypes};
use bytes::Bytes;
use cleave_model::{Lsn, labels};
use cleave_proto::{
    pgoutput::{Decoder, ProtocolVersion},
    transaction::{Event, TransactionTracker},
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

/// The transaction that is being read.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    commit_lsn: Lsn,
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
        Self {
            spec,
            output,
            reporter,
            flushed,
            binary: binary.is_safe(),
            decoder: Decoder::new(ProtocolVersion::V1),
            tracker: TransactionTracker::new(),
            transaction: Open::default(),
            position,
            log_end: position,
            delivered: position,
            handed_over: position,
            idle_since: Instant::now(),
            asked: false,
        }
    }

    /// Options of the output plugin.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        let mut options = vec![
            ("proto_version", ProtocolVersion::V1.number().to_string()),
            ("publication_names", self.spec.publication.quoted()),
            ("messages", "true".to_owned()),
        ];
        if self.binary {
            options.push(("binary", "true".to_owned()));
        }
        options
    }

    /// True if no transaction is half read.
    pub(super) fn is_between_transactions(&self) -> bool {
        self.tracker.is_between_transactions()
    }

    /// The slot is read anew from `delivered` on, in another way.
    pub(super) fn start_over(&mut self) {
        self.decoder = Decoder::new(ProtocolVersion::V1);
        self.position = self.delivered;
    }

    /// Reads one message.
    pub(super) fn read(&mut self, data: Bytes) -> Result<(), StreamError> {
        if self.transaction.dropped && matches!(data.first(), Some(b'I' | b'U' | b'D')) {
            return Ok(());
        }
        let bytes = data.len();
        let data = if bytes < SHARED_BYTES_MIN { Bytes::copy_from_slice(&data) } else { data };
        let decoded = self.decoder.decode(data).map_err(|error| protocol(&error))?;
        match self.tracker.step(decoded).map_err(|error| protocol(&error))? {
            Event::Begin(begin) => {
                let dropped = begin.final_lsn < self.position;
                self.transaction = Open { commit_lsn: begin.final_lsn, dropped, begun: false };
            }
            Event::Origin(origin) => {
                self.transaction.dropped |=
                    labels::is_peer_origin(&self.spec.service, self.spec.direction, &origin.name);
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
            Event::Commit(ended) => {
                let begun = std::mem::take(&mut self.transaction).begun;
                self.delivered = self.delivered.max(ended.end_lsn);
                if begun {
                    let (end_lsn, commit_time) = (ended.end_lsn, ended.commit_time);
                    self.output.gather(Item::Commit { end_lsn, commit_time }, 0);
                    self.handed_over = end_lsn;
                    self.idle_since = Instant::now();
                }
            }
            Event::Relation { .. } | Event::Type { .. } => {}
            Event::StreamStart(_)
            | Event::StreamStop { .. }
            | Event::StreamCommit(_)
            | Event::StreamAbort(_) => {
                let problem = "a transaction in progress came, which was not asked for".to_owned();
                return Err(StreamError::Protocol { problem });
            }
        }
        Ok(())
    }

    /// Gathers a piece of the open transaction, after its `Begin`, unless the transaction is dropped.
    fn gather(&mut self, item: Item, bytes: usize) {
        if self.transaction.dropped {
            return;
        }
        if !std::mem::replace(&mut self.transaction.begun, true) {
            let commit_lsn = self.transaction.commit_lsn;
            self.output.gather(Item::Begin { commit_lsn }, 0);
        }
        self.output.gather(item, bytes);
    }
}

pub(super) fn protocol(error: &dyn std::error::Error) -> StreamError {
    StreamError::Protocol { problem: error.to_string() }
}
