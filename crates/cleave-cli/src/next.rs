//! What to run next, by where a service stands. Every output ends with one of these.

use cleave_api::{
    MoveKind, NextStep, Problem, Risk, ServiceState, ServiceStatus, StreamStatus, VerificationState,
};

/// The next commands for a service and why, the most pressing first. `engine` tells whether somebody runs its streams.
pub fn steps(service: &ServiceStatus, engine: bool) -> Vec<NextStep> {
    let flows = service.kind == MoveKind::Live
        && match service.state {
            ServiceState::Following | ServiceState::Switched => true,
            ServiceState::Done => !service.streams.is_empty(),
            _ => false,
        };
    let unattended = flows && !engine && !service.paused;
    unattended.then(|| run(service)).into_iter().chain([step(service)]).collect()
}

fn step(service: &ServiceStatus) -> NextStep {
    let name = service.name.as_str();
    if service.paused {
        return NextStep::cleave(["resume", name], "its streams stand still", Risk::Reversible);
    }
    match service.state {
        ServiceState::Stopped => stopped(service),
        ServiceState::Planned => NextStep::cleave(["plan", name], "shows what the move will do", Risk::Read),
        ServiceState::Prepared if service.kind == MoveKind::Schema => {
            let why = "changes the names in one transaction; applications notice nothing";
            NextStep::cleave(["cutover", name], why, Risk::Reversible)
        }
        ServiceState::Prepared | ServiceState::Copying => {
            NextStep::cleave(["apply", name], "goes on where it was", Risk::Reversible)
        }
        ServiceState::Following => following(service),
        ServiceState::Switched => complete(service),
        ServiceState::Completing => {
            NextStep::cleave(["complete", name], "goes on where it was", Risk::Permanent)
        }
        ServiceState::Done => NextStep::cleave(["history", name], "shows what was done", Risk::Read),
    }
}

/// Permanent steps are offered as a rehearsal first.
fn complete(service: &ServiceStatus) -> NextStep {
    let why = "shows what the only step without a way back would remove";
    NextStep::cleave(["complete", &service.name, "--dry-run"], why, Risk::Read)
}

/// The way back of a switch.
pub fn rollback(services: &[&str]) -> NextStep {
    NextStep::cleave([&["rollback"], services].concat(), "any time before complete", Risk::Reversible)
}

/// The way back of a move that has not switched.
pub fn cancel(service: &str) -> NextStep {
    NextStep::cleave(
        ["cancel", service],
        "removes what apply made; any time before the cutover",
        Risk::Reversible,
    )
}

/// Nothing is advised after a difference.
fn following(service: &ServiceStatus) -> NextStep {
    let name = service.name.as_str();
    match service.verification.state {
        VerificationState::None => {
            NextStep::cleave(["verify", name], "a cutover needs a clean verification", Risk::Read)
        }
        VerificationState::Unproven => {
            NextStep::cleave(["verify", name], "some rows changed too often to be compared", Risk::Read)
        }
        VerificationState::Stale => NextStep::cleave(
            ["verify", name],
            "the last verification is too old, or from before the last switch",
            Risk::Read,
        ),
        VerificationState::Clean => {
            NextStep::cleave(["cutover", name], "both sides are equal", Risk::Reversible)
        }
        VerificationState::Different => advice("the sides differ: find out why before anything else is done"),
    }
}

/// Nobody reads the slots: they keep log.
fn run(service: &ServiceStatus) -> NextStep {
    let kept = |stream: &StreamStatus| format!("{} on {}", stream.slot, stream.source);
    let slots: Vec<String> = service.streams.iter().map(kept).collect();
    let why = match slots.as_slice() {
        [] => "keeps the streams going".to_owned(),
        [one] => format!("keeps the stream going; until then slot {one} keeps log"),
        many => format!("keeps the streams going; until then slots {} keep log", many.join(" and ")),
    };
    NextStep::cleave(["run"], why, Risk::Reversible)
}

fn stopped(service: &ServiceStatus) -> NextStep {
    match service.problems.first() {
        Some(Problem { next: Some(next), .. }) => next.clone(),
        Some(problem) => {
            let why = format!("then, once it is mended, `cleave resume {}`", service.name);
            NextStep::cleave(["explain", &problem.code], why, Risk::Read)
        }
        None => NextStep::cleave(["resume", &service.name], "its streams were stopped", Risk::Reversible),
    }
}

/// A reason without a command.
pub fn advice(reason: &str) -> NextStep {
    NextStep { argv: Vec::new(), reason: reason.to_owned(), risk: Risk::Read }
}
