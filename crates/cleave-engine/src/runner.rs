//! One service under this engine: its open move, its streams, and what an earlier run has left.

use crate::{
    EngineError, Events, Site, Topology, Wishes,
    context::{MoveContext, stored, stored_plan},
    lease::Leases,
    planning,
    streams::StreamPair,
    verbs::Watch,
};
use cleave_config::{OnDdl, Service};
use cleave_journal::{MoveRow, MoveState};
use cleave_model::ServiceName;
use cleave_pg::Session;
use cleave_plan::Plan;
use cleave_stream::Cancelled;
use std::time::{Duration, Instant};

/// Between two tries to take up what an earlier run has left.
const SETTLE_PAUSE: Duration = Duration::from_secs(5);

/// Runs the verbs of one service. Holds the leases of both sides through the engine that made it.
pub(crate) struct Runner {
    pub(crate) topology: Topology,
    /// What the operator of the verb that is executed says.
    pub(crate) wishes: Wishes,
    pub(crate) service: ServiceName,
    pub(crate) m: Site,
    pub(crate) n: Site,
    pub(crate) m_lease: cleave_journal::Lease,
    pub(crate) n_lease: cleave_journal::Lease,
    pub(crate) events: Events,
    pub(crate) cancelled: Cancelled,
    pub(crate) streams: StreamPair,
    /// The session that looks for verbs of other processes.
    pub(crate) idle: Option<Session>,
    /// When watched references were last looked at.
    pub(crate) references_looked: Option<Instant>,
    /// Comparisons behind the verbs' back.
    pub(crate) watch: Watch,
    /// The problem told last of the forward stream, and of the back stream.
    pub(crate) reported: [Option<String>; 2],
    /// Changes of columns by the forward stream that were taken up.
    pub(crate) reshaped: u64,
    /// Something of an earlier run is still to be finished or undone, or a stream could not be started.
    pub(crate) unsettled: bool,
    /// Services whose switch was begun together with the one that was taken up here: they need the same.
    pub(crate) fellows: Vec<ServiceName>,
    /// When that was tried last.
    settled_tried: Option<Instant>,
}

impl Runner {
    /// Takes the leases of both sides.
    pub(crate) async fn take(
        topology: &Topology,
        service: &ServiceName,
        leases: &mut Leases,
        events: &Events,
        cancelled: &Cancelled,
    ) -> Result<Self, EngineError> {
        let configured = planning::service(topology, service.as_str())?;
        let m = topology.site(&configured.from)?;
        let n = topology.site(&configured.home.value.database)?;
        Ok(Self {
            m_lease: leases.take(&m).await?,
            n_lease: leases.take(&n).await?,
            topology: topology.clone(),
            wishes: Wishes::default(),
            service: service.clone(),
            m,
            n,
            events: events.clone(),
            cancelled: cancelled.clone(),
            streams: StreamPair::default(),
            idle: None,
            references_looked: None,
            watch: Watch::default(),
            reported: [None, None],
            reshaped: 0,
            unsettled: false,
            fellows: Vec::new(),
            settled_tried: None,
        })
    }

    /// The service in cleave.toml.
    pub(crate) fn configured(&self) -> Result<&Service, EngineError> {
        planning::service(&self.topology, self.service.as_str())
    }

    /// Writes a note about the move into the journal, if there is a move.
    pub(crate) async fn note(&self, step: &str, detail: &serde_json::Value) -> Result<(), EngineError> {
        let Some(row) = self.row().await? else { return Ok(()) };
        let session = self.journal().await?;
        let event = cleave_journal::EntryEvent::Note;
        Ok(cleave_journal::append(&*session, &self.m_lease, &self.service, row.id, step, event, detail)
            .await?)
    }

    /// A session on M for the journal.
    pub(crate) async fn journal(&self) -> Result<Session, EngineError> {
        self.m.connect("journal").await
    }

    /// The move, open or ended.
    pub(crate) async fn row(&self) -> Result<Option<MoveRow>, EngineError> {
        Ok(MoveRow::read(&*self.journal().await?, &self.service).await?)
    }

    /// The open move; an error that names `apply` when there is none.
    pub(crate) async fn open_row(&self, verb: &'static str) -> Result<MoveRow, EngineError> {
        match self.row().await? {
            Some(row) if row.state.is_open() => Ok(row),
            Some(row) => Err(self.wrong_state(row.state.as_str(), verb, Some("apply"))),
            None => Err(self.wrong_state("not started", verb, Some("apply"))),
        }
    }

