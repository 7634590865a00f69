//! The journey itself: each step is told in a line, with what it did.

use super::error::DemoError;
use super::narration::Narration;
use super::servers::{SERVICE_OWNER, Servers};
use super::transactions::Transactions;
use super::{Wishes, storefront};
use cleave_api::{CutoverOutcome, CutoverReport};
use cleave_engine::{Answer, Engine, EngineError, Topology, Verb};
use cleave_model::{ServiceName, format_bytes, format_count};
use cleave_sandbox::{Endpoint, Pace, Record, Workload};
use cleave_stream::Cancelled;
use std::time::Duration;

/// How often a switch that undid itself, or that a gate refused at a busy moment, is tried again.
const ATTEMPTS: u32 = 20;
/// After so many of them the machine is taken to be too small for the writer, which then slows down by a third.
const ATTEMPTS_AT_FULL_RATE: u32 = 3;
/// The writer does not become slower than that, in writing transactions per second.
const RATE_MIN: u32 = 50;
/// How long the writer may take for the commits that are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections of the writer.
const CONNECTIONS: u32 = 4;

/// A journey on its way: the writer writes, and the engine holds the lease.
pub(super) struct Journey {
    narration: Narration,
    topology: Topology,
    service: ServiceName,
    engine: Engine,
    writer: Workload,
    /// Transactions per second that were wished for, those that only read included.
    full_rate: u32,
    /// Writing transactions per second now.
    rate: u32,
    /// How long writers waited at each switch, aborted ones included.
    pauses_ms: Vec<u64>,
    wishes: Wishes,
}

/// What the journey leaves for the proof.
pub(super) struct Travelled {
    pub(super) engine: Engine,
    pub(super) record: Record,
    pub(super) pauses_ms: Vec<u64>,
    /// How long the writer wrote.
    pub(super) writing: Duration,
}

/// Goes the whole way: plan, apply, verify, rounds, cutover, complete.
pub(super) async fn travel(
    narration: &Narration,
    servers: &Servers,
    wishes: &Wishes,
    cancelled: Cancelled,
) -> Result<Travelled, DemoError> {
    let size = storefront::load(servers, wishes.scale).await?;
    narration.tell(format!(
        "loaded the sample monolith, a web shop: {} tables, {} rows, {}",
        size.tables,
        format_count(size.rows),
        format_bytes(size.bytes)
    ));
    let transactions = Transactions::read(&servers.application_url()).await?;
    let rate = transactions.rate_for(wishes.rate);
    let pace = Pace { connections: CONNECTIONS, rate: Some(rate), patience: PATIENCE, seed: 1 };
    let writer =
        Workload::start(&Endpoint::new("monolith", servers.application_url()), transactions, &pace).await?;
    let began = std::time::Instant::now();
    narration.tell(format!(
        "started a writer: {CONNECTIONS} connections to the monolith, {} writing transactions a second, to the end",
        wishes.rate
    ));
    // The shop goes on writing through the bridge when the move is completed.
    let accepted = cleave_engine::Wishes { bridge_in_use: true, ..cleave_engine::Wishes::default() };
    let topology = storefront::topology(servers)?.wishing(accepted);
    let service = topology.config().services.first().map(|service| service.name.clone());
    let service = service.ok_or_else(|| DemoError::Malformed {
        file: "cleave.toml",
        reason: "it has no service".to_owned(),
    })?;
    servers.make_service_owner().await?;
    narration.tell(format!(
        "made role {SERVICE_OWNER} on the new server: Cleave makes no roles of yours by itself"
    ));
    let engine = Engine::new(topology.clone(), narration.events(), cancelled);
    let mut journey = Journey {
        narration: narration.clone(),
        topology,
        service,
        engine,
        writer,
        full_rate: rate,
        rate: wishes.rate,
        pauses_ms: Vec::new(),
        wishes: wishes.clone(),
    };
    journey.fill().await?;
    journey.rounds().await?;
    journey.settle().await?;
    let (writing, record) = (began.elapsed(), journey.writer.stop().await?);
    Ok(Travelled { engine: journey.engine, record, pauses_ms: journey.pauses_ms, writing })
}

impl Journey {
    /// Plan, apply and verify: nothing that applications see changes.
    async fn fill(&mut self) -> Result<(), DemoError> {
        let plan = cleave_engine::plan(&self.topology, &self.service).await?;
        self.narration.tell(format!(
            "plan: {} tables and {} sequences of service {} move; {} things cross the boundary, each with an answer",
            plan.sources().len(),
            plan.sequences(),
            self.service,
            plan.crossings().len()
        ));
        self.engine.execute(&self.service, Verb::Apply(Some(Box::new(plan)))).await?;
        let copied = format_count(self.narration.rows_copied());
        self.narration.tell(format!("apply: {copied} rows copied; the new home follows every commit"));
        self.verify("verify").await
    }

    /// Compares both sides: each home needs its own comparison before the next cutover.
    async fn verify(&mut self, label: &str) -> Result<(), DemoError> {
        let verified = match self.engine.execute(&self.service, Verb::Verify).await? {
            Answer::Verification(report) => report,
            other => return Err(unexpected(&other)),
        };
        self.narration.tell(format!(
            "{label}: {} rows compared in {:.1} s while both sides are written to, {} differences",
            format_count(verified.rows),
            seconds(verified.elapsed_ms),
            verified.differences.len()
        ));
        Ok(())
    }

