//! The engine: holds the leases, keeps the streams of its services going, and executes verbs.
//!
//! A verb comes from this process, or through `cleave.operation` from another one. Each service is worked on by one
//! verb at a time; services do not wait for each other.

use crate::{
    Beat, EngineError, Events, Phase, Pulse, Topology, VerifyOptions, Wishes,
    lease::Leases,
    operations,
    runner::Runner,
    verbs::{Until, refuse_kinds, together},
};
use cleave_api::{CutoverReport, ExitCode, VerificationState, VerifyReport};
use cleave_journal::{JournalError, LEASE_TTL, MoveRow};
use cleave_model::{DatabaseName, ServiceName};
use cleave_plan::{Plan, cutover::Round};
use cleave_stream::Cancelled;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How often operations, streams and work rows are looked at.
const TICK: Duration = Duration::from_millis(200);

/// How often the engine looks whether somebody asks for a service that it does not run yet.
const ADOPTION: Duration = Duration::from_secs(1);

/// How soon, and how seldom at most, a service that could not be taken is tried again.
const REVIVAL_MIN: Duration = Duration::from_secs(5);
const REVIVAL_MAX: Duration = Duration::from_secs(60);

/// The services that an engine runs, each worked on by one verb at a time.
pub(crate) type Peers = BTreeMap<ServiceName, Arc<Mutex<Runner>>>;

/// What a verb is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Prepare and fill.
    Apply(Option<Box<Plan>>),
    /// Compare both sides.
    Verify,
    /// The same, with wishes.
    VerifyWith(VerifyOptions),
    /// Make rows of the follower that differ those of the home, and compare again.
    Repair {
        /// Compare only.
        dry_run: bool,
    },
    /// Make the new home the system of record.
    Cutover {
        /// Check the gates only.
        dry_run: bool,
    },
    /// Make the old home the system of record again.
    Rollback {
        /// Check the gates only.
        dry_run: bool,
    },
    /// Remove the way back.
    Complete,
    /// Take a move back that has not switched.
    Cancel,
    /// Let the streams stand still.
    Pause,
    /// Let them go on.
    Resume,
}

/// What a verb came to.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The service's move is in this state now.
    State(String),
    /// A switch.
    Switch(CutoverReport),
    /// A comparison.
    Verification(VerifyReport),
    /// Another engine has executed it: its exit code and what it would have shown, as JSON.
    Elsewhere(ExitCode, serde_json::Value),
}

/// No lease yet, under a name that no other process has.
pub(crate) fn leases() -> Leases {
    let pid = std::process::id();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let label = format!("cleave on {}, pid {pid}", host.trim());
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let holder = format!("{}/{pid}/{}", host.trim(), started.as_nanos());
    Leases::new(holder, label)
}

/// A running engine. Give it back with [`Engine::close`].
pub struct Engine {
    topology: Topology,
    events: Events,
    cancelled: Cancelled,
    leases: Leases,
    runners: Peers,
    pulse: Pulse,
}

impl Engine {
    /// An engine without services.
    pub fn new(topology: Topology, events: Events, cancelled: Cancelled) -> Self {
        let leases = leases();
        Self { topology, events, cancelled, leases, runners: BTreeMap::new(), pulse: Pulse::default() }
    }

    /// The same, telling probes what it does.
    #[must_use]
    pub(crate) fn with_pulse(self, pulse: Pulse) -> Self {
        Self { pulse, ..self }
    }

    /// What it says when it begins to run.
    pub(crate) fn greeting(&self) -> String {
        format!("keeps the streams of {} going until Ctrl-C", self.names())
    }

    /// Takes the leases of a service and takes up what an earlier run has left.
    ///
    /// # Errors
    /// [`JournalError::LeaseHeld`] when another engine works on one of its databases.
    pub async fn take(&mut self, service: &ServiceName) -> Result<(), EngineError> {
        if self.runners.contains_key(service) {
            return Ok(());
        }
        let mut runner =
            Runner::take(&self.topology, service, &mut self.leases, &self.events, &self.cancelled).await?;
        Box::pin(runner.take_up()).await;
        let fellows = std::mem::take(&mut runner.fellows);
        self.runners.insert(service.clone(), Arc::new(Mutex::new(runner)));
        // What was begun together has died together, and their writers may be waiting, too.
        for fellow in fellows {
            if self.topology.config().service(fellow.as_str()).is_none() {
                continue;
            }
            if let Err(error) = Box::pin(self.take(&fellow)).await {
                let (service, problem) = (Some(fellow.to_string()), error.problem());
                self.events.tell(cleave_api::Event::Problem { service, problem });
            }
        }
        Ok(())
    }

