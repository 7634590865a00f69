//! Splits: one table becomes several inside its database. A path of its own through the engine, as there is no stream:
//! table and parts are kept equal by triggers, so nothing runs between the verbs. State, journal and lease are those of
//! moves; `docs/design/split.md` has the states and what happens when something dies.

mod apply;
mod check;
mod keys;
mod planning;
mod status;
mod switch;
mod undo;
mod work;

pub(crate) use planning::in_open_split;
pub use planning::{plan_split, plan_split_for};
pub(crate) use status::{history_of, status_of};

use crate::{Answer, EngineError, Events, Site, Topology, Verb, engine, operations};
use cleave_journal::{JournalError, LEASE_TTL, Lease, finish_operation, next_operation};
use cleave_model::ServiceName;
use cleave_stream::Cancelled;
use std::time::{Duration, Instant};
use work::SplitWork;

/// Between two tries to get the lease.
const PAUSE: Duration = Duration::from_millis(200);

/// The split of that name in cleave.toml.
pub(crate) fn configured<'c>(topology: &'c Topology, name: &ServiceName) -> Option<&'c cleave_config::Split> {
    topology.config().split(name.as_str())
}

/// Executes a verb on a split: here if the database's lease is free, else by the engine that holds it.
pub(crate) async fn execute(
    topology: &Topology,
    name: &ServiceName,
    verb: Verb,
    (events, cancelled): (&Events, &Cancelled),
) -> Result<Answer, EngineError> {
    let site = site(topology, name)?;
    let mut abandoned: Option<Instant> = None;
    loop {
        let mut leases = engine::leases();
        let error = match leases.take(&site).await {
            Ok(lease) => {
                let mut lost = leases.lost();
                let work = SplitWork::new(topology, name, &site, lease, (events, cancelled));
                let answer = tokio::select! {
                    answer = run(&work, verb) => answer,
                    Ok(_) = lost.wait_for(Option::is_some) => Err(JournalError::LeaseLost { epoch: 0 }.into()),
                };
                leases.release().await;
                return answer;
            }
            Err(error) => error,
        };
        leases.release().await;
        if !matches!(error, EngineError::Journal(JournalError::LeaseHeld { .. })) {
            return Err(error);
        }
        if let Some(answer) =
            operations::delegate_at(topology, name, &site, &verb, (events, cancelled)).await?
        {
            return Ok(answer);
        }
        if abandoned.get_or_insert_with(Instant::now).elapsed() > LEASE_TTL {
            return Err(error);
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = cancelled.cancelled() => return Err(EngineError::Interrupted),
        }
    }
}

/// Executes what another process asks for, under a lease that this engine holds. Nothing, if nobody asks.
pub(crate) async fn serve(
    topology: &Topology,
    name: &ServiceName,
    lease: Lease,
    (events, cancelled): (&Events, &Cancelled),
) -> Result<(), EngineError> {
    let site = site(topology, name)?;
    let session = site.connect("operation").await?;
    let Some(asked) = next_operation(&*session, name).await? else { return Ok(()) };
    let result = match operations::parse(&asked) {
        Ok(verb) => {
            let wishes = crate::Wishes::read(&asked.arguments);
            let topology = topology.clone().wishing(wishes);
            run(&SplitWork::new(&topology, name, &site, lease, (events, cancelled)), verb).await
        }
        Err(error) => Err(error),
    };
    let value = result.as_ref().map_or_else(operations::failed, operations::answered);
    Ok(finish_operation(&*session, asked.id, &value).await?)
}

fn site(topology: &Topology, name: &ServiceName) -> Result<Site, EngineError> {
    let split = configured(topology, name).ok_or_else(|| planning::no_such_split(topology, name))?;
    topology.site(&split.from)
}

async fn run(work: &SplitWork, verb: Verb) -> Result<Answer, EngineError> {
    let name = operations::name_of(&verb);
    let answer = match verb {
        Verb::Apply(_) => Box::pin(work.apply()).await?,
        Verb::Verify | Verb::VerifyWith(_) => Box::pin(work.verify()).await?,
        Verb::Cutover { dry_run } => Box::pin(work.cutover(dry_run)).await?,
        Verb::Rollback { dry_run } => Box::pin(work.rollback(dry_run)).await?,
        Verb::Cancel => Box::pin(work.cancel()).await?,
        Verb::Complete => Box::pin(work.complete()).await?,
        Verb::Repair { .. } | Verb::Pause | Verb::Resume => {
            return Err(EngineError::gate(
                "C1166",
                format!("a split has no stream: {name} does nothing for {}", work.name),
            )
            .hint("triggers keep table and parts equal in the writers' own transactions"));
        }
    };
    work.note_reason(name).await?;
    Ok(answer)
}
