//! Gates, bridge and fence: from "nobody notices" to "writers wait".

use super::{locks, party::Party, run::Switch};
use crate::{
    EngineError,
    hooks::{self, Moment, Occasion},
};
use cleave_journal::EntryEvent;
use cleave_model::{QualifiedName, ServiceName, labels};
use cleave_pg::{During, Session};
use cleave_plan::cutover::{Round, Step};
use futures_util::future::{join_all, try_join_all};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Runs statements in one round trip, as one implicit transaction unless one is open.
pub(crate) async fn sql(session: &Session, statements: &str) -> Result<(), EngineError> {
    Ok(session.batch_execute(statements).await.during("a step of the switch")?)
}

/// Statements joined for one round trip.
pub(crate) fn script(statements: &[String]) -> String {
    statements.join(";\n")
}

impl Switch<'_> {
    /// The gates that are about this very moment; those about the moves' states were checked before the round.
    pub(super) async fn gates(&mut self) -> Result<(), EngineError> {
        for party in &self.parties {
            party.round_trip().await?;
        }
        for party in &self.parties {
            self.move_autovacuum_away(party).await?;
        }
        Ok(())
    }

    /// Autovacuum holds SHARE UPDATE EXCLUSIVE and gives way only to a request that waits longer than
    /// `deadlock_timeout`; ours in T are shorter. So ask for the same lock first, which no writer minds.
    async fn move_autovacuum_away(&self, party: &Party<'_>) -> Result<(), EngineError> {
        let home = if self.round == Round::Cutover { &party.move_.m } else { &party.move_.n };
        let session = home.connect("gates").await?;
        for table in party.move_.plan.row_tables() {
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

    /// Makes the bridges ready under names that nobody uses, and their roles with passwords that nobody else knows.
    pub(super) async fn prepare_bridge(&mut self) -> Result<(), EngineError> {
        for party in &self.parties {
            if party.move_.plan.whole.is_some() {
                self.prepare_fence(party).await?;
                continue;
            }
            drop_bridge(party).await?;
            cleave_failpoint::hit_async("bridge.dropped").await;
            let password = crate::secret::password(&self.m).await?;
            crate::secret::bridge_role(party.move_, &party.n, &party.script.bridge_role, &password).await?;
            cleave_failpoint::hit_async("bridge.role").await;
            let mapping = cleave_ddl::bridge::user_mapping(&party.move_.service, &password);
            let session = party.move_.m.connect("bridge").await?;
            sql(&session, "begin; set local synchronous_commit = on").await?;
            party.move_.m_lease.check(&*session).await?;
            let mut statements = party.script.bridge.clone();
            statements.extend([mapping, "commit".to_owned()]);
            sql(&session, &script(&statements)).await?;
            cleave_failpoint::hit_async("bridge.made").await;
            self.store_script(party, &session).await?;
        }
        Ok(())
    }

    /// The rollback of this cutover runs what is stored here, so this entry has to be there for good.
    async fn store_script(&self, party: &Party<'_>, session: &Session) -> Result<(), EngineError> {
        let unwritable = |error: serde_json::Error| EngineError::Stored {
            what: "the switch's script".to_owned(),
            reason: error.to_string(),
        };
        let detail = serde_json::to_value(&party.script).map_err(unwritable)?;
        let mut detail = json!({ "epoch": party.epoch.0, "script": detail });
        let own = party.move_.service.as_str();
        let between: Vec<_> =
            self.between.iter().filter(|key| key.services.iter().any(|service| service == own)).collect();
        if !between.is_empty() {
            detail["between"] = serde_json::to_value(between).map_err(unwritable)?;
        }
        party.journal(session, Step::Bridge, EntryEvent::Note, &detail).await
    }

    /// An upgrade has no bridge, but the fence of the old side: open as yet, so that the pause has no trigger to make. It
    /// stays when the round is undone, and is there for the next one.
    async fn prepare_fence(&self, party: &Party<'_>) -> Result<(), EngineError> {
        let move_ = party.move_;
        let session = move_.m.connect("fence").await?;
        sql(&session, "set synchronous_commit = on").await?;
        let (open, triggers) = cleave_plan::old_fence(&move_.plan, &move_.service);
        move_.m_lease.check(&*session).await?;
        sql(&session, &open).await?;
        let fenced = fenced_tables(&session, &move_.service).await?;
        for (table, statements) in triggers {
            if !fenced.contains(&table) {
                crate::steps::with_ladder(move_, &session, &statements, std::slice::from_ref(&table)).await?;
            }
        }
        cleave_failpoint::hit_async("bridge.made").await;
        self.store_script(party, &session).await
    }

    /// Drops what [`Self::prepare_bridge`] made. Nothing when it is not there.
    pub(super) async fn drop_bridge(&mut self) -> Result<(), EngineError> {
        for party in &self.parties {
            drop_bridge(party).await?;
        }
        Ok(())
    }

    /// The poolers' clients wait from here. Half of the pause is theirs to end their transactions.
    pub(super) async fn hold_pool(&mut self) -> Result<(), EngineError> {
        self.ladder_began.get_or_insert_with(Instant::now);
        self.move_.check_cancelled()?;
        self.pause_began = Some(Instant::now());
        // PgBouncer knows nothing of leases: who is to take this one over waits until it has answered, so that it is not
        // told to hold clients by an engine that woke up late.
        sql(&self.m, "begin").await?;
        let held = self.hold_under_lease().await;
        let ended = sql(&self.m, "rollback").await;
        held.and(ended)
    }

    async fn hold_under_lease(&self) -> Result<(), EngineError> {
        self.move_.m_lease.check(&*self.m).await?;
        let limit = self.move_.limits.write_pause / 2;
        let poolers = self.parties.iter().filter_map(|party| party.pooler.as_ref());
        try_join_all(poolers.map(|pooler| pooler.hold(limit))).await.map(|_| ())
    }

    /// They go on where they were.
    pub(super) async fn resume_pool(&mut self) -> Result<(), EngineError> {
        // One that does not answer must not keep the clients of another.
        let poolers = self.parties.iter().filter_map(|party| party.pooler.as_ref());
        let resumed = join_all(poolers.map(|pooler| pooler.resume())).await;
        resumed.into_iter().collect()
    }

    /// They go on at the new home.
    pub(super) async fn repoint_pool(&mut self) -> Result<(), EngineError> {
        // One after the other: several may have one file.
        let mut result = Ok(());
        for party in &self.parties {
            if let Some(pooler) = &party.pooler {
                result = result.and(pooler.repoint(party.move_, self.round).await);
            }
        }
        result
    }

    /// Begins T (and each TN) and takes the locks: from here writers wait.
    pub(super) async fn fence(&mut self) -> Result<(), EngineError> {
        self.attempts += 1;
        self.ladder_began.get_or_insert_with(Instant::now);
        // The ladder may be long; before the next rung there is nothing to lose.
        self.move_.check_cancelled()?;
        let t = self.begin(&self.move_.m, "switch T").await?;
        // Connecting takes milliseconds that writers need not wait for.
        if self.round == Round::Rollback {
            for at in 0..self.parties.len() {
                let tn = self.begin(&self.parties[at].move_.n, "switch TN").await?;
                self.parties[at].tn = Some(tn);
            }
        }
        let row = t
            .query_one("select pg_catalog.pg_current_xact_id()::text, pg_catalog.pg_backend_pid()", &[])
            .await
            .during("giving T its number")?;
        let (xid, pid): (String, i32) = (row.get(0), row.get(1));
        // Each service's own recovery finds T, whichever of them is taken up first.
        for party in &self.parties {
            let detail = json!({ "xid": xid, "pid": pid, "epoch": party.epoch.0 });
            party.journal(&self.m, Step::Fence, EntryEvent::Begin, &detail).await?;
        }
        self.t = Some(t);
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

    async fn lock(&self) -> Result<(), EngineError> {
        let turned = self.attempts.is_multiple_of(2);
        sql(self.t()?, &script(&self.locks[usize::from(turned)])).await?;
        match self.round {
            Round::Cutover => self.fence_m().await,
            // First the bridges on M, so that nobody is on the way to N any more, then N itself.
            Round::Rollback => try_join_all(self.parties.iter().map(Party::fence_n)).await.map(|_| ()),
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

    async fn fence_m(&self) -> Result<(), EngineError> {
        let t = self.t()?;
        for party in &self.parties {
            if party.move_.plan.whole.is_some() {
                crate::upgrade::strays::refuse(t, &party.move_.m.name, &party.move_.plan).await?;
            }
            party.is_unaltered(t).await?;
        }
        Ok(())
    }

    /// The servers end T and each TN by themselves when what is left of the pause passes without a word from us.
    async fn limit_idle_time(&self) -> Result<(), EngineError> {
        let left = self.remaining().unwrap_or_default().as_millis().max(1);
        let statement = format!(
            "set local idle_in_transaction_session_timeout = '{left}ms'; set local statement_timeout = '{left}ms'"
        );
        sql(self.t()?, &statement).await?;
        for tn in self.parties.iter().filter_map(|party| party.tn.as_ref()) {
            sql(tn, &statement).await?;
        }
        Ok(())
    }

    /// T as it stands; an error when an earlier failure has ended it.
    pub(super) fn t(&self) -> Result<&Session, EngineError> {
        self.t
            .as_ref()
            .ok_or_else(|| EngineError::gate("C0705", "the switch's transaction is no longer open"))
    }

    /// Lets go of T and each TN, whose sessions end with that.
    pub(super) fn forget_transactions(&mut self) {
        self.t = None;
        for party in &mut self.parties {
            party.tn = None;
        }
    }

    /// Ends T and each TN without committing. A session that hangs is ended by the server, by pid.
    pub(super) async fn release(&mut self) -> Result<(), EngineError> {
        let wait = self.move_.limits.lock_timeout.max(Duration::from_millis(100));
        let mut held = vec![(self.t.take(), &self.move_.m)];
        held.extend(self.parties.iter_mut().map(|party| (party.tn.take(), &party.move_.n)));
        for (session, site) in held {
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

    /// The markers behind the last writes that the fences let through.
    pub(super) async fn write_marker(&mut self) -> Result<(), EngineError> {
        try_join_all(self.parties.iter_mut().map(Party::write_marker)).await.map(|_| ())
    }

    /// The user's commands of the pause, for each service. What is left of the budget is theirs at most, and nothing is
    /// decided yet.
    pub(super) async fn hooks_in_pause(&self) -> Result<(), EngineError> {
        for party in &self.parties {
            let left = self.remaining().unwrap_or_default().min(self.move_.hooks.limit);
            let occasion =
                Occasion { services: &self.names, ..Occasion::of(party.move_, self.round, party.epoch) };
            hooks::run(party.move_.into(), &self.m, Moment::InPause, occasion, left).await?;
        }
        Ok(())
    }

    /// Waits until every other side has applied and flushed its marker; the caller limits the wait.
    pub(super) async fn drain(&mut self) -> Result<(), EngineError> {
        let left = self.remaining().unwrap_or_default();
        try_join_all(self.parties.iter().map(|party| party.drain(left))).await?;
        let Some(t) = &self.t else { return self.t().map(|_| ()) };
        for party in &mut self.parties {
            party.compare_unproven(t).await?;
        }
        Ok(())
    }
}

/// Drops the bridge of one service, where it was prepared and not put in place.
async fn drop_bridge(party: &Party<'_>) -> Result<(), EngineError> {
    if party.move_.plan.whole.is_some() {
        return Ok(());
    }
    let service = &party.move_.service;
    let session = party.move_.m.connect("bridge").await?;
    sql(&session, "begin").await?;
    // The bridge that another engine has put in place meanwhile hangs on the same server.
    party.move_.m_lease.check(&*session).await?;
    let statements = format!(
        "drop schema if exists {} cascade; drop schema if exists {} cascade; drop server if exists {} cascade; commit",
        labels::bridge_view_schema(service).quoted(),
        labels::bridge_schema(service).quoted(),
        labels::foreign_server(service).quoted()
    );
    sql(&session, &statements).await
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
