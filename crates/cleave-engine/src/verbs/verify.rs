//! `verify`: every row of both sides compared while both are written to. The result is a gate of `cutover`.

use crate::{
    EngineError, VerifyOptions,
    context::MoveContext,
    runner::Runner,
    streams::Stream,
    verdict::{self, Listing},
};
use cleave_api::{Event, VerifyReport};
use cleave_journal::{EntryEvent, MoveRow, MoveState, Verification, VerificationOutcome};
use cleave_model::{Direction, Ident, QualifiedName, labels};
use cleave_pg::Session;
use cleave_plan::{MovePlan, PlannedTable, RowIdentity};
use cleave_verify::{
    Found, Settle, VerifyError, VerifyOutcome, VerifyProgress, VerifySpec, VerifyTable, verify,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long the follower may take to reach a marker while rows are compared.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

/// Tables compared at a time where the user does not ask for more: each takes two connections on each side, beside those
/// of the streams.
const JOBS_MAX: usize = 2;

/// A comparison that was made and recorded.
pub(super) struct Compared {
    pub(super) move_: MoveContext,
    pub(super) state: MoveState,
    pub(super) direction: Direction,
    pub(super) tables: Vec<VerifyTable>,
    pub(super) outcome: VerifyOutcome,
    pub(super) report: VerifyReport,
}

impl Runner {
    /// Compares the home with the side that follows it and stores the result with what it is bound to.
    pub(crate) async fn verify(&mut self, options: &VerifyOptions) -> Result<VerifyReport, EngineError> {
        Ok(self.compare(options, None).await?.report)
    }

    /// The same; `found` is told of every difference, beside whom the options name.
    pub(super) async fn compare(
        &mut self,
        options: &VerifyOptions,
        found: Option<Found>,
    ) -> Result<Compared, EngineError> {
        let row = match self.row().await? {
            Some(row) if row.state == MoveState::Done && !row.paused => row,
            _ => self.open_row("verify").await?,
        };
        let direction = match row.state {
            _ if row.paused => return Err(self.wrong_state("paused", "verify", Some("resume"))),
            MoveState::Following => Direction::Forward,
            MoveState::Switched | MoveState::Completing | MoveState::Done => Direction::Back,
            other => return Err(self.wrong_state(other.as_str(), "verify", Some("apply"))),
        };
        let move_ = self.context(&row)?;
        let stream = self.running(direction)?;
        let tables: Vec<VerifyTable> =
            move_.plan.row_tables().map(|table| compared(&move_.plan, table, direction)).collect();
        let listing = Listing::new(&tables);
        let step = self.events.step(&self.service, "verify", format!("compares {} tables", tables.len()));
        let began = Instant::now();
        let before = bound_to(&move_).await?;
        let spec = self.verify_spec(&move_, direction, stream, (&tables, options));
        let spec = VerifySpec { found: found.or_else(|| listing.found(options)), ..spec };
        let outcome = verify(spec, progress(&self.events, self.service.as_str())).await?;
        self.record(&move_, direction, before, &outcome).await?;
        step.finish(format!(
            "{} rows, {} differences",
            cleave_model::format_count(outcome.rows()),
            outcome.differing()
        ));
        let report =
            listing.report(move_.service.as_str(), &outcome, verdict::Alignment::Stream, began.elapsed());
        Ok(Compared { move_, state: row.state, direction, tables, outcome, report })
    }

    /// The stream that feeds the follower.
    pub(super) fn running(&self, direction: Direction) -> Result<Arc<Stream>, EngineError> {
        self.streams.shared(direction).ok_or_else(|| {
            EngineError::gate("C0708", format!("the {direction} stream is not running"))
                .next(&["resume", self.service.as_str()])
        })
    }

    async fn record(
        &self,
        move_: &MoveContext,
        direction: Direction,
        before: Verification,
        outcome: &VerifyOutcome,
    ) -> Result<(), EngineError> {
        let (rows, differences) = (outcome.rows(), outcome.differing());
        let verification = Verification { outcome: recorded(outcome), rows, differences, ..before };
        let session = self.journal().await?;
        if direction == Direction::Forward {
            MoveRow::set_verification(&*session, &self.service, Some(&verification)).await?;
        }
        let detail = json!({ "rows": rows, "differences": differences, "unproven": outcome.unproven() });
        move_.journal_m(&*session, "verify", EntryEvent::Done, &detail).await
    }

    fn verify_spec(
        &self,
        move_: &MoveContext,
        direction: Direction,
        stream: Arc<Stream>,
        (tables, options): (&[VerifyTable], &VerifyOptions),
    ) -> VerifySpec {
        let (home, follower) = (move_.source_of(direction), move_.target_of(direction));
        let cancelled = self.cancelled.clone();
        let jobs = move_.limits.jobs.min(JOBS_MAX);
        VerifySpec {
            home: home.endpoint.clone(),
            follower: follower.endpoint.clone(),
            tables: tables.to_vec(),
            jobs: options.jobs(jobs),
            settle: settle(home.clone(), stream, format!("{}/verify/{}", self.service, self.m_lease.epoch)),
            limits: options.limits(jobs),
            found: None,
            cancel: Box::pin(async move { cancelled.cancelled().await }),
        }
    }
}

/// Tells the rows compared so far, of about how many.
pub(crate) fn progress(
    events: &crate::Events,
    service: &str,
) -> impl Fn(VerifyProgress) + Send + Sync + use<> {
    let (events, service) = (events.clone(), service.to_owned());
    let (rows, planned) = (AtomicU64::new(0), AtomicU64::new(0));
    move |progress| {
        let done = match progress {
            VerifyProgress::Planned { estimated_rows } => {
                planned.store(estimated_rows, Ordering::Relaxed);
                return;
            }
            VerifyProgress::Scanned { rows: more, .. } => rows.fetch_add(more, Ordering::Relaxed) + more,
            _ => return,
        };
        let total = Some(planned.load(Ordering::Relaxed).max(done));
        let (what, unit) = ("verify".to_owned(), "rows".to_owned());
        events.tell(Event::Progress { service: service.clone(), what, done, total, unit });
    }
}

/// Emits a marker at the home and waits until the follower has applied it.
pub(super) fn settle(home: crate::Site, stream: Arc<Stream>, prefix: String) -> Settle {
    let count = Arc::new(AtomicU64::new(0));
    Arc::new(move || {
        let (home, stream, prefix) = (home.clone(), Arc::clone(&stream), prefix.clone());
        let count = Arc::clone(&count);
        Box::pin(async move {
            let stopped = |reason: String| VerifyError::StreamStopped { reason };
            let session = home.connect("verify marker").await.map_err(|error| stopped(error.to_string()))?;
            let number = count.fetch_add(1, Ordering::Relaxed);
            let marker = format!("{prefix}/{}/{number}", session.backend_pid());
            cleave_pg::wal::emit_message(&session, labels::MESSAGE_MARKER, &marker)
                .await
                .map_err(|error| stopped(error.to_string()))?;
            // Another marker may come right behind ours and hide it: whatever was applied since covers ours too.
            if stream.wait_for_marker(&marker, SETTLE_LIMIT).await {
                return Ok(());
            }
            Err(stopped(stream.problem().unwrap_or_else(|| "it did not reach a marker in time".to_owned())))
        })
    })
}

fn compared(plan: &MovePlan, table: &PlannedTable, direction: Direction) -> VerifyTable {
    let at_source = match direction {
        Direction::Forward => table.source.qualified(),
        Direction::Back => table.source.qualified().in_schema(&plan.copy_schema()),
    };
    let (home_name, follower_name): (QualifiedName, QualifiedName) = match direction {
        Direction::Forward => (at_source, table.target.qualified()),
        Direction::Back => (table.target.qualified(), at_source),
    };
    let column = |name: &str| (Ident::new(name), Ident::new(name));
    let key = match &table.identity {
        Some(RowIdentity::Key(columns)) => {
            let at = |name: &String| table.columns.iter().position(|column| column.name == *name);
            columns.iter().map(at).collect()
        }
        _ => None,
    };
    VerifyTable {
        home_name,
        follower_name,
        columns: table.columns.iter().map(|c| column(&c.name)).collect(),
        key,
    }
}

fn recorded(outcome: &VerifyOutcome) -> VerificationOutcome {
    if outcome.differing() > 0 {
        VerificationOutcome::Different
    } else if outcome.unproven() > 0 {
        VerificationOutcome::Unproven
    } else {
        VerificationOutcome::Clean
    }
}

/// What a verification made now would be bound to: another table, slot, server or timeline withdraws it.
pub(super) async fn bound_to(move_: &MoveContext) -> Result<Verification, EngineError> {
    let m = move_.m.connect("verify").await?;
    let n = move_.n.connect("verify").await?;
    let at_target = crate::streams::oids_at_target(&n, move_).await?;
    let (mut on_m, mut on_n) = (Vec::new(), Vec::new());
    for table in &move_.plan.tables {
        on_m.push((table.source.qualified(), table.source_oid));
        on_n.push((table.target.qualified(), at_target.get(&table.source_oid).map_or(0, |oid| oid.0)));
    }
    let (m_facts, n_facts) =
        (cleave_pg::catalog::read_facts(&m).await?, cleave_pg::catalog::read_facts(&n).await?);
    Ok(Verification {
        outcome: VerificationOutcome::Unproven,
        rows: 0,
        differences: 0,
        at_epoch_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        fingerprints: [fingerprints(&m, &on_m).await?, fingerprints(&n, &on_n).await?],
        slot: move_.slot(Direction::Forward),
        clusters: [
            (m_facts.system_identifier, m_facts.timeline),
            (n_facts.system_identifier, n_facts.timeline),
        ],
    })
}

/// A line per table, so that a difference can be named.
async fn fingerprints(session: &Session, tables: &[(QualifiedName, u32)]) -> Result<String, EngineError> {
    let mut lines = Vec::with_capacity(tables.len());
    for (name, oid) in tables {
        lines.push(format!("{} {name}", cleave_pg::fingerprint(session, &[*oid]).await?));
    }
    Ok(lines.join("\n"))
}

/// The tables whose lines differ, with their database's side.
pub(super) fn altered(before: &[String; 2], now: &[String; 2]) -> Vec<String> {
    let sides = [("source", 0), ("new home", 1)];
    let differing = sides.into_iter().flat_map(|(side, at)| {
        let known: Vec<&str> = before[at].lines().collect();
        let lines = now[at].lines().filter(move |line| !known.contains(line));
        lines.map(move |line| format!("{} ({side})", line.split_once(' ').map_or(line, |(_, name)| name)))
    });
    differing.collect()
}
