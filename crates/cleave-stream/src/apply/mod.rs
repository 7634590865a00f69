//! The target's side of a stream.
//!
//! - `applier`: target transactions: arming, lease, position, whole source transactions; `closing`: how they end.
//! - `router`: which table a change belongs to, and whether it still fits.
//! - `look`: the source's columns as its catalog has them; `shape`: what has become of them; `reshape`: making it so on
//!   the target.
//! - `giant`: what of a table's changes is in its copy, where ranges of it were copied at different positions.
//! - `binary`: whether values come in their types' binary forms.
//! - `sets`: how changes are written, many at once; `segment`: those that are written together; `steps`: what to
//!   send for them; `fold`: what they come to per row; `many`: statements over many rows.
//! - `blame`: the row that a refused change was about.
//! - `writer`: one by one; `statement`, `parameter`: one prepared statement per table and shape.

mod applier;
mod batch;
mod binary;
mod blame;
mod closing;
mod fold;
mod giant;
mod layout;
mod look;
mod many;
mod parameter;
mod reshape;
mod router;
mod segment;
mod sets;
mod shape;
mod statement;
mod steps;
mod table;
mod writer;

pub(crate) use binary::BinaryTypes;
pub(crate) use closing::flush_commits;
pub(crate) use layout::RelationMemory;
pub(crate) use look::{Look, look, look_locked};
pub(crate) use reshape::reshaped;
pub(crate) use shape::CatalogTable;

use crate::{
    Cancelled, FollowSpec, Side, StreamError,
    error::On,
    follow::{Reporter, item::ItemReceiver},
};
use applier::Applier;
use cleave_journal::{ApplierStatements, Shape};
use cleave_model::Lsn;
use cleave_pg::{During, Session};
use giant::Giants;
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
    pub(crate) binary: BinaryTypes,
    /// The source's tables as recorded with the position.
    pub(crate) shapes: Vec<Shape>,
    /// The source's tables as its catalog has them, the last look.
    pub(crate) looks: watch::Receiver<Option<Arc<Look>>>,
}

/// Every statement of ours finds rows by a unique index, or has no index to find them by. Statistics of a table that was
/// just filled say nothing, so the planner is not left to choose between one lookup per row and a scan of the table.
const PLANS: &str = "
    set plan_cache_mode = force_generic_plan;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set enable_seqscan = off;
    set enable_bitmapscan = off;
    set enable_memoize = off;
    set jit = off;";

/// Applies what the reader hands over, until told to stop or until something fails.
pub(crate) async fn apply(input: Input, stop: &Cancelled) -> Result<(), StreamError> {
    input.session.batch_execute(PLANS).await.during("setting up a session that applies").on(Side::Target)?;
    let journal = ApplierStatements::prepare(&*input.session).await?;
    let giants = Giants::load(&input.session, &input.spec, input.position).await?;
    Box::pin(Applier::new(input, journal, giants).run(stop)).await
}
