//! The running streams of a service.

use crate::{EngineError, StreamBeat, context::MoveContext};
use cleave_journal::MoveState;
use cleave_model::{Direction, Ident, Lsn, Oid, labels};
use cleave_pg::{During, Session};
use cleave_plan::cutover::Round;
use cleave_plan::{PlannedTable, RowIdentity};
use cleave_stream::{
    ColumnRoute, Follow, FollowHandle, FollowOptions, FollowSpec, FollowState, FollowStatus, Identity, Route,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a stream may take to end the transaction it is at.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Forward and back, where they run.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamPair {
    forward: Option<Arc<Stream>>,
    back: Option<Arc<Stream>>,
    /// Of tables that were detached from the forward stream.
    parts: BTreeMap<u32, Part>,
}

/// The stream of a detached group, and when it is tried again.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) stream: Arc<Stream>,
    /// Written into the source's log when the stream began: once it is applied, so is what the group was detached for.
    pub(crate) marker: String,
    pub(crate) pause: Duration,
    /// When it was seen to have stopped.
    pub(crate) stopped: Option<Instant>,
    /// It has held up the others once, and is not to do so again at once.
    pub(crate) joins_after: Option<Instant>,
}

/// A running stream.
#[derive(Debug)]
pub(crate) struct Stream {
    handle: FollowHandle,
    direction: Direction,
}

impl StreamPair {
    /// The stream that fills the side that a round makes the home.
    pub(crate) fn feeding_new_home(&self, round: Round) -> Result<&Stream, EngineError> {
        let direction = match round {
            Round::Cutover => Direction::Forward,
            Round::Rollback => Direction::Back,
        };
        self.get(direction).ok_or_else(|| {
            EngineError::gate("C0708", format!("the {direction} stream is not running"))
                .hint("see `cleave status`")
        })
    }

    /// The stream of a direction, if it runs.
    pub(crate) fn get(&self, direction: Direction) -> Option<&Stream> {
        match direction {
            Direction::Forward => self.forward.as_deref(),
            Direction::Back => self.back.as_deref(),
        }
    }

    /// The same, for a task that outlives the borrow.
    pub(crate) fn shared(&self, direction: Direction) -> Option<Arc<Stream>> {
        match direction {
            Direction::Forward => self.forward.clone(),
            Direction::Back => self.back.clone(),
        }
    }

    /// Their reports.
    pub(crate) fn beats(&self) -> Vec<StreamBeat> {
        let running = [&self.forward, &self.back].into_iter().flatten();
        running
            .map(|stream| StreamBeat { direction: stream.direction.into(), status: stream.status() })
            .collect()
    }

    /// Starts the streams that a move in this state needs and that do not run.
    pub(crate) async fn start(&mut self, move_: &MoveContext, state: MoveState) -> Result<(), EngineError> {
        let (forward, back) = match state {
            MoveState::Planned | MoveState::Prepared | MoveState::Cancelled => (false, false),
            // A table without a start position would take changes that its copy is still to bring, and one without its
            // key would be searched from end to end for each.
            MoveState::Copying => (crate::steps::is_copied(move_).await?, false),
            MoveState::Following | MoveState::Switched => (true, true),
            MoveState::Completing | MoveState::Done => (false, move_.plan.copy_kept),
        };
        for (wanted, direction) in [(forward, Direction::Forward), (back, Direction::Back)] {
            let slot = match direction {
                Direction::Forward => &mut self.forward,
                Direction::Back => &mut self.back,
            };
            if wanted && slot.as_ref().is_none_or(|stream| stream.handle.is_finished()) {
                if direction == Direction::Forward && crate::recopy::is_unfinished(move_, state).await? {
                    continue;
                }
                let handle = Follow::start(spec(move_, direction, None).await?);
                *slot = Some(Arc::new(Stream { handle, direction }));
            }
        }
        if state == MoveState::Following && self.forward.is_some() {
            self.start_parts(move_).await?;
        }
        Ok(())
    }

    /// Starts the streams of detached groups that do not run; drops slots of groups that have joined again.
    async fn start_parts(&mut self, move_: &MoveContext) -> Result<(), EngineError> {
        let n = move_.n.connect("detached tables").await?;
        let detached = cleave_journal::detached_tables(&*n, &move_.stream(Direction::Forward)).await?;
        let wanted: BTreeSet<u32> = detached.iter().map(|table| table.part).collect();
        crate::detached::drop_left_slots(move_, &wanted).await?;
        self.parts.retain(|part, _| wanted.contains(part));
        for part in wanted {
            if self.parts.get(&part).is_none_or(|known| known.stream.handle.is_finished()) {
                let pause = self.parts.get(&part).map_or(Duration::ZERO, |known| known.pause);
                self.start_part(move_, part, pause).await?;
            }
        }
        Ok(())
    }