    /// The same, with the services that the operator wishes to go along.
    async fn take_all(&mut self, service: &ServiceName) -> Result<(), EngineError> {
        self.take(service).await?;
        for fellow in self.topology.wishes().with.clone() {
            self.take(&fellow).await?;
        }
        Ok(())
    }

    /// Executes a verb here.
    ///
    /// # Errors
    /// Whatever stops the verb; the lease's loss among it.
    pub async fn execute(&mut self, service: &ServiceName, verb: Verb) -> Result<Answer, EngineError> {
        self.take_all(service).await?;
        let Some(runner) = self.runners.get(service) else {
            return Err(EngineError::Journal(JournalError::Inconsistent {
                what: "the service was not taken".into(),
            }));
        };
        let mut lost = self.leases.lost();
        let mut runner = runner.lock().await;
        let (name, wishes) = (operations::name_of(&verb), self.topology.wishes().clone());
        tokio::select! {
            answer = run_verb_wishing((&mut runner, &self.runners), verb, name, wishes) => answer,
            Ok(_) = lost.wait_for(Option::is_some) => Err(EngineError::Journal(JournalError::LeaseLost { epoch: 0 })),
        }
    }

    /// Keeps all streams going and executes what other processes ask for, until told to stop.
    ///
    /// # Errors
    /// The loss of a lease, or of the journal for longer than it can be borne.
    pub async fn run(&mut self) -> Result<(), EngineError> {
        let mut lost = self.leases.lost();
        let mut working: BTreeMap<ServiceName, tokio::task::JoinHandle<()>> = BTreeMap::new();
        let mut looked = Instant::now();
        let (mut revived, mut pause) = (Instant::now(), REVIVAL_MIN);
        self.pulse.enter(Phase::Running);
        // In a set, so that it ends with this function.
        let mut watching = tokio::task::JoinSet::new();
        watching.spawn(crate::bridge_use::watch(self.topology.clone()));
        loop {
            self.pulse.change(|beat| self.tell(beat));
            tokio::select! {
                () = self.cancelled.cancelled() => break,
                Ok(_) = lost.wait_for(Option::is_some) => {
                    // Another engine works on these services now. What is under way is dropped where it stands, as
                    // if the process had died.
                    working.values().for_each(tokio::task::JoinHandle::abort);
                    return Err(EngineError::Journal(JournalError::LeaseLost { epoch: 0 }));
                }
                () = tokio::time::sleep(TICK) => {}
            }
            working.retain(|_, task| !task.is_finished());
            self.tick(&mut working).await;
            if looked.elapsed() >= ADOPTION {
                self.adopt().await;
                self.serve_splits(&mut working);
                looked = Instant::now();
            }
            if revived.elapsed() >= pause {
                pause = if self.revive().await { REVIVAL_MIN } else { (pause * 2).min(REVIVAL_MAX) };
                revived = Instant::now();
            }
        }
        self.pulse.enter(Phase::Stopping);
        for task in working.into_values() {
            // A verb stops at its next safe point; one that panicked has said so.
            let _ = task.await;
        }
        Ok(())
    }

    /// A server that cannot be reached is tried again at the next tick.
    async fn tick(&mut self, working: &mut BTreeMap<ServiceName, tokio::task::JoinHandle<()>>) {
        let peers = Arc::new(self.runners.clone());
        for (service, runner) in &self.runners {
            if working.contains_key(service) {
                continue;
            }
            let (runner, events, service_name) = (Arc::clone(runner), self.events.clone(), service.clone());
            let peers = Arc::clone(&peers);
            let task = tokio::spawn(async move {
                let mut runner = runner.lock().await;
                if let Err(error) = operations::serve(&mut runner, &peers).await {
                    events.tell(cleave_api::Event::Problem {
                        service: Some(service_name.to_string()),
                        problem: error.problem(),
                    });
                    tokio::time::sleep(TICK * 10).await;
                }
            });
            working.insert(service.clone(), task);
        }
    }

