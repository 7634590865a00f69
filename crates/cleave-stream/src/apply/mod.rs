//! The target's side of a stream.
//!
//! - `applier`: target transactions: arming, lease, position, whole source transactions.
//! - `router`: which table a change belongs to, and whether it still fits.
//! - `writer`: how changes are written; `statement`, `parameter`: one prepared statement per table and shape.

mod applier;
mod batch;
mod layout;
mod parameter;
mod router;
mod statement;
mod table;
mod writer;

pub(crate) use layout::RelationMemory;

use crate::{
    Cancelled, FollowSpec, StreamError,
    follow::{Reporter, item::ItemReceiver},
};
use applier::Applier;
use cleave_model::Lsn;
use cleave_pg::Session;
use std::sync::Arc;
use tokio::sync::watch;

/// What one connection's applier works with.
pub(crate) struct Input {
    pub(crate) spec: Arc<FollowSpec>,
    /// Made by [`crate::session::connect_writer`] with the stream's origin.
    pub(crate) session: Session,
    pub(crate) items: ItemReceiver,
    /// As it stands in `cleave.position`, read by this session.
    pub(crate) position: Lsn,
    /// Told what is durably applied.
    pub(crate) flushed: watch::Sender<Lsn>,
    pub(crate) reporter: Reporter,
    pub(crate) memory: RelationMemory,
}

/// Applies what the reader hands over, until told to stop or until something fails.
pub(crate) async fn apply(input: Input, stop: &Cancelled) -> Result<(), StreamError> {
    Applier::new(input).run(stop).await
}
