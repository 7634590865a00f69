//! `apply`: makes the parts, the triggers, fills the parts, proves the keys, compares. Every step finds out what is there
//! and does the rest; nothing that applications see changes.

use super::work::{Budget, Records, SplitWork, Started, lock_timeout};
use crate::{Answer, EngineError, switch::sql};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::Epoch;
use cleave_pg::{During, Session};
use cleave_plan::{Weight, split::SplitPlan};
use serde_json::json;
use std::time::{Duration, Instant};

const ROWS_FIRST: i32 = 1_000;
const ROWS_MAX: i32 = 20_000;

/// A batch is made so big that it takes about this long: writers of its rows wait for it.
const BATCH_AIM: Duration = Duration::from_millis(100);

impl SplitWork {
    /// From nothing, or from where an earlier run was, to parts that are equal to the table.
    pub(super) async fn apply(&self) -> Result<Answer, EngineError> {
        let session = self.site.connect("split").await?;
        let started = match self.row(&session).await? {
            Some(row) if row.state.is_open() => {
                let plan = super::planning::stored(&row)?;
                Started { row, plan }
            }
            _ => self.start(&session).await?,
        };
        let state = started.row.state;
        if matches!(state, MoveState::Switched | MoveState::Completing) {
            return Err(self.wrong_state(state.as_str(), "apply", Some("complete")));
        }
        if state == MoveState::Planned {
            self.prepare(&session, &started).await?;
        }
        if matches!(state, MoveState::Planned | MoveState::Prepared) {
            self.hang_triggers(&session, &started).await?;
        }
        if state != MoveState::Following {
            self.fill(&session, &started).await?;
        }
        self.keys_to_parts(&session, &started).await?;
        self.compare(&session, &started).await?;
        self.answer(&session).await
    }

    async fn start(&self, session: &Session) -> Result<Started, EngineError> {
        let wish = super::configured(&self.topology, &self.name)
            .ok_or_else(|| super::planning::no_such_split(&self.topology, &self.name))?;
        let plan = super::planning::fresh(&self.topology, wish, session).await?;
        refuse(self, &plan)?;
        sql(session, "begin").await?;
        self.lease.check(&**session).await?;
        let database = self.database();
        let kept = super::planning::kept(&plan)?;
        let id = MoveRow::start(&**session, &self.name, (database, database), &kept, "").await?;
        cleave_journal::insert_owner(&**session, &self.name, database, Epoch(0)).await?;
        self.journal(session, id, "split.plan", EntryEvent::Done, &json!({ "counts": plan.counts })).await?;
        sql(session, "commit").await?;
        cleave_failpoint::hit_async("split.planned").await;
        let row = self.row(session).await?.ok_or_else(|| self.wrong_state("not started", "apply", None))?;
        Ok(Started { row, plan })
    }

    /// Parts, functions, keys to other tables. Nobody reads or writes any of it yet.
    async fn prepare(&self, session: &Session, started: &Started) -> Result<(), EngineError> {
        let plan = &started.plan;
        let places: Vec<String> = plan.parts.iter().map(|part| part.place.qualified().to_string()).collect();
        let step = self.events.step(&self.name, "split.prepare", format!("makes {}", places.join(", ")));
        cleave_failpoint::hit_async("split.prepare.before").await;
        let records = Records {
            step: "split.prepare",
            to: Some((&[MoveState::Planned], MoveState::Prepared)),
            epoch: None,
            pause: None,
        };
        let groups = [plan.script.prepare.clone()];
        let tables = plan.tables();
        self.transact(session, started.row.id, &groups, records, (Budget::None, &tables)).await?;
        cleave_failpoint::hit_async("split.prepare.after").await;
        step.finish("the parts are there, empty and closed to writers");
        Ok(())
    }

    /// All triggers in one transaction: from its commit on no change of a row, or of what reaches it, is missed.
    async fn hang_triggers(&self, session: &Session, started: &Started) -> Result<(), EngineError> {
        let (plan, script) = (&started.plan, &started.plan.script);
        let tables = plan.tables();
        let summary = format!("hangs triggers on {} tables; writers wait for a moment", tables.len());
        let step = self.events.step(&self.name, "split.triggers", summary);
        cleave_failpoint::hit_async("split.triggers.before").await;
        let mut groups = vec![script.table_triggers.clone()];
        groups.extend(script.references.iter().map(|reference| reference.triggers.clone()));
        let records = Records {
            step: "split.triggers",
            to: Some((&[MoveState::Prepared], MoveState::Copying)),
            epoch: None,
            pause: None,
        };
        self.transact(session, started.row.id, &groups, records, (Budget::WritePause, &tables)).await?;
        cleave_failpoint::hit_async("split.triggers.after").await;
        step.finish("changes go to the parts in the transactions that make them");
        Ok(())
    }