    /// Takes the services that somebody asks for and whose source this engine holds: nobody else can serve them.
    async fn adopt(&mut self) {
        let idle =
            self.topology.config().services.iter().filter(|service| {
                !self.runners.contains_key(&service.name) && self.leases.holds(&service.from)
            });
        let idle: Vec<_> = idle.map(|service| (service.name.clone(), service.from.clone())).collect();
        for (service, source) in idle {
            // A server that cannot be reached is tried again at the next look.
            let asked = operations::waiting(&self.topology, &service, &source).await;
            let Ok(Some(asked)) = asked else { continue };
            if let Err(error) = Box::pin(self.take(&service)).await {
                let _ = operations::refuse(&self.topology, &source, asked, &error).await;
            }
        }
    }

    /// Takes services whose move needs streams and that could not be taken when the engine began, or began one since.
    /// True if one was taken. One that still cannot be taken has been told already.
    async fn revive(&mut self) -> bool {
        let missing: Vec<_> = self
            .topology
            .config()
            .services
            .iter()
            .filter(|service| !self.runners.contains_key(&service.name))
            .map(|service| (service.name.clone(), service.from.clone()))
            .collect();
        let before = self.runners.len();
        let pulse = self.pulse.clone();
        for (service, source) in missing {
            let _ = pulse.during(Box::pin(self.take_if_open(&service, &source))).await;
        }
        self.runners.len() > before
    }

    /// What probes and metrics read. A service that a verb works on keeps its last report.
    fn tell(&self, beat: &mut Beat) {
        beat.leases = self.leases.databases();
        for (service, runner) in &self.runners {
            if let Ok(runner) = runner.try_lock() {
                beat.streams.insert(service.clone(), runner.streams.beats());
            }
        }
    }

    /// Executes what other processes ask of splits whose database this engine holds.
    fn serve_splits(&self, working: &mut BTreeMap<ServiceName, tokio::task::JoinHandle<()>>) {
        for split in &self.topology.config().splits {
            let Some(lease) = self.leases.lease(&split.from).filter(|_| !working.contains_key(&split.name))
            else {
                continue;
            };
            let (topology, name) = (self.topology.clone(), split.name.clone());
            let (events, cancelled) = (self.events.clone(), self.cancelled.clone());
            let task = tokio::spawn(async move {
                // Who asks is told; a server that cannot be reached is asked again at the next look.
                let _ = Box::pin(crate::split::serve(&topology, &name, lease, (&events, &cancelled))).await;
            });
            working.insert(split.name.clone(), task);
        }
    }

    /// Takes every service of cleave.toml whose move needs streams. One that cannot be taken is told and left out, so
    /// that it does not keep the others from running.
    ///
    /// # Errors
    /// When none could be taken, what stood against the last one.
    pub async fn take_open(&mut self) -> Result<usize, EngineError> {
        let services: Vec<_> =
            self.topology.config().services.iter().map(|s| (s.name.clone(), s.from.clone())).collect();
        let mut failed = Vec::new();
        for (service, source) in services {
            if let Err(error) = self.take_if_open(&service, &source).await {
                failed.push((service, error));
            }
        }
        if self.runners.is_empty()
            && let Some((_, error)) = failed.pop()
        {
            return Err(error);
        }
        for (service, error) in failed {
            let (service, problem) = (Some(service.to_string()), error.problem());
            self.events.tell(cleave_api::Event::Problem { service, problem });
        }
        Ok(self.runners.len())
    }

    async fn take_if_open(
        &mut self,
        service: &ServiceName,
        source: &DatabaseName,
    ) -> Result<(), EngineError> {
        if self.needs_streams(service, source).await? { self.take(service).await } else { Ok(()) }
    }