    /// Starts a detached group's stream, to be tried again after a pause if it stops.
    pub(crate) async fn start_part(
        &mut self,
        move_: &MoveContext,
        part: u32,
        pause: Duration,
    ) -> Result<(), EngineError> {
        let direction = Direction::Forward;
        let spec = spec(move_, direction, Some(part)).await?;
        let m = move_.m.connect("detached tables").await?;
        let marker = format!("{}/d{part}/{}", move_.service, m.backend_pid());
        cleave_pg::wal::emit_message(&m, labels::MESSAGE_MARKER, &marker).await?;
        let stream = Arc::new(Stream { handle: Follow::start(spec), direction });
        self.parts.insert(part, Part { stream, marker, pause, stopped: None, joins_after: None });
        Ok(())
    }

    /// The streams of detached groups.
    pub(crate) fn parts(&mut self) -> &mut BTreeMap<u32, Part> {
        &mut self.parts
    }

    /// Stops a detached group's stream after its current transaction.
    pub(crate) async fn stop_part(&mut self, part: u32) {
        if let Some(part) = self.parts.remove(&part) {
            stopped(part.stream).await;
        }
    }

    /// Stops one direction after its current transaction.
    pub(crate) async fn stop(&mut self, direction: Direction) {
        let stream = match direction {
            Direction::Forward => self.forward.take(),
            Direction::Back => self.back.take(),
        };
        if let Some(stream) = stream {
            stopped(stream).await;
        }
    }

    /// Stops all.
    pub(crate) async fn stop_all(&mut self) {
        let parts: Vec<u32> = self.parts.keys().copied().collect();
        for part in parts {
            self.stop_part(part).await;
        }
        self.stop(Direction::Forward).await;
        self.stop(Direction::Back).await;
    }
}

async fn stopped(stream: Arc<Stream>) {
    if let Some(stream) = Arc::into_inner(stream) {
        // One that waits for a lock on its target is dropped: its transaction is rolled back and comes again.
        let _ = tokio::time::timeout(STOP_LIMIT, stream.handle.stop()).await;
    }
}

impl Stream {
    /// True if a marker is applied and flushed.
    pub(crate) fn has_marker(&self, marker: &str) -> bool {
        self.handle.status().borrow().has_marker(marker)
    }

    /// Waits until a marker is applied and flushed; false if it takes longer or the stream stops.
    pub(crate) async fn wait_for_marker(&self, marker: &str, limit: Duration) -> bool {
        matches!(tokio::time::timeout(limit, self.handle.marker_applied(marker)).await, Ok(Ok(())))
    }

    /// Waits until everything up to a position is applied and flushed.
    pub(crate) async fn wait_for_position(&self, lsn: Lsn) -> Result<(), EngineError> {
        let mut status = self.handle.status();
        let reached = |status: &FollowStatus| {
            status.position.is_some_and(|position| position >= lsn) || status.state == FollowState::Failed
        };
        if status.wait_for(reached).await.is_err() || self.status().state == FollowState::Failed {
            let problem = self.problem().unwrap_or_else(|| "it was stopped".to_owned());
            return Err(EngineError::gate(
                "C0708",
                format!("the {} stream stopped: {problem}", self.direction),
            ));
        }
        Ok(())
    }

    /// The stream's report.
    pub(crate) fn status(&self) -> FollowStatus {
        self.handle.status().borrow().clone()
    }

    /// What stopped it, or what it retries.
    pub(crate) fn problem(&self) -> Option<String> {
        self.status().last_error.map(|error| error.to_string())
    }

    /// The error that stopped it for good.
    pub(crate) fn failure(&self) -> Option<Arc<cleave_stream::StreamError>> {
        let status = self.status();
        (status.state == FollowState::Failed).then_some(status.last_error).flatten()
    }
}

