//! Verbs that cross processes: through `cleave.operation` on the source of the move.

use crate::{
    EngineError, Events, Site, Topology, VerifyOptions, Wishes,
    engine::{Answer, Peers, Verb, run_verb_wishing},
    planning,
    runner::Runner,
};
use cleave_api::ExitCode;
use cleave_journal::{
    Lease, Operation, OperationState, finish_operation, next_operation, operation, request_operation,
};
use cleave_model::{DatabaseName, ServiceName};
use cleave_stream::Cancelled;
use serde_json::{Value, json};
use std::time::Duration;

/// Rows of a table that a report lists where one engine hands it over to another and all are wanted.
pub const HANDED_OVER_MAX: usize = 100_000;

/// How often a waiting verb looks.
const LOOK: Duration = Duration::from_millis(100);

/// One look of the engine at its service: streams that stopped, work that waits, verbs asked for.
pub(crate) async fn serve(runner: &mut Runner, peers: &Peers) -> Result<(), EngineError> {
    runner.take_up_again().await;
    let reported = Box::pin(runner.tend_streams()).await;
    let reported = reported.and(runner.take_up_columns().await);
    let settled = runner.settle_references().await;
    // A row that cannot be settled must not keep a verb away that would help.
    let served = serve_verb(runner, peers).await;
    let watched = Box::pin(runner.watch()).await;
    served.and(reported).and(settled).and(watched)
}

async fn serve_verb(runner: &mut Runner, peers: &Peers) -> Result<(), EngineError> {
    // Looked at several times a second, so the session is kept.
    let session = match runner.idle.take() {
        Some(session) if !session.is_closed() => session,
        _ => runner.journal().await?,
    };
    let asked = next_operation(&*session, &runner.service).await?;
    runner.idle = Some(session);
    let Some(asked) = asked else { return Ok(()) };
    let result = match parse(&asked) {
        Ok(verb) => {
            let wishes = Wishes::read(&asked.arguments);
            run_verb_wishing((runner, peers), verb, &asked.verb, wishes).await
        }
        Err(error) => Err(error),
    };
    let value = result.as_ref().map_or_else(failed, answered);
    let session = runner.journal().await?;
    Ok(finish_operation(&*session, asked.id, &value).await?)
}

/// The operation that waits for a service which no engine runs.
pub(crate) async fn waiting(
    topology: &Topology,
    service: &ServiceName,
    source: &DatabaseName,
) -> Result<Option<i64>, EngineError> {
    let session = topology.site(source)?.connect("operation").await?;
    Ok(next_operation(&*session, service).await?.map(|asked| asked.id))
}

/// Ends an operation whose service cannot be taken.
pub(crate) async fn refuse(
    topology: &Topology,
    source: &DatabaseName,
    id: i64,
    error: &EngineError,
) -> Result<(), EngineError> {
    let session = topology.site(source)?.connect("operation").await?;
    Ok(finish_operation(&*session, id, &failed(error)).await?)
}

pub(crate) fn failed(error: &EngineError) -> Value {
    let problem = error.problem();
    json!({ "exit": problem.exit.code(), "problem": problem })
}

pub(crate) fn answered(answer: &Answer) -> Value {
    match answer {
        Answer::State(state) => json!({ "exit": 0, "state": state }),
        Answer::Switch(report) => {
            let exit = crate::exit_of_switch(report.outcome);
            json!({ "exit": exit.code(), "switch": report })
        }
        Answer::Verification(report) => {
            json!({ "exit": crate::exit_of_verification(report.state).code(), "verification": report })
        }
        Answer::Elsewhere(exit, value) => json!({ "exit": exit.code(), "elsewhere": value }),
    }
}

pub(crate) fn parse(asked: &Operation) -> Result<Verb, EngineError> {
    let dry_run = asked.arguments.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
    Ok(match asked.verb.as_str() {
        "apply" => {
            let plan = asked.arguments.get("plan").filter(|plan| !plan.is_null());
            let plan = plan.map(|plan| cleave_plan::Plan::from_value(plan.clone()).map(Box::new)).transpose();
            Verb::Apply(plan.map_err(|error| EngineError::Stored {
                what: "the plan handed over".to_owned(),
                reason: error.to_string(),
            })?)
        }
        "verify" => Verb::VerifyWith(verify_wishes(&asked.arguments)),
        "repair" => Verb::Repair { dry_run },
        "cutover" => Verb::Cutover { dry_run },
        "rollback" => Verb::Rollback { dry_run },
        "complete" => Verb::Complete,
        "cancel" => Verb::Cancel,
        "pause" => Verb::Pause,
        "resume" => Verb::Resume,
        other => {
            return Err(EngineError::Stored {
                what: format!("verb `{other}`"),
                reason: "it is not known here".into(),
            });
        }
    })
}

