//! `verify --repair`: rows of the follower that differ are made those of the home, with the stream stopped and tagged as
//! the stream's own, and then everything is compared again. docs/design/verify.md argues why nothing newer is overwritten.

use super::{comparing::Compared, verify::settle};
use crate::{EngineError, VerifyOptions, runner::Runner};
use cleave_api::{RepairSummary, VerifyReport};
use cleave_journal::{EntryEvent, owner, owner_for_share};
use cleave_model::{QualifiedName, labels};
use cleave_pg::{During, Session};
use cleave_stream::{StreamError, connect_writer};
use cleave_verify::{Before, DifferenceKind, Found, Repair, Repaired, VerifyTable};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Rows repaired in one transaction.
const ROWS_MAX: usize = 500;
/// Beyond this a new copy is faster, and a list of keys takes memory.
const DIFFERENCES_MAX: usize = 100_000;
/// A process that was stopped while it repairs holds the follower's rows no longer than this.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// The server needs a moment to see that the stream's session has ended, and gives its origin to no other before.
const ORIGIN_TRIES: u32 = 100;
const ORIGIN_PAUSE: Duration = Duration::from_millis(50);

/// What tells the rows that differ apart, by table; those that the home does not have stand apart, as they may be in the way of others.
#[derive(Debug, Default)]
struct Differing {
    tables: BTreeMap<QualifiedName, [Vec<Vec<String>>; 2]>,
    count: usize,
}

impl Runner {
    /// Compares, repairs and compares again.
    pub(crate) async fn repair(&mut self, dry_run: bool) -> Result<VerifyReport, EngineError> {
        let differing = Arc::new(Mutex::new(Differing::default()));
        let compared = self.compare(&VerifyOptions::default(), Some(collect(&differing))).await?;
        let differing = std::mem::take(&mut *differing.lock().unwrap_or_else(PoisonError::into_inner));
        if differing.count > DIFFERENCES_MAX {
            let message =
                format!("{} rows differ: too many to repair one by one", compared.outcome.differing());
            let hint = format!("`cleave cancel {0}`, then `cleave apply {0}` copies anew", self.service);
            return Err(EngineError::gate("C0614", message).hint(hint));
        }
        if dry_run || differing.count == 0 {
            return Ok(compared.report);
        }
        let step = self.events.step(&self.service, "repair", format!("repairs {} rows", differing.count));
        let mut all = RepairSummary::default();
        // What the home does not have goes first: it may hold a key that a row of the home needs.
        for kind in 0..2 {
            for table in &compared.tables {
                let rows = differing.tables.get(&table.home_name).map_or(&[][..], |rows| &rows[kind]);
                for some in rows.chunks(ROWS_MAX) {
                    let done = Box::pin(self.repair_rows(&compared, table, some)).await?;
                    all.written += done.written;
                    all.removed += done.removed;
                    all.skipped += done.skipped;
                }
            }
        }
        let session = self.journal().await?;
        let detail = json!({ "written": all.written, "removed": all.removed, "skipped": all.skipped });
        compared.move_.journal_m(&*session, "repair", EntryEvent::Done, &detail).await?;
        step.finish(format!(
            "{} rows written, {} removed, {} left to look at again",
            all.written, all.removed, all.skipped
        ));
        let again = self.compare(&VerifyOptions::default(), None).await?;
        Ok(VerifyReport { repaired: Some(all), ..again.report })
    }

    /// Repairs some rows of a table while their stream stands still, and lets it go on whatever happens.
    async fn repair_rows(
        &mut self,
        compared: &Compared,
        table: &VerifyTable,
        rows: &[Vec<String>],
    ) -> Result<Repaired, EngineError> {
        let Compared { move_, direction, .. } = compared;
        let (home, follower) = (move_.source_of(*direction), move_.target_of(*direction));
        let repair = Repair::open(&home.endpoint, &follower.endpoint, table).await?;
        let stream = self.running(*direction)?;
        let prefix = format!("{}/repair/{}", self.service, self.m_lease.epoch);
        // The stream is stopped only if nobody else has a hand on it.
        let before = {
            let settle = settle(home.clone(), stream, prefix);
            repair.before(rows, &settle).await?
        };
        self.streams.stop(*direction).await;
        cleave_failpoint::hit_async("repair.stopped").await;
        let repaired = Box::pin(write(compared, &repair, &before)).await;
        let started = self.streams.start(move_, compared.state).await;
        let repaired = repaired?;
        started?;
        Ok(repaired)
    }
}

/// One transaction on the follower, tagged as the stream's, that holds the owner row and the lease.
async fn write(compared: &Compared, repair: &Repair, before: &Before) -> Result<Repaired, EngineError> {
    let Compared { move_, direction, .. } = compared;
    let writer = tagged(compared).await?;
    writer.batch_execute("begin").await.during("beginning to repair")?;
    home_decides(compared, &writer).await?;
    move_.target_lease_of(*direction).check(&*writer).await?;
    let repaired = repair.write(&writer, before).await?;
    cleave_failpoint::hit_async("repair.written").await;
    writer.batch_execute("commit").await.during("committing what was repaired")?;
    cleave_failpoint::hit_async("repair.committed").await;
    Ok(repaired)
}

/// Both owner rows must name the same home, the one that rows are taken from; the follower's is held.
async fn home_decides(compared: &Compared, writer: &Session) -> Result<(), EngineError> {
    let Compared { move_, direction, .. } = compared;
    let home = move_.source_of(*direction);
    let there = owner_for_share(&**writer, &move_.service).await?;
    let here = owner(&*home.connect("repair").await?, &move_.service).await?;
    let agreed = here.is_some_and(|here| here == there);
    if agreed && there.home == home.name && there.pending.is_none() {
        return Ok(());
    }
    let message = format!(
        "{} is not known to be the home of {} now: nothing is repaired from it",
        home.name, move_.service
    );
    Err(EngineError::gate("C0613", message)
        .hint("see `cleave status`; a switch that was not finished is finished by `cleave run`"))
}

/// A session whose transactions the other direction takes for the stream's.
async fn tagged(compared: &Compared) -> Result<Session, EngineError> {
    let Compared { move_, direction, .. } = compared;
    let follower = &move_.target_of(*direction).endpoint;
    let origin = labels::origin(&move_.service, *direction);
    let mut tries = 0;
    loop {
        match connect_writer(follower, "repair", &origin, IDLE_LIMIT).await {
            Err(StreamError::Server { source, .. })
                if source.sqlstate() == Some("55006") && tries < ORIGIN_TRIES =>
            {
                tries += 1;
                tokio::time::sleep(ORIGIN_PAUSE).await;
            }
            session => return Ok(session?),
        }
    }
}

/// Collects the keys of rows that differ.
fn collect(differing: &Arc<Mutex<Differing>>) -> Found {
    let differing = Arc::clone(differing);
    Arc::new(move |table, difference| {
        let mut differing = differing.lock().unwrap_or_else(PoisonError::into_inner);
        if difference.kind == DifferenceKind::Unproven {
            return;
        }
        differing.count += 1;
        if differing.count <= DIFFERENCES_MAX {
            let kind = usize::from(difference.kind != DifferenceKind::Extra);
            let rows = differing.tables.entry(table.home_name.clone()).or_default();
            rows[kind].push(difference.row.identity());
        }
    })
}