async fn spec(
    move_: &MoveContext,
    direction: Direction,
    part: Option<u32>,
) -> Result<FollowSpec, EngineError> {
    let (source, target) = (move_.source_of(direction), move_.target_of(direction));
    let n = move_.n.connect("stream routes").await?;
    let target_oids = oids_at_target(&n, move_).await?;
    let starts: BTreeMap<Oid, Lsn> = cleave_journal::copied_tables(&*n, &move_.stream(Direction::Forward))
        .await?
        .into_iter()
        .map(|copied| (copied.source_oid, copied.start))
        .collect();
    let detached: BTreeMap<Oid, u32> = match direction {
        Direction::Forward => cleave_journal::detached_tables(&*n, &move_.stream(direction)).await?,
        Direction::Back => Vec::new(),
    }
    .into_iter()
    .map(|table| (table.source_oid, table.part))
    .collect();
    // A table is followed by one stream: its group's, or the one of the others.
    let (ours, others): (Vec<_>, Vec<_>) =
        move_.plan.row_tables().partition(|table| detached.get(&table.oid()).copied() == part);
    let routes = ours.into_iter().map(|table| {
        let n_oid = target_oids.get(&table.source_oid).copied().unwrap_or_default();
        let (source_oid, target_oid, start) = match direction {
            Direction::Forward => (table.oid(), n_oid, starts.get(&table.oid()).copied().unwrap_or_default()),
            Direction::Back => (n_oid, table.oid(), Lsn::default()),
        };
        Route {
            source_oid,
            target_oid,
            columns: columns(table, may_be_always(move_, direction)),
            identity: identity(table),
            start,
        }
    });
    Ok(FollowSpec {
        service: move_.service.clone(),
        direction,
        source_name: source.name.clone(),
        target_name: target.name.clone(),
        source: source.endpoint.clone(),
        target: target.endpoint.clone(),
        slot: part.map_or_else(|| move_.slot(direction), |part| move_.part_slot(part)),
        part,
        publication: labels::publication(&move_.service, direction),
        routes: routes.collect(),
        left_out: match direction {
            Direction::Forward => others.iter().map(|table| table.oid()).collect(),
            Direction::Back => HashSet::new(),
        },
        follows_columns: direction == Direction::Forward && move_.follows_columns,
        lease: move_.target_lease_of(direction).clone(),
        options: FollowOptions {
            memory_bytes: usize::try_from(move_.limits.memory_bytes / 8).unwrap_or(32 << 20),
            spool_bytes: move_.limits.spool_bytes,
            ..FollowOptions::default()
        },
    })
}

/// True if identity columns of the target may be `GENERATED ALWAYS`: those of M are as they were; at the new home of a service
/// they are BY DEFAULT while the move is open, and of an upgrade as on M.
fn may_be_always(move_: &MoveContext, direction: Direction) -> bool {
    direction == Direction::Back || move_.plan.whole.is_some()
}

fn columns(table: &PlannedTable, may_be_always: bool) -> Vec<ColumnRoute> {
    table
        .columns
        .iter()
        .map(|column| ColumnRoute {
            number: column.number,
            source_name: Ident::new(column.name.as_str()),
            target_name: Ident::new(column.name.as_str()),
            identity_always: column.identity_always && may_be_always,
        })
        .collect()
}

fn identity(table: &PlannedTable) -> Identity {
    match &table.identity {
        Some(RowIdentity::Key(columns)) => {
            Identity::Key(columns.iter().map(|name| Ident::new(name.as_str())).collect())
        }
        Some(RowIdentity::Full) | None => Identity::Full,
    }
}

/// OIDs of the moved tables at the new home, by their OID on the source. All must be there.
pub(crate) async fn oids_at_target(
    n: &Session,
    move_: &MoveContext,
) -> Result<BTreeMap<u32, Oid>, EngineError> {
    let names: Vec<String> =
        move_.plan.tables.iter().map(|table| table.target.qualified().quoted()).collect();
    let rows = n
        .query(
            "select pg_catalog.to_regclass(n)::oid from pg_catalog.unnest($1::text[]) with ordinality u(n, at) order by at",
            &[&names],
        )
        .await
        .during("looking up the tables at the new home")?;
    let mut oids = BTreeMap::new();
    for (table, row) in move_.plan.tables.iter().zip(rows) {
        let oid: Option<u32> = row.get(0);
        let oid = oid.ok_or_else(|| {
            EngineError::gate(
                "C0709",
                format!("table {} is no longer there in {}", table.target.qualified(), move_.n.name),
            )
        })?;
        oids.insert(table.source_oid, Oid(oid));
    }
    Ok(oids)
}
