//! `verify`: every row of both sides compared while both are written to. The result is a gate of `cutover`.

use super::comparing::Compared;
use crate::{EngineError, VerifyOptions, context::MoveContext, runner::Runner, streams::Stream};
use cleave_api::{Event, VerifyReport};
use cleave_journal::{EntryEvent, MoveRow, MoveState, Verification, VerificationOutcome, Verifying};
use cleave_model::{Direction, QualifiedName, format_bytes, format_count, labels};
use cleave_pg::Session;
use cleave_verify::{Busy, Found, Settle, VerifyError, VerifyProgress};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long the follower may take to reach a marker while rows are compared.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

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
        let row = Box::pin(self.settle_columns(row)).await?;
        let comparing = self.comparing(&row)?;
        if row.state == MoveState::Following {
            self.detached_gate(&self.context(&row)?).await?;
        }
        let step =
            self.events.step(&self.service, "verify", format!("compares {} tables", comparing.count()));
        let progress = progress(&self.events, self.service.as_str());
        let compared = Box::pin(comparing.run(options, found, progress)).await?;
        self.record(&compared).await?;
        step.finish(format!(
            "{} rows, {} differences",
            format_count(compared.outcome.rows()),
            compared.outcome.differing()
        ));
        Ok(compared)
    }

    /// The stream that feeds the follower.
    pub(super) fn running(&self, direction: Direction) -> Result<Arc<Stream>, EngineError> {
        self.streams.shared(direction).ok_or_else(|| {
            EngineError::gate("C0708", format!("the {direction} stream is not running"))
                .next(&["resume", self.service.as_str()])
        })
    }

    /// Stores what was found in place of what was known before.
    pub(super) async fn record(&self, compared: &Compared) -> Result<(), EngineError> {
        let Compared { move_, outcome, verification, .. } = compared;
        let session = self.journal().await?;
        MoveRow::set_verification(&*session, &self.service, Some(verification)).await?;
        Verifying::clear(&*session, &self.service).await?;
        let detail = json!({
            "rows": outcome.rows(), "differences": outcome.differing(), "unproven": outcome.unproven(),
            "resumed": compared.report.resumed,
        });
        move_.journal_m(&*session, "verify", EntryEvent::Done, &detail).await
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
            VerifyProgress::Waiting { busy, .. } => {
                events.tell(Event::Note { service: Some(service.clone()), message: waiting(busy) });
                return;
            }
            VerifyProgress::Scanned { rows: more, .. } | VerifyProgress::Resumed { rows: more, .. } => {
                rows.fetch_add(more, Ordering::Relaxed) + more
            }
            _ => return,
        };
        let total = Some(planned.load(Ordering::Relaxed).max(done));
        let (what, unit) = ("verify".to_owned(), "rows".to_owned());
        events.tell(Event::Progress { service: service.clone(), what, done, total, unit });
    }
}

fn waiting(busy: Busy) -> String {
    match busy {
        Busy::Lag(bytes) => {
            format!("waits: a standby or slot of the home is {} behind", format_bytes(bytes))
        }
        Busy::Sessions(1) => "waits: 1 session works at the home".to_owned(),
        Busy::Sessions(count) => format!("waits: {count} sessions work at the home"),
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
        epoch: cleave_journal::owner(&*m, &move_.service).await?.map_or(0, |owner| owner.epoch.0),
        unproven: Vec::new(),
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
