//! Gates, bridge and fence: from "nobody notices" to "writers wait".

use super::{locks, run::Switch};
use crate::{
    EngineError,
    hooks::{self, Moment, Occasion},
};
use cleave_journal::EntryEvent;
use cleave_model::{QualifiedName, ServiceName, labels};
use cleave_pg::{During, Session};
use cleave_plan::cutover::{Round, Step};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// T, and in a rollback TN: open transactions that die with their sessions.
pub(super) struct Held {
    pub(super) t: Session,
    pub(super) tn: Option<Session>,
}

/// Runs statements in one round trip, as one implicit transaction unless one is open.
pub(crate) async fn sql(session: &Session, statements: &str) -> Result<(), EngineError> {
    Ok(session.batch_execute(statements).await.during("a step of the switch")?)
}

/// Statements joined for one round trip.
pub(crate) fn script(statements: &[String]) -> String {
    statements.join(";\n")
}

impl Switch<'_> {
    /// The gates that are about this very moment; those about the move's state were checked before the round.
    pub(super) async fn gates(&mut self) -> Result<(), EngineError> {
        self.round_trip().await?;
        self.move_autovacuum_away().await
    }

    /// An unfenced marker makes the round trip in under a third of the budget, or the pause could not end in time.
    async fn round_trip(&self) -> Result<(), EngineError> {
        let marker = self.new_marker("rehearsal");
        let limit = self.move_.limits.write_pause / 3;
        let began = Instant::now();
        self.emit(&marker).await?;
        let stream = self.streams.feeding_new_home(self.round)?;
        // A stream that was idle may need to be woken by its first change: three tries are fair.
        if stream.wait_for_marker(&marker, limit.max(Duration::from_millis(50)) * 3).await {
            if began.elapsed() <= limit {
                return Ok(());
            }
            let again = self.new_marker("rehearsal_2");
            let began = Instant::now();
            self.emit(&again).await?;
            if stream.wait_for_marker(&again, limit).await && began.elapsed() <= limit {
                return Ok(());
            }
        }
        let message = format!(
            "a marker did not make the round trip within {} ms, a third of write_pause",
            limit.as_millis()
        );
        Err(EngineError::gate("C0702", message)
            .hint("let the stream catch up (`cleave status`), raise write_pause, or try at a quieter time"))
    }

    /// Autovacuum holds SHARE UPDATE EXCLUSIVE and gives way only to a request that waits longer than
    /// `deadlock_timeout`; ours in T are shorter. So ask for the same lock first, which no writer minds.
    async fn move_autovacuum_away(&self) -> Result<(), EngineError> {
        let home = if self.round == Round::Cutover { &self.move_.m } else { &self.move_.n };
        let session = home.connect("gates").await?;
        for table in self.move_.plan.row_tables() {
            let name = if self.round == Round::Cutover { &table.source } else { &table.target };
            let statements = format!(
                "begin; set local lock_timeout = '3s'; lock table only {} in share update exclusive mode; commit",
                name.qualified().quoted()
            );
            let began = Instant::now();
            while let Err(error) = sql(&session, &statements).await {
                sql(&session, "rollback").await?;
                if error.sqlstate() != Some("55P03") {
                    return Err(error);
                }
                // Each try waits 3 s, so this is no busy loop.
                if self.waits_for_blockers(began.elapsed()) || self.end_blockers(began.elapsed()).await > 0 {
                    continue;
                }
                let holders = locks::describe_holders(&session, &[name.qualified()]).await;
                let message = format!("{} is locked and does not become free: {holders}", name.qualified());
                return Err(EngineError::gate("C0703", message).hint("wait for it to end, or end it"));
            }
        }
        Ok(())
    }

    /// Makes the bridge ready under names that nobody uses, and its role with a password that nobody else knows.
    pub(super) async fn prepare_bridge(&mut self) -> Result<(), EngineError> {
        if self.move_.plan.whole.is_some() {
            return self.prepare_fence().await;
        }
        self.drop_bridge().await?;
        cleave_failpoint::hit_async("bridge.dropped").await;
        let password = crate::secret::password(&self.m).await?;
        crate::secret::bridge_role(self.move_, &self.n, &self.script.bridge_role, &password).await?;
        cleave_failpoint::hit_async("bridge.role").await;
        let mapping = cleave_ddl::bridge::user_mapping(&self.move_.service, &password);
        let session = self.move_.m.connect("bridge").await?;
        sql(&session, "begin; set local synchronous_commit = on").await?;
        self.move_.m_lease.check(&*session).await?;
        let mut statements = self.script.bridge.clone();
        statements.extend([mapping, "commit".to_owned()]);
        sql(&session, &script(&statements)).await?;
        cleave_failpoint::hit_async("bridge.made").await;
        self.store_script(&session).await
    }

    /// The rollback of this cutover runs what is stored here, so this entry has to be there for good.
    async fn store_script(&self, session: &Session) -> Result<(), EngineError> {
        let detail = serde_json::to_value(&self.script).map_err(|error| EngineError::Stored {
            what: "the switch's script".to_owned(),
            reason: error.to_string(),
        })?;
        let step = self.step_name(Step::Bridge);
        self.move_
            .journal_m(
                &**session,
                &step,
                EntryEvent::Note,
                &json!({ "epoch": self.epoch.0, "script": detail }),
            )
            .await
    }

    /// An upgrade has no bridge, but the fence of the old side: open as yet, so that the pause has no trigger to make. It
    /// stays when the round is undone, and is there for the next one.
    async fn prepare_fence(&self) -> Result<(), EngineError> {
        let session = self.move_.m.connect("fence").await?;
        sql(&session, "set synchronous_commit = on").await?;
        let (open, triggers) = cleave_plan::old_fence(&self.move_.plan, &self.move_.service);
        self.move_.m_lease.check(&*session).await?;
        sql(&session, &open).await?;
        let fenced = fenced_tables(&session, &self.move_.service).await?;
        for (table, statements) in triggers {
            if !fenced.contains(&table) {
                crate::steps::with_ladder(self.move_, &session, &statements, std::slice::from_ref(&table))
                    .await?;
            }
        }
        cleave_failpoint::hit_async("bridge.made").await;
        self.store_script(&session).await
    }

    /// Drops what [`Self::prepare_bridge`] made. Nothing when it is not there.
    pub(super) async fn drop_bridge(&mut self) -> Result<(), EngineError> {
        if self.move_.plan.whole.is_some() {
            return Ok(());
        }
        let service = &self.move_.service;
        let session = self.move_.m.connect("bridge").await?;
        sql(&session, "begin").await?;
        // The bridge that another engine has put in place meanwhile hangs on the same server.
        self.move_.m_lease.check(&*session).await?;
        let statements = format!(
            "drop schema if exists {} cascade; drop schema if exists {} cascade; drop server if exists {} cascade; commit",
            labels::bridge_view_schema(service).quoted(),
            labels::bridge_schema(service).quoted(),
            labels::foreign_server(service).quoted()
        );
        sql(&session, &statements).await
    }

    /// The pooler's clients wait from here. Half of the pause is theirs to end their transactions.
    pub(super) async fn hold_pool(&mut self) -> Result<(), EngineError> {
        let Some(pooler) = &self.move_.pooler else { return Ok(()) };
        self.ladder_began.get_or_insert_with(Instant::now);
        self.move_.check_cancelled()?;
        self.pause_began = Some(Instant::now());
        pooler.hold(self.move_.limits.write_pause / 2).await
    }

    /// They go on where they were.
    pub(super) async fn resume_pool(&mut self) -> Result<(), EngineError> {
        match &self.move_.pooler {
            Some(pooler) => pooler.resume().await,
            None => Ok(()),
        }
    }

    /// They go on at the new home.
    pub(super) async fn repoint_pool(&mut self) -> Result<(), EngineError> {
        match &self.move_.pooler {
            Some(pooler) => pooler.repoint(self.move_, self.round).await,
            None => Ok(()),
        }
    }

    /// Begins T (and TN) and takes the locks: from here writers wait.
    pub(super) async fn fence(&mut self) -> Result<(), EngineError> {
        self.attempts += 1;
        self.ladder_began.get_or_insert_with(Instant::now);
        // The ladder may be long; before the next rung there is nothing to lose.
        self.move_.check_cancelled()?;
        let t = self.begin(&self.move_.m, "switch T").await?;
        // Connecting takes milliseconds that writers need not wait for.
        let tn = match self.round {
            Round::Cutover => None,
            Round::Rollback => Some(self.begin(&self.move_.n, "switch TN").await?),
        };
        let row = t
            .query_one("select pg_catalog.pg_current_xact_id()::text, pg_catalog.pg_backend_pid()", &[])
            .await
            .during("giving T its number")?;
        let (xid, pid): (String, i32) = (row.get(0), row.get(1));
        let detail = json!({ "xid": xid, "pid": pid, "epoch": self.epoch.0 });
        self.move_.journal_m(&*self.m, &self.step_name(Step::Fence), EntryEvent::Begin, &detail).await?;
        self.held = Some(Held { t, tn });
        // Clients of a pooler wait already.
        let began = *self.pause_began.get_or_insert_with(Instant::now);
        let left = self.move_.limits.write_pause.saturating_sub(began.elapsed());
        // Each lock has its own limit, the first ones are held while the last is waited for: their sum has a limit too.
        match tokio::time::timeout(left, self.lock()).await {
            Ok(result) => result,
            Err(_) => Err(EngineError::gate("C0701", "the locks could not all be had within write_pause")
                .hint("raise write_pause, lower lock_timeout, or try at a quieter time")),
        }
    }

    async fn lock(&mut self) -> Result<(), EngineError> {
        match self.round {
            Round::Cutover => self.fence_m().await,
            Round::Rollback => self.fence_both().await,
        }?;
        self.limit_idle_time().await
    }

    async fn begin(&self, site: &crate::Site, purpose: &str) -> Result<Session, EngineError> {
        let session = site.connect(purpose).await?;
        let limits = &self.move_.limits;
        let (pause, lock) = (limits.write_pause.as_millis(), self.ladder().attempt_ms(self.attempts));
        let mut statements = format!(
            "begin; set local lock_timeout = '{lock}ms'; set local statement_timeout = '{pause}ms';
             set local idle_in_transaction_session_timeout = '{pause}ms'; set local synchronous_commit = on"
        );
        if session.server_version_num() >= 170_000 {
            statements.push_str(&format!("; set local transaction_timeout = '{}ms'", pause * 2));
        }
        sql(&session, &statements).await?;
        Ok(session)
    }

    async fn fence_m(&mut self) -> Result<(), EngineError> {
        let held = self.held()?;
        let turned = self.attempts.is_multiple_of(2);
        let locks = if turned { &self.script.locks_turned } else { &self.script.locks };
        sql(&held.t, &script(locks)).await?;
        if self.move_.plan.whole.is_some() {
            crate::upgrade::strays::refuse(&held.t, &self.move_.m.name, &self.move_.plan).await?;
        }
        let found = cleave_pg::fingerprint(&held.t, &self.script.fingerprint_oids).await?;
        if found == self.fingerprint {
            return Ok(());
        }
        Err(EngineError::gate("C0704", "the tables were altered between the gates and the locks")
            .hint("run the command again; it makes its script anew"))
    }

    /// Rollback: first the bridge on M, so that nobody is on the way to N any more, then N itself. The bridge's role
    /// stays let through: nobody can come by it while T holds it, and if T dies after TN's commit, those who write
    /// through the old names go on at N at once, without waiting for somebody to repeat the command.
    async fn fence_both(&mut self) -> Result<(), EngineError> {
        let held = self.held()?;
        let back = &self.script.back;
        let turned = self.attempts.is_multiple_of(2);
        let locks = if turned { &back.bridge_locks_turned } else { &back.bridge_locks };
        sql(&held.t, &script(locks)).await?;
        let Some(tn) = &held.tn else {
            return Err(EngineError::gate(
                "C0705",
                "the switch's transaction at the new home is no longer open",
            ));
        };
        let mut statements = self.script.back.home_locks.clone();
        statements.push(self.script.target_fence.half_open.clone());
        sql(tn, &script(&statements)).await
    }

    /// The servers end T and TN by themselves when what is left of the pause passes without a word from us.
    async fn limit_idle_time(&self) -> Result<(), EngineError> {
        let left = self.remaining().unwrap_or_default().as_millis().max(1);
        let held = self.held()?;
        let statement = format!(
            "set local idle_in_transaction_session_timeout = '{left}ms'; set local statement_timeout = '{left}ms'"
        );
        sql(&held.t, &statement).await?;
        match &held.tn {
            Some(tn) => sql(tn, &statement).await,
            None => Ok(()),
        }
    }

    /// T as it stands; an error when an earlier failure has ended it.
    pub(super) fn held(&self) -> Result<&Held, EngineError> {
        self.held
            .as_ref()
            .ok_or_else(|| EngineError::gate("C0705", "the switch's transaction is no longer open"))
    }

    /// Ends T and TN without committing. A session that hangs is ended by the server, by pid.
    pub(super) async fn release(&mut self) -> Result<(), EngineError> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let wait = self.move_.limits.lock_timeout.max(Duration::from_millis(100));
        for (session, site) in [(Some(held.t), &self.move_.m), (held.tn, &self.move_.n)] {
            let Some(session) = session else { continue };
            let rolled_back = tokio::time::timeout(wait, sql(&session, "rollback")).await;
            if !matches!(rolled_back, Ok(Ok(()))) {
                let pid = session.backend_pid();
                drop(session);
                locks::terminate(site, pid).await?;
            }
        }
        Ok(())
    }

    /// A marker that no other round has used.
    pub(super) fn new_marker(&self, what: &str) -> String {
        let lease = self.move_.m_lease.epoch;
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        format!("{}/{}/{}/{lease}/{what}/{nanos}", self.move_.service, self.round.as_str(), self.epoch)
    }

    pub(super) async fn emit(&self, marker: &str) -> Result<(), EngineError> {
        self.marker_session
            .execute(
                "select pg_catalog.pg_logical_emit_message(true, $1, $2)",
                &[&labels::MESSAGE_MARKER, &marker],
            )
            .await
            .during("writing a marker")?;
        Ok(())
    }

    /// The marker behind the last write that the fence let through.
    pub(super) async fn write_marker(&mut self) -> Result<(), EngineError> {
        self.marker = self.new_marker("fence");
        let marker = self.marker.clone();
        self.emit(&marker).await
    }

    /// The user's commands of the pause. What is left of the budget is theirs at most, and nothing is decided yet.
    pub(super) async fn hooks_in_pause(&self) -> Result<(), EngineError> {
        let left = self.remaining().unwrap_or_default().min(self.move_.hooks.limit);
        let occasion = Occasion::of(self.move_, self.round, self.epoch);
        hooks::run(self.move_.into(), &self.m, Moment::InPause, occasion, left).await
    }

    /// Compares the rows that never held still before: now they do, and both sides have all of them.
    async fn compare_unproven(&mut self) -> Result<(), EngineError> {
        let Some(rows) = &self.unproven else { return Ok(()) };
        let differing = rows.differing(&self.held()?.t).await?;
        self.differing = differing;
        if differing == 0 {
            return Ok(());
        }
        let message = format!("{differing} rows that the verification had left unproven differ");
        Err(EngineError::gate("C0620", message).next(&["verify", self.move_.service.as_str()]))
    }

    /// Waits until the other side has applied and flushed the marker; the caller limits the wait.
    pub(super) async fn drain(&mut self) -> Result<(), EngineError> {
        let stream = self.streams.feeding_new_home(self.round)?;
        let left = self.remaining().unwrap_or_default();
        if stream.wait_for_marker(&self.marker, left).await {
            return self.compare_unproven().await;
        }
        let message = match stream.problem() {
            Some(problem) => format!("the stream stopped during the drain: {problem}"),
            None => "the stream did not reach the marker within write_pause".to_owned(),
        };
        Err(EngineError::gate("C0701", message))
    }
}

/// Tables that have the trigger of a service's fence, always enabled.
pub(crate) async fn fenced_tables(
    session: &Session,
    service: &ServiceName,
) -> Result<BTreeSet<QualifiedName>, EngineError> {
    let rows = session
        .query(
            "select n.nspname::text, c.relname::text
             from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             join pg_catalog.pg_proc p on p.oid = t.tgfoid
             where t.tgname = $1 and t.tgenabled = 'A' and p.proname = $2::text",
            &[&labels::FENCE_TRIGGER, &labels::fence_function(service).as_str()],
        )
        .await
        .during("looking for the fence")?;
    Ok(rows.iter().map(|row| QualifiedName::new(row.get::<_, &str>(0), row.get::<_, &str>(1))).collect())
}