    async fn needs_streams(&self, service: &ServiceName, source: &DatabaseName) -> Result<bool, EngineError> {
        if crate::planning::service(&self.topology, service.as_str())?.schema_move.is_some() {
            return Ok(false);
        }
        let session = self.topology.site(source)?.connect("engine").await?;
        if cleave_journal::installed_version(&*session).await?.is_none() {
            return Ok(false);
        }
        let row = MoveRow::read(&*session, service).await?;
        Ok(row.is_some_and(|row| row.state.is_open() || row.state == cleave_journal::MoveState::Done))
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.runners.keys().map(ServiceName::as_str).collect();
        names.join(", ")
    }

    /// Stops the streams and gives the leases back.
    pub async fn close(self) {
        for runner in self.runners.into_values() {
            runner.lock().await.stop().await;
        }
        self.leases.release().await;
    }
}

/// Runs a verb as its operator wishes, and writes down why, if the operator said so.
pub(crate) async fn run_verb_wishing(
    (runner, peers): (&mut Runner, &Peers),
    verb: Verb,
    name: &str,
    wishes: Wishes,
) -> Result<Answer, EngineError> {
    if !wishes.with.is_empty() {
        return Box::pin(run_together((runner, peers), &verb, name, &wishes)).await;
    }
    runner.wishes = wishes;
    let answer = Box::pin(run_verb(runner, verb)).await;
    let wishes = std::mem::take(&mut runner.wishes);
    let answer = answer?;
    if let Some(reason) = wishes.reason {
        runner.note(name, &serde_json::json!({ "reason": reason })).await?;
    }
    Ok(answer)
}

/// Switches several services. They are locked in the order of their names, the first one by whoever calls, so that two
/// such verbs do not wait for each other.
async fn run_together(
    (runner, peers): (&mut Runner, &Peers),
    verb: &Verb,
    name: &str,
    wishes: &Wishes,
) -> Result<Answer, EngineError> {
    let (round, dry_run) = match verb {
        Verb::Cutover { dry_run } => (Round::Cutover, *dry_run),
        Verb::Rollback { dry_run } => (Round::Rollback, *dry_run),
        _ => {
            let message = format!("{name} works on one service at a time");
            return Err(EngineError::gate("C0730", message).hint("give the command for each"));
        }
    };
    let mut fellows = Vec::with_capacity(wishes.with.len());
    for fellow in &wishes.with {
        let Some(peer) = peers.get(fellow) else {
            let message = format!("the engine that runs {} does not run {fellow}", runner.service);
            return Err(EngineError::gate("C0730", message)
                .hint("`cleave run` runs every service with an open move; see `cleave status`"));
        };
        fellows.push(Arc::clone(peer).lock_owned().await);
    }
    let mut runners: Vec<&mut Runner> = vec![runner];
    runners.extend(fellows.iter_mut().map(|fellow| &mut **fellow));
    let answer = async {
        for runner in &mut runners {
            runner.wishes = wishes.clone();
            runner.end_watch().await;
            Box::pin(runner.settle_switch()).await?;
        }
        Box::pin(together(&mut runners, round, dry_run)).await
    };
    let answer = answer.await;
    for runner in &mut runners {
        runner.wishes = Wishes::default();
    }
    let report = answer?;
    if let Some(reason) = &wishes.reason {
        for runner in &runners {
            runner.note(name, &serde_json::json!({ "reason": reason })).await?;
        }
    }
    Ok(Answer::Switch(report))
}