    pub(crate) fn wrong_state(
        &self,
        state: &str,
        verb: &'static str,
        next: Option<&'static str>,
    ) -> EngineError {
        EngineError::WrongState { service: self.service.clone(), state: state.to_owned(), verb, next }
    }

    /// Everything the steps of a move need.
    pub(crate) fn context(&self, row: &MoveRow) -> Result<MoveContext, EngineError> {
        let mut limits = self.topology.config().limits.clone();
        limits.copy_bytes_per_second = self.wishes.copy_bytes_per_second.or(limits.copy_bytes_per_second);
        let load = self.wishes.copy_load;
        limits.copy_lag_bytes_max = load.lag_bytes_max.or(limits.copy_lag_bytes_max);
        limits.copy_sessions_max = load.sessions_max.or(limits.copy_sessions_max);
        limits.copy_target_log_bytes_max = load.target_log_bytes_max.or(limits.copy_target_log_bytes_max);
        Ok(MoveContext {
            service: self.service.clone(),
            incarnation: row.id,
            plan: stored_plan(row)?,
            m: self.m.clone(),
            n: self.n.clone(),
            m_lease: self.m_lease.clone(),
            n_lease: self.n_lease.clone(),
            limits,
            terminate_blockers_after: self.wishes.terminate_blockers_after,
            follows_columns: self.configured()?.on_ddl == OnDdl::Follow,
            hooks: self.topology.config().hooks.clone(),
            pooler: self.topology.pooler(&self.service)?,
            folder: self.topology.folder().to_owned(),
            events: self.events.clone(),
            cancelled: self.cancelled.clone(),
        })
    }

    /// Takes up what is there: finishes or undoes a switch that an earlier run has begun, then starts the streams.
    pub(crate) async fn resume(&mut self) -> Result<(), EngineError> {
        self.settled_tried = Some(Instant::now());
        self.unsettled = true;
        if self.configured()?.schema_move.is_some() {
            // Its switch is one transaction, and nothing streams.
            self.unsettled = false;
            return Ok(());
        }
        let Some(row) = self.row().await?.filter(|row| row.state.is_open() || row.state == MoveState::Done)
        else {
            self.unsettled = false;
            return Ok(());
        };
        if row.state == MoveState::Done && matches!(stored(&row)?, Plan::Schema(_)) {
            // What comes next begins where a move inside the database has ended.
            self.unsettled = false;
            return Ok(());
        }
        // The streams and the switch take the columns from the plan on record.
        let row = match row.state.is_open() && self.bring_up_to_date(&row).await? {
            true => self.open_row("resume").await?,
            false => row,
        };
        let move_ = self.context(&row)?;
        // A switch is settled whether its streams run or not: writers may be waiting for it.
        let started = if row.paused { Ok(()) } else { self.streams.start(&move_, row.state).await };
        if self.recover_switch(&move_).await? && !row.paused {
            let row = self.open_row("resume").await?;
            self.streams.start(&move_, row.state).await?;
        } else {
            started?;
        }
        self.unsettled = false;
        Ok(())
    }

    /// [`Self::resume`], where its failure must not keep verbs away: `cancel` and `pause` are the ways out of most.
    /// What fails is told; the engine tries again now and then, and each verb that needs it says so.
    pub(crate) async fn take_up(&mut self) {
        if let Err(error) = Box::pin(self.resume()).await {
            self.events.tell(cleave_api::Event::Problem {
                service: Some(self.service.to_string()),
                problem: error.problem(),
            });
        }
    }

    /// Tries again what [`Self::take_up`] could not do.
    pub(crate) async fn take_up_again(&mut self) {
        if self.unsettled && self.settled_tried.is_none_or(|tried| tried.elapsed() >= SETTLE_PAUSE) {
            self.take_up().await;
        }
    }

    /// Before a verb that must not meet a switch that is neither finished nor undone: settles it.
    pub(crate) async fn settle_switch(&mut self) -> Result<(), EngineError> {
        if !self.unsettled {
            return Ok(());
        }
        let Some(row) = self.row().await?.filter(|row| row.state.is_open()) else { return Ok(()) };
        let move_ = self.context(&row)?;
        self.recover_switch(&move_).await.map(|_| ())
    }

    /// Stops the streams after their current transactions.
    pub(crate) async fn stop(&mut self) {
        self.end_watch().await;
        // What stopped a stream must be in the move's row before this process is gone; if the source cannot be
        // reached, the next engine finds the same.
        let _ = self.report_stopped_streams().await;
        self.streams.stop_all().await;
    }
}
