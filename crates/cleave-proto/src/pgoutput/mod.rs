//! The messages of the output plugin `pgoutput` (manual 55.5, "Logical Streaming Replication Protocol", and 55.9,
//! "Logical Replication Message Formats"), protocol versions 1 to 4.
//!
//! Version 1 sends whole transactions at their commit. Version 2 with `streaming = on` (14+) also sends large ones
//! while they are in progress, in blocks between Stream Start and Stream Stop; inside a block most messages carry
//! the id of the (sub)transaction that wrote them, so that an aborted subtransaction can be taken back. Version 3 with
//! `two_phase` (15+) sends prepared transactions before they commit. Version 4 with `streaming = parallel` (16+) says
//! where a part was rolled back. A message's layout thus depends on where it stands: a [`Decoder`] remembers that and
//! nothing else. Whether the messages come in a sensible order is for [`crate::transaction`].

mod binary;
mod decoder;
mod message;

pub use binary::has_stable_binary_form;
pub use decoder::{Decoder, ProtocolVersion};
pub use message::{
    Aborted, Begin, Cell, Change, Commit, CommitPrepared, Decoded, LogicalMessage, Message, OldTuple, Origin,
    Prepared, Relation, RelationColumn, ReplicaIdentity, RollbackPrepared, StreamAbort, StreamCommit,
    StreamStart, Truncate, Tuple, TypeName, Xid,
};