/// Runs a verb on a service that this engine holds.
async fn run_verb(runner: &mut Runner, verb: Verb) -> Result<Answer, EngineError> {
    runner.end_watch().await;
    if !matches!(verb, Verb::Pause) {
        Box::pin(runner.settle_switch()).await?;
    }
    if runner.configured()?.schema_move.is_some() {
        return Box::pin(crate::schema_move::run_verb(runner, verb)).await;
    }
    match verb {
        Verb::Apply(plan) => {
            let state = Box::pin(runner.apply(plan.map(|plan| *plan))).await?;
            Ok(Answer::State(state.as_str().to_owned()))
        }
        Verb::Verify => Ok(Answer::Verification(Box::pin(runner.verify(&VerifyOptions::default())).await?)),
        Verb::VerifyWith(wishes) => Ok(Answer::Verification(Box::pin(runner.verify(&wishes)).await?)),
        Verb::Repair { dry_run } => Ok(Answer::Verification(Box::pin(runner.repair(dry_run)).await?)),
        Verb::Cutover { dry_run } => Ok(Answer::Switch(Box::pin(runner.cutover(dry_run)).await?)),
        Verb::Rollback { dry_run } => Ok(Answer::Switch(Box::pin(runner.rollback(dry_run)).await?)),
        Verb::Complete => {
            Box::pin(runner.complete()).await?;
            state_of(runner).await
        }
        Verb::Cancel => {
            Box::pin(runner.cancel()).await?;
            state_of(runner).await
        }
        Verb::Pause => {
            Box::pin(runner.pause()).await?;
            state_of(runner).await
        }
        Verb::Resume => {
            Box::pin(runner.resume_streams()).await?;
            state_of(runner).await
        }
    }
}

pub(crate) async fn state_of(runner: &Runner) -> Result<Answer, EngineError> {
    let state = runner.row().await?.map_or("not started", |row| row.state.as_str());
    Ok(Answer::State(state.to_owned()))
}

/// Executes a verb: here if no engine holds the service, else by the engine that does. A switch takes those along that
/// the operator wishes ([`Wishes::with`]).
///
/// # Errors
/// What the verb says, here or there.
pub async fn execute(
    topology: &Topology,
    service: &ServiceName,
    verb: Verb,
    events: &Events,
    cancelled: &Cancelled,
) -> Result<Answer, EngineError> {
    let mut services = [vec![service.clone()], topology.wishes().with.clone()].concat();
    services.sort();
    services.dedup();
    if let [first, others @ ..] = services.as_slice()
        && !others.is_empty()
    {
        refuse_kinds(topology, &services)?;
        let wishes = Wishes { with: others.to_vec(), ..topology.wishes().clone() };
        return Box::pin(execute_held(&topology.clone().wishing(wishes), first, verb, (events, cancelled)))
            .await;
    }
    let wishes = Wishes { with: Vec::new(), ..topology.wishes().clone() };
    Box::pin(execute_held(&topology.clone().wishing(wishes), service, verb, (events, cancelled))).await
}

async fn execute_held(
    topology: &Topology,
    service: &ServiceName,
    verb: Verb,
    (events, cancelled): (&Events, &Cancelled),
) -> Result<Answer, EngineError> {
    if crate::split::configured(topology, service).is_some() {
        return Box::pin(crate::split::execute(topology, service, verb, (events, cancelled))).await;
    }
    let mut engine = match Box::pin(hold(topology, service, &verb, events, cancelled)).await? {
        Held::Here(engine) => engine,
        Held::Elsewhere(answer) => return Ok(answer),
    };
    let answer = Box::pin(engine.execute(service, verb)).await;
    engine.close().await;
    answer
}

/// `apply` in the foreground: fills, then keeps the streams going unless told to leave.
///
/// # Errors
/// What stops the copy or the streams.
pub async fn apply(
    topology: &Topology,
    service: &ServiceName,
    plan: Option<Box<Plan>>,
    until: Until,
    (events, cancelled): (&Events, &Cancelled),
) -> Result<Answer, EngineError> {
    let verb = Verb::Apply(plan);
    if crate::split::configured(topology, service).is_some() {
        return Box::pin(crate::split::execute(topology, service, verb, (events, cancelled))).await;
    }
    let mut engine = match Box::pin(hold(topology, service, &verb, events, cancelled)).await? {
        Held::Here(engine) => engine,
        Held::Elsewhere(answer) => return Ok(answer),
    };
    // A move inside one database has no streams to keep going.
    let streams = crate::planning::service(topology, service.as_str())?.schema_move.is_none();
    let until = if streams { until } else { Until::Following };
    let answer = match (Box::pin(engine.execute(service, verb)).await, until) {
        (Ok(answer), Until::Stopped) => {
            events
                .note(Some(service), "the target follows; this process keeps the streams going until Ctrl-C");
            Box::pin(engine.run()).await.map(|()| answer)
        }
        (answer, _) => answer,
    };
    engine.close().await;
    answer
}