    /// There and back as often as wished, then there for good.
    async fn rounds(&mut self) -> Result<(), DemoError> {
        for round in 1..=self.wishes.rounds {
            let label = format!("round {round} of {}: ", self.wishes.rounds);
            self.switch(Verb::Cutover { dry_run: false }, &format!("{label}cutover")).await?;
            self.switch(Verb::Rollback { dry_run: false }, &format!("{label}rollback")).await?;
            self.verify(&format!("{label}verify")).await?;
        }
        self.switch(Verb::Cutover { dry_run: false }, "cutover, to stay").await?;
        self.engine.execute(&self.service, Verb::Complete).await?;
        self.narration
            .tell("complete: the way back is gone; a read-only copy stays in the monolith and follows");
        self.let_write().await
    }

    /// One switch, tried again when the moment was too busy for its budget.
    async fn switch(&mut self, verb: Verb, label: &str) -> Result<(), DemoError> {
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt >= ATTEMPTS_AT_FULL_RATE {
                self.slow_down();
            }
            self.writer.lap();
            match self.engine.execute(&self.service, verb.clone()).await {
                Ok(Answer::Switch(report)) => {
                    let waited = self.waited().await?;
                    self.pauses_ms.push(waited);
                    self.told(label, &report, waited);
                    if report.outcome == CutoverOutcome::Switched {
                        return self.let_write().await;
                    }
                    reason = report.reason.unwrap_or_default();
                }
                Ok(other) => return Err(unexpected(&other)),
                Err(error) if is_passing(&error) => {
                    reason = error.to_string();
                    self.narration.tell(format!("{label}: refused, nothing changed; again: {reason}"));
                }
                Err(error) => return Err(error.into()),
            }
            self.let_write().await?;
        }
        let what = if matches!(verb, Verb::Rollback { .. }) { "rollback" } else { "cutover" };
        Err(DemoError::NotSwitched { what, attempts: ATTEMPTS, reason })
    }

    /// Asks for fewer transactions, and says so: the servers, the engine and the writer share this machine.
    fn slow_down(&mut self) {
        let rate = (self.rate * 2 / 3).max(RATE_MIN).min(self.rate);
        if rate < self.rate {
            self.rate = rate;
            let all = u64::from(self.full_rate) * u64::from(rate) / u64::from(self.wishes.rate);
            self.writer.set_rate(Some(u32::try_from(all).unwrap_or(u32::MAX).max(1)));
            self.narration.tell(format!(
                "this machine is too busy: the writer slows down to {rate} writing transactions a second"
            ));
        }
    }

    /// The longest time without a commit of any writer since the lap began, in milliseconds. The pause is over for
    /// the writer when it has committed again.
    async fn waited(&self) -> Result<u64, DemoError> {
        self.written(1).await?;
        let gap = self.writer.lap().longest_gap;
        Ok(u64::try_from(gap.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
    }

    fn told(&self, label: &str, report: &CutoverReport, waited: u64) {
        let (home, pause, budget) = (&report.home, report.pause_ms, report.budget_ms);
        self.narration.tell(match report.outcome {
            CutoverOutcome::Switched => format!(
                "{label}: writes go to {home} now, epoch {}; fence held {pause} ms of {budget} ms, longest gap \
                 between commits {waited} ms",
                report.epoch
            ),
            _ => format!(
                "{label}: undid itself after {pause} ms, writes go to {home} as before; again: {}",
                // Who holds which lock follows the colon: too much for a line.
                report.reason.as_deref().and_then(|reason| reason.split(':').next()).unwrap_or("no reason given")
            ),
        });
    }

    /// Lets the writer write for about a second, with the engine running: it settles what deletes left to do.
    async fn let_write(&mut self) -> Result<(), DemoError> {
        let commits = u64::from(self.rate);
        tokio::select! {
            written = written(&self.writer, commits) => written,
            ended = self.engine.run() => Ok(ended?),
        }
    }

    async fn written(&self, commits: u64) -> Result<(), DemoError> {
        written(&self.writer, commits).await
    }

    /// Waits for the last commits before the writer is stopped.
    async fn settle(&mut self) -> Result<(), DemoError> {
        self.let_write().await
    }
}

async fn written(writer: &Workload, commits: u64) -> Result<(), DemoError> {
    if writer.wait_for(commits, PATIENCE).await {
        return Ok(());
    }
    Err(DemoError::Late { what: "the writer's next commit", seconds: PATIENCE.as_secs() })
}

/// Gates about the moment: a marker too slow, a lock that somebody holds.
fn is_passing(error: &EngineError) -> bool {
    matches!(error, EngineError::Gate { code: "C0702" | "C0703", .. })
}

/// The engine is ours alone, so every answer is of its own kind.
fn unexpected(answer: &Answer) -> DemoError {
    let reason = format!("the engine answered {answer:?}");
    DemoError::Malformed { file: "journey", reason }
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}