    /// Places every row that no trigger has placed yet, in small transactions in the order of keys.
    async fn fill(&self, session: &Session, started: &Started) -> Result<(), EngineError> {
        let plan = &started.plan;
        let summary = format!("places the rows of {}", plan.table.qualified());
        let step = self.events.step(&self.name, "split.fill", summary);
        let lock = lock_timeout(session, self.limits().lock_timeout).await?;
        sql(session, &format!("set lock_timeout = '{lock}ms'; set statement_timeout = 0")).await?;
        let (mut size, mut rows, mut waited) = (ROWS_FIRST, 0_u64, Instant::now());
        loop {
            self.check_cancelled()?;
            let began = Instant::now();
            match self.fill_batch(session, plan, size).await {
                Ok(0) => break,
                Ok(looked) => {
                    rows += looked;
                    size = next_size(size, began.elapsed());
                    waited = Instant::now();
                    self.hold_back(plan, looked, began.elapsed()).await;
                }
                Err(error) if matches!(error.sqlstate(), Some("55P03" | "40P01")) => {
                    sql(session, "rollback").await?;
                    // A row whose writer does not end is waited for alone.
                    size = (size / 4).max(1);
                    if waited.elapsed() > self.limits().lock_budget {
                        return Err(self.stuck(session, plan).await);
                    }
                    tokio::time::sleep(BATCH_AIM).await;
                }
                Err(error) => return Err(error),
            }
        }
        cleave_failpoint::hit_async("split.fill.before").await;
        let analyze: Vec<String> =
            plan.places().iter().map(|place| format!("analyze {}", place.quoted())).collect();
        let records = Records {
            step: "split.fill",
            to: Some((&[MoveState::Copying], MoveState::Following)),
            epoch: None,
            pause: None,
        };
        self.transact(session, started.row.id, &[analyze], records, (Budget::None, &plan.tables())).await?;
        cleave_failpoint::hit_async("split.fill.after").await;
        step.finish(format!("{rows} rows looked at"));
        Ok(())
    }

    async fn fill_batch(&self, session: &Session, plan: &SplitPlan, size: i32) -> Result<u64, EngineError> {
        sql(session, "begin isolation level read committed").await?;
        self.lease.check(&**session).await?;
        let row = session.query_one(&plan.script.fill, &[&size]).await.during("filling the parts")?;
        cleave_failpoint::hit_async("split.fill.batch").await;
        sql(session, "commit").await?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
    }

    /// As `copy_rate` wishes.
    async fn hold_back(&self, plan: &SplitPlan, rows: u64, took: Duration) {
        let wished = self.topology.wishes().copy_bytes_per_second;
        let Some(rate) = wished.or(self.limits().copy_bytes_per_second).filter(|rate| *rate > 0) else {
            return;
        };
        let bytes = plan.bytes.checked_div(plan.rows.max(1)).unwrap_or(0) * rows;
        let due = Duration::from_millis(bytes.saturating_mul(1000) / rate);
        tokio::select! {
            () = tokio::time::sleep(due.saturating_sub(took)) => {}
            () = self.cancelled.cancelled() => {}
        }
    }

    async fn stuck(&self, session: &Session, plan: &SplitPlan) -> EngineError {
        let holders = crate::switch::describe_holders(session, &plan.tables()).await;
        EngineError::gate("C0703", format!("rows could not be placed within lock_budget: {holders}"))
            .hint("wait for it to end, or end it; then run the command again")
    }
}

fn next_size(size: i32, took: Duration) -> i32 {
    if took > BATCH_AIM * 2 {
        (size / 2).max(1)
    } else if took < BATCH_AIM {
        (size * 2).min(ROWS_MAX)
    } else {
        size
    }
}

fn refuse(work: &SplitWork, plan: &SplitPlan) -> Result<(), EngineError> {
    if !plan.is_refused() {
        return Ok(());
    }
    let refusals = plan.findings.iter().filter(|finding| finding.weight == Weight::Refusal);
    let findings: Vec<String> =
        refusals.map(|finding| format!("{} {}: {}", finding.code, finding.object, finding.message)).collect();
    Err(EngineError::Refused { service: work.name.clone(), count: findings.len(), findings })
}