/// `upgrade` in the foreground: fills and compares, then keeps the streams going unless told to leave, or unless the sides
/// differ. Answers with the comparison.
///
/// # Errors
/// What stops the copy, the comparison or the streams.
pub async fn upgrade(
    topology: &Topology,
    service: &ServiceName,
    until: Until,
    (events, cancelled): (&Events, &Cancelled),
) -> Result<Answer, EngineError> {
    let apply = Verb::Apply(None);
    let mut engine = match Box::pin(hold(topology, service, &apply, events, cancelled)).await? {
        Held::Here(engine) => engine,
        Held::Elsewhere(Answer::Elsewhere(exit, value)) if exit != ExitCode::Done => {
            return Ok(Answer::Elsewhere(exit, value));
        }
        Held::Elsewhere(_) => {
            return Box::pin(execute(topology, service, Verb::Verify, events, cancelled)).await;
        }
    };
    let answer = Box::pin(filled_and_compared(&mut engine, service)).await;
    let answer = match (answer, until) {
        (Ok(Answer::Verification(report)), Until::Stopped) if report.state == VerificationState::Clean => {
            let message = format!(
                "both sides are equal; this process keeps the new server current until Ctrl-C, while `cleave cutover {service}` \
                 is given from another shell"
            );
            events.note(Some(service), message);
            Box::pin(engine.run()).await.map(|()| Answer::Verification(report))
        }
        (answer, _) => answer,
    };
    engine.close().await;
    answer
}

async fn filled_and_compared(engine: &mut Engine, service: &ServiceName) -> Result<Answer, EngineError> {
    Box::pin(engine.execute(service, Verb::Apply(None))).await?;
    Box::pin(engine.execute(service, Verb::Verify)).await
}

/// Who works on a service.
enum Held {
    /// This process.
    Here(Engine),
    /// Another one, which has executed the verb.
    Elsewhere(Answer),
}

/// Takes the leases of a service, or hands the verb to who has them. A holder that has died keeps its leases until they
/// run out, each at its own time: that long is waited.
async fn hold(
    topology: &Topology,
    service: &ServiceName,
    verb: &Verb,
    events: &Events,
    cancelled: &Cancelled,
) -> Result<Held, EngineError> {
    let mut abandoned: Option<Instant> = None;
    loop {
        let mut engine = Engine::new(topology.clone(), events.clone(), cancelled.clone());
        let Err(error) = Box::pin(engine.take_all(service)).await else { return Ok(Held::Here(engine)) };
        engine.close().await;
        if !matches!(error, EngineError::Journal(JournalError::LeaseHeld { .. })) {
            return Err(error);
        }
        if let Some(answer) = operations::delegate(topology, service, verb, events, cancelled).await? {
            return Ok(Held::Elsewhere(answer));
        }
        // Nobody holds the source, so who holds the target is about to lose it, or works on another move.
        if abandoned.get_or_insert_with(Instant::now).elapsed() > LEASE_TTL {
            return Err(error);
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = cancelled.cancelled() => return Err(EngineError::Interrupted),
        }
    }
}

/// The engine until stopped.
///
/// # Errors
/// No service has an open move; a lease that another engine holds; the loss of a lease.
pub async fn run(topology: &Topology, events: &Events, cancelled: &Cancelled) -> Result<(), EngineError> {
    run_telling(topology, events, cancelled, &Pulse::default()).await
}

/// The same, telling probes what it does.
///
/// # Errors
/// As [`run`].
pub async fn run_telling(
    topology: &Topology,
    events: &Events,
    cancelled: &Cancelled,
    pulse: &Pulse,
) -> Result<(), EngineError> {
    let mut engine =
        Engine::new(topology.clone(), events.clone(), cancelled.clone()).with_pulse(pulse.clone());
    let result = match engine.take_open().await {
        Ok(0) => Err(EngineError::gate("C0713", "no service has an open move")
            .hint("`cleave apply SERVICE` starts one")),
        Ok(_) => {
            events.note(None, engine.greeting());
            engine.run().await
        }
        Err(error) => Err(error),
    };
    engine.close().await;
    result
}
