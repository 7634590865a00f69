//! One split with all that its steps need.

use crate::hooks::{self, HookSite, Moment, Occasion};
use crate::{Answer, EngineError, Events, Site, Topology, switch::describe_holders};
use cleave_config::Limits;
use cleave_journal::{EntryEvent, Lease, MoveRow, MoveState};
use cleave_model::{DatabaseName, Epoch, QualifiedName, ServiceName};
use cleave_pg::{During, Session};
use cleave_plan::split::SplitPlan;
use cleave_stream::Cancelled;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A split under this engine's lease.
pub(super) struct SplitWork {
    pub(super) topology: Topology,
    pub(super) name: ServiceName,
    pub(super) site: Site,
    pub(super) lease: Lease,
    pub(super) events: Events,
    pub(super) cancelled: Cancelled,
}

/// A split that has been started, with its plan.
pub(super) struct Started {
    pub(super) row: MoveRow,
    pub(super) plan: SplitPlan,
}

/// What one transaction of a step does beside its statements.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Records<'a> {
    /// The step's name in the journal.
    pub(super) step: &'a str,
    /// The state it leads to, and those it may start from.
    pub(super) to: Option<(&'a [MoveState], MoveState)>,
    /// The epoch it raises the owner row to.
    pub(super) epoch: Option<Epoch>,
    /// The user's commands that run before it commits.
    pub(super) pause: Option<Pause<'a>>,
}

/// A switch whose commands run while writers wait, and a session outside its transaction that keeps their ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause<'a> {
    pub(super) journal: &'a Session,
    pub(super) occasion: Occasion<'a>,
}

/// How long a transaction of a step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// Writers wait for its locks.
    WritePause,
    /// Nobody waits for it.
    None,
}

