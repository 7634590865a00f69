//! The payloads of CopyData messages after `START_REPLICATION` (manual 55.4, "Streaming Replication Protocol").
//!
//! What is inside [`XLogData::data`] belongs to [`crate::pgoutput`]; the connection and its timers to the caller.

use crate::{DecodeError, DecodeProblem, Timestamp, reader::Reader};
use bytes::{BufMut, Bytes, BytesMut};
use cleave_model::Lsn;

/// What the server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicationMessage {
    /// A piece of the log; on a logical slot exactly one message of the output plugin.
    XLogData(XLogData),
    /// A sign of life, sent when idle and when the server wants to know where we stand.
    PrimaryKeepalive(PrimaryKeepalive),
}

/// `XLogData` (`w`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XLogData {
    /// Where the data starts in the log. On a logical slot: the position of the change, 0 for messages without one
    /// such as Relation; never a place to resume from.
    pub wal_start: Lsn,
    /// The end of the log on the server, for lag only.
    pub wal_end: Lsn,
    /// The server's clock when it sent this.
    pub clock: Timestamp,
    /// The output plugin's message, a slice of the payload.
    pub data: Bytes,
}

/// `Primary keepalive message` (`k`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimaryKeepalive {
    /// On a logical slot: how far the server has sent. With no transaction open, everything before it that concerns
    /// this slot has been delivered.
    pub wal_end: Lsn,
    /// The server's clock when it sent this.
    pub clock: Timestamp,
    /// The server will hang up after `wal_sender_timeout` unless a status update comes.
    pub reply_requested: bool,
}

impl ReplicationMessage {
    /// Reads one CopyData payload.
    ///
    /// # Errors
    /// Any byte that the manual does not allow there.
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("replication message", payload);
        match reader.u8()? {
            b'w' => {
                reader.set_message("XLogData");
                let (wal_start, wal_end, clock) = (reader.lsn()?, reader.lsn()?, reader.timestamp()?);
                Ok(Self::XLogData(XLogData { wal_start, wal_end, clock, data: reader.rest() }))
            }
            b'k' => {
                reader.set_message("Primary keepalive");
                let (wal_end, clock) = (reader.lsn()?, reader.timestamp()?);
                let reply_requested = reader.bool("reply requested")?;
                reader.finish()?;
                Ok(Self::PrimaryKeepalive(PrimaryKeepalive { wal_end, clock, reply_requested }))
            }
            tag => {
                let problem = DecodeProblem::UnknownMessage { tag };
                Err(DecodeError { message: "replication message", offset: 0, problem })
            }
        }
    }
}

/// `Standby status update` (`r`), the only thing a logical reader sends. The server forgets the log before `flushed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandbyStatusUpdate {
    /// The end of what was received.
    pub written: Lsn,
    /// The end of what every sink has durably stored: becomes the slot's `confirmed_flush_lsn`.
    pub flushed: Lsn,
    /// The end of what was applied.
    pub applied: Lsn,
    /// Our clock.
    pub clock: Timestamp,
    /// Ask the server for a keepalive at once.
    pub reply_requested: bool,
}

impl StandbyStatusUpdate {
    /// The CopyData payload.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(34);
        out.put_u8(b'r');
        out.put_u64(self.written.0);
        out.put_u64(self.flushed.0);
        out.put_u64(self.applied.0);
        out.put_i64(self.clock.0);
        out.put_u8(self.reply_requested.into());
        out.freeze()
    }
}