fn verify_wishes(arguments: &Value) -> VerifyOptions {
    let number = |name: &str| arguments.get(name).and_then(Value::as_u64);
    VerifyOptions {
        jobs: number("jobs").and_then(|jobs| usize::try_from(jobs).ok()),
        rows_per_second_max: number("rows_per_second_max"),
        lag_bytes_max: number("lag_bytes_max"),
        sessions_max: number("sessions_max").and_then(|most| u32::try_from(most).ok()),
        listed_max: number("listed_max").and_then(|most| usize::try_from(most).ok()),
        restart: arguments.get("restart").and_then(Value::as_bool).unwrap_or(false),
        ..VerifyOptions::default()
    }
}

/// The verb's name, on the command line and in the journal.
pub(crate) fn name_of(verb: &Verb) -> &'static str {
    described(verb).0
}

fn described(verb: &Verb) -> (&'static str, Value) {
    match verb {
        Verb::Apply(plan) => {
            let plan = plan.as_ref().and_then(|plan| plan.to_value().ok());
            ("apply", json!({ "plan": plan }))
        }
        Verb::Verify => ("verify", json!({})),
        // The engine elsewhere tells what its report holds: values it has none, and nobody hears it find differences.
        // Whoever wants to hear all gets as many as a report can hold.
        Verb::VerifyWith(wishes) => (
            "verify",
            json!({
                "jobs": wishes.jobs,
                "rows_per_second_max": wishes.rows_per_second_max,
                "lag_bytes_max": wishes.lag_bytes_max,
                "sessions_max": wishes.sessions_max,
                "listed_max": wishes.found.as_ref().map(|_| HANDED_OVER_MAX),
                "restart": wishes.restart,
            }),
        ),
        Verb::Repair { dry_run } => ("repair", json!({ "dry_run": dry_run })),
        Verb::Cutover { dry_run } => ("cutover", json!({ "dry_run": dry_run })),
        Verb::Rollback { dry_run } => ("rollback", json!({ "dry_run": dry_run })),
        Verb::Complete => ("complete", json!({})),
        Verb::Cancel => ("cancel", json!({})),
        Verb::Pause => ("pause", json!({})),
        Verb::Resume => ("resume", json!({})),
    }
}

/// Hands a verb to the engine that holds the service's source and waits for its result. `None` when there is no such
/// engine, or it is gone before it had a result; the verb has been withdrawn then.
pub(crate) async fn delegate(
    topology: &Topology,
    service: &ServiceName,
    verb: &Verb,
    events: &Events,
    cancelled: &Cancelled,
) -> Result<Option<Answer>, EngineError> {
    let configured = planning::service(topology, service.as_str())?;
    let site = topology.site(&configured.from)?;
    delegate_at(topology, service, &site, verb, (events, cancelled)).await
}

/// [`delegate`], for what lives in the database of `site`.
pub(crate) async fn delegate_at(
    topology: &Topology,
    service: &ServiceName,
    site: &Site,
    verb: &Verb,
    (events, cancelled): (&Events, &Cancelled),
) -> Result<Option<Answer>, EngineError> {
    let session = site.connect("operation").await?;
    let Some(label) = holder(&session).await? else { return Ok(None) };
    events.note(Some(service), format!("{label} runs the service and executes the command"));
    let (name, mut arguments) = described(verb);
    if let Some(arguments) = arguments.as_object_mut() {
        topology.wishes().write(arguments);
    }
    let by = format!("pid {}", std::process::id());
    let id = request_operation(&*session, service, name, &arguments, &by).await?;
    loop {
        // In this order: it may end the operation as its last deed.
        let gone = holder(&session).await?.is_none();
        let asked = operation(&*session, id).await?;
        if asked.state == OperationState::Done {
            let result = asked.result.unwrap_or_default();
            let exit = result.get("exit").and_then(Value::as_i64).unwrap_or(1);
            return Ok(Some(Answer::Elsewhere(ExitCode::from_number(exit), result)));
        }
        if gone {
            finish_operation(&*session, id, &failed(&EngineError::Interrupted)).await?;
            return Ok(None);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = cancelled.cancelled() => {
                if asked.state == OperationState::Requested {
                    // Nobody may be surprised by it later.
                    finish_operation(&*session, id, &failed(&EngineError::Interrupted)).await?;
                } else {
                    events.note(Some(service), format!("operation {id} goes on in the other engine"));
                }
                return Err(EngineError::Interrupted);
            }
        }
    }
}

/// Who holds the lease of a database now.
async fn holder(session: &cleave_pg::Session) -> Result<Option<String>, EngineError> {
    let holder = Lease::current(&**session).await?.filter(|holder| holder.expires_in_ms > 0);
    Ok(holder.map(|holder| holder.label))
}