impl SplitWork {
    pub(super) fn new(
        topology: &Topology,
        name: &ServiceName,
        site: &Site,
        lease: Lease,
        (events, cancelled): (&Events, &Cancelled),
    ) -> Self {
        Self {
            topology: topology.clone(),
            name: name.clone(),
            site: site.clone(),
            lease,
            events: events.clone(),
            cancelled: cancelled.clone(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.topology.config().limits
    }

    pub(super) fn database(&self) -> &DatabaseName {
        &self.site.name
    }

    pub(super) fn check_cancelled(&self) -> Result<(), EngineError> {
        if self.cancelled.is_cancelled() { Err(EngineError::Interrupted) } else { Ok(()) }
    }

    /// The split's row, open or ended.
    pub(super) async fn row(&self, session: &Session) -> Result<Option<MoveRow>, EngineError> {
        Ok(MoveRow::read(&**session, &self.name).await?)
    }

    /// The open split; an error that names the next verb when there is none.
    pub(super) async fn started(
        &self,
        session: &Session,
        verb: &'static str,
        allowed: &[MoveState],
        next: Option<&'static str>,
    ) -> Result<Started, EngineError> {
        match self.row(session).await? {
            Some(row) if allowed.contains(&row.state) => {
                let plan = super::planning::stored(&row)?;
                Ok(Started { row, plan })
            }
            Some(row) => Err(self.wrong_state(row.state.as_str(), verb, next)),
            None => Err(self.wrong_state("not started", verb, Some("apply"))),
        }
    }

    pub(super) fn wrong_state(
        &self,
        state: &str,
        verb: &'static str,
        next: Option<&'static str>,
    ) -> EngineError {
        EngineError::WrongState { service: self.name.clone(), state: state.to_owned(), verb, next }
    }

    pub(super) async fn answer(&self, session: &Session) -> Result<Answer, EngineError> {
        let state = self.row(session).await?.map_or("not started", |row| row.state.as_str());
        Ok(Answer::State(state.to_owned()))
    }

    pub(super) async fn note_reason(&self, verb: &str) -> Result<(), EngineError> {
        let Some(reason) = self.topology.wishes().reason.clone() else { return Ok(()) };
        let session = self.site.connect("journal").await?;
        let Some(row) = self.row(&session).await? else { return Ok(()) };
        let detail = json!({ "reason": reason });
        self.journal(&session, row.id, verb, EntryEvent::Note, &detail).await
    }

    pub(super) async fn journal(
        &self,
        session: &Session,
        incarnation: i64,
        step: &str,
        event: EntryEvent,
        detail: &Value,
    ) -> Result<(), EngineError> {
        let (client, name) = (&**session, &self.name);
        Ok(cleave_journal::append(client, &self.lease, name, incarnation, step, event, detail).await?)
    }

    /// Runs groups of statements in one transaction that also checks the lease and writes the records, again and again
    /// until its locks could be had or `lock_budget` is used up. Every other attempt takes the groups in the other order:
    /// applications take tables in both. Returns how long the attempt that worked took.
    pub(super) async fn transact(
        &self,
        session: &Session,
        incarnation: i64,
        groups: &[Vec<String>],
        records: Records<'_>,
        (budget, tables): (Budget, &[QualifiedName]),
    ) -> Result<Duration, EngineError> {
        let (began, mut wait, mut attempt) = (Instant::now(), WAIT_MIN, 0_u32);
        self.limit(session, budget).await?;
        loop {
            let order: Vec<&Vec<String>> =
                if attempt % 2 == 0 { groups.iter().collect() } else { groups.iter().rev().collect() };
            let tried = Instant::now();
            let statements: Vec<String> = order.into_iter().flatten().cloned().collect();
            let error = match self.attempt(session, incarnation, &statements, (records, tried)).await {
                Ok(()) => return Ok(tried.elapsed()),
                Err(error) => error,
            };
            crate::switch::sql(session, "rollback").await?;
            let busy = match error.sqlstate() {
                Some("55P03" | "40P01") => true,
                Some("57014") => budget == Budget::WritePause,
                _ => false,
            };
            if !busy {
                return Err(error);
            }
            if began.elapsed() + wait > self.limits().lock_budget {
                let holders = describe_holders(session, tables).await;
                let message = format!("a lock could not be had within lock_budget: {holders}");
                return Err(EngineError::gate("C0703", message)
                    .hint("wait for it to end, or end it; then run the command again"));
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.cancelled.cancelled() => return Err(EngineError::Interrupted),
            }
            wait = (wait * 2).min(WAIT_MAX);
            attempt += 1;
        }
    }

    /// A lock is waited for shorter than the server takes to look for deadlocks, so that it never ends a client for us.
    async fn limit(&self, session: &Session, budget: Budget) -> Result<(), EngineError> {
        let lock = lock_timeout(session, self.limits().lock_timeout).await?;
        let statement = match budget {
            Budget::WritePause => self.limits().write_pause.as_millis(),
            Budget::None => 0,
        };
        crate::switch::sql(
            session,
            &format!(
                "set lock_timeout = '{lock}ms'; set statement_timeout = '{statement}ms'; set search_path = ''"
            ),
        )
        .await
    }

    async fn attempt(
        &self,
        session: &Session,
        incarnation: i64,
        statements: &[String],
        (records, began): (Records<'_>, Instant),
    ) -> Result<(), EngineError> {
        let script = format!("begin isolation level read committed;\n{}", statements.join(";\n"));
        crate::switch::sql(session, &script).await?;
        self.lease.check(&**session).await?;
        if let Some((from, to)) = records.to {
            MoveRow::transition(&**session, &self.name, from, to).await?;
        }
        if let Some(epoch) = records.epoch {
            cleave_journal::set_owner(&**session, &self.name, self.database(), epoch).await?;
        }
        self.journal(session, incarnation, records.step, EntryEvent::Done, &json!({})).await?;
        if let Some(pause) = records.pause {
            let left = self.limits().write_pause.saturating_sub(began.elapsed());
            self.hooks(incarnation, Moment::InPause, pause, left).await?;
        }
        crate::switch::sql(session, "commit").await
    }

    /// Runs the user's commands of a moment, within `limit` and what cleave.toml allows.
    pub(super) async fn hooks(
        &self,
        incarnation: i64,
        moment: Moment,
        pause: Pause<'_>,
        limit: Duration,
    ) -> Result<(), EngineError> {
        let hooks = &self.topology.config().hooks;
        let site = HookSite {
            hooks,
            folder: self.topology.folder(),
            service: &self.name,
            incarnation,
            lease: &self.lease,
            events: &self.events,
        };
        hooks::run(site, pause.journal, moment, pause.occasion, limit.min(hooks.limit)).await
    }
}

/// In milliseconds: the limit of cleave.toml, and less than `deadlock_timeout`.
pub(super) async fn lock_timeout(session: &Session, limit: Duration) -> Result<u128, EngineError> {
    const SQL: &str = "select setting::bigint from pg_catalog.pg_settings where name = 'deadlock_timeout'";
    let row = session.query_one(SQL, &[]).await.during("reading deadlock_timeout")?;
    let deadlock_ms = u128::try_from(row.get::<_, i64>(0)).unwrap_or(1000);
    Ok(limit.as_millis().min(deadlock_ms / 2).max(1))
}
