//! What `complete`, `cancel`, `pause` and `resume` would do, told from status and plan. Pure.

mod schema_move;

use cleave_api::{
    BridgeStatus, BridgeUserStatus, ServiceState, ServiceStatus, StreamDirection, StreamStatus,
};
use cleave_engine::EngineError;
use cleave_model::{ServiceName, format_duration_ms};
use cleave_plan::Plan;

/// What [`crate::commands::complete`] would remove.
///
/// # Errors
/// C0421 unless the service has switched.
pub fn complete(status: &ServiceStatus, plan: &Plan) -> Result<Vec<String>, EngineError> {
    let plan = match plan {
        Plan::Live(plan) => plan,
        Plan::Schema(plan) => return schema_move::complete(status, plan),
    };
    match status.state {
        ServiceState::Switched | ServiceState::Completing => {}
        ServiceState::Done => return Ok(vec!["nothing: the move is complete".to_owned()]),
        _ => return Err(wrong_state(status, "complete", Some("cutover"))),
    }
    let mut lines = drops(status, StreamDirection::Forward);
    lines.push(format!("removes the fence of {} tables in {}", plan.tables.len(), plan.target));
    if plan.whole.is_some() {
        lines.extend(drops(status, StreamDirection::Back));
        lines.push(format!("leaves {} as it is, fenced: drop it when nobody needs it any more", plan.source));
    } else if plan.copy_kept {
        lines.push(format!("keeps the copy in {}.{} current", plan.source, plan.copy_schema));
    } else {
        lines.extend(drops(status, StreamDirection::Back));
        let roots = plan.tables.iter().filter(|table| !table.is_partition);
        lines.extend(roots.map(|table| {
            format!("drops the old table {}.{} in {}", plan.copy_schema, table.source.name, plan.source)
        }));
    }
    lines.push("a rollback is no longer possible then".to_owned());
    lines.extend(status.bridge.iter().flat_map(bridge_users));
    Ok(lines)
}

/// Who still uses the old names, or how far it can be said that nobody does.
fn bridge_users(bridge: &BridgeStatus) -> Vec<String> {
    let user = |user: &BridgeUserStatus| {
        let when = match user.sessions {
            0 => format!("seen {} ago", format_duration_ms(user.seen_ago_ms)),
            sessions => format!("{sessions} sessions now"),
        };
        format!("the bridge stays; it is used by {} ({}), {when}", user.role, user.application)
    };
    if !bridge.users.is_empty() {
        return bridge.users.iter().map(user).collect();
    }
    vec![match bridge.watched_ms {
        Some(watched) => {
            format!("the bridge stays; nobody was seen on it in {}", format_duration_ms(watched))
        }
        None => "the bridge stays; nobody is on it now, and no engine has looked before".to_owned(),
    }]
}

/// What [`crate::commands::cancel`] would remove.
///
/// # Errors
/// C0421 once the service has switched, or if there is no move.
pub fn cancel(status: &ServiceStatus, plan: &Plan) -> Result<Vec<String>, EngineError> {
    let plan = match plan {
        Plan::Live(plan) => plan,
        Plan::Schema(plan) => return schema_move::cancel(status, plan),
    };
    match status.state {
        ServiceState::Switched => return Err(wrong_state(status, "cancel", Some("rollback"))),
        ServiceState::Completing | ServiceState::Done => {
            return Err(wrong_state(status, "cancel", None));
        }
        ServiceState::Stopped if status.home != plan.source => {
            return Err(wrong_state(status, "cancel", Some("rollback")));
        }
        _ => {}
    }
    let mut lines = drops(status, StreamDirection::Back);
    lines.extend(drops(status, StreamDirection::Forward));
    let schema = &plan.target_schema;
    lines.push(match plan.whole {
        Some(_) => format!(
            "drops the {} tables in {}, and all else that the upgrade made there, its roles included",
            plan.tables.len(),
            plan.target
        ),
        None => format!("drops the {} tables in {}, schema {schema}", plan.tables.len(), plan.target),
    });
    let set = plan.tables.iter().filter(|table| table.set_identity.is_some());
    lines.extend(set.map(|table| {
        format!("sets the replica identity of {} back to the default", table.source.qualified())
    }));
    lines.push(format!("{} stays the home, as it was all along", plan.source));
    Ok(lines)
}

/// What [`crate::commands::pause`] would do.
///
/// # Errors
/// C0421 without an open move.
pub fn pause(status: &ServiceStatus, plan: &Plan) -> Result<Vec<String>, EngineError> {
    if let Plan::Schema(plan) = plan {
        return schema_move::pause(status, plan);
    }
    open(status, "pause")?;
    let kept =
        |stream: &StreamStatus| format!("slot {} on {} keeps log meanwhile", stream.slot, stream.source);
    let stop = ["stops the streams after their current transactions".to_owned()];
    Ok(stop.into_iter().chain(status.streams.iter().map(kept)).collect())
}

/// What [`crate::commands::resume`] would do.
///
/// # Errors
/// C0421 without an open move.
pub fn resume(status: &ServiceStatus, plan: &Plan) -> Result<Vec<String>, EngineError> {
    if let Plan::Schema(plan) = plan {
        return schema_move::resume(status, plan);
    }
    open(status, "resume")?;
    let forgotten = status.problems.iter().map(|problem| format!("forgets the problem {problem}"));
    let goes_on = |stream: &StreamStatus| {
        let behind = stream.lag_bytes.map(cleave_model::format_bytes);
        let behind = behind.map(|bytes| format!(", {bytes} behind")).unwrap_or_default();
        format!("goes on from {} to {}{behind}", stream.source, stream.target)
    };
    Ok(forgotten.chain(status.streams.iter().map(goes_on)).collect())
}

fn open(status: &ServiceStatus, verb: &'static str) -> Result<(), EngineError> {
    match status.state {
        ServiceState::Planned | ServiceState::Done => Err(wrong_state(status, verb, Some("apply"))),
        _ => Ok(()),
    }
}

fn drops(status: &ServiceStatus, direction: StreamDirection) -> Vec<String> {
    let streams = status.streams.iter().filter(|stream| stream.direction == direction);
    streams
        .map(|stream| format!("drops slot {} and its publication on {}", stream.slot, stream.source))
        .collect()
}

fn wrong_state(status: &ServiceStatus, verb: &'static str, next: Option<&'static str>) -> EngineError {
    match ServiceName::parse(&status.name) {
        Ok(service) => {
            EngineError::WrongState { service, state: status.state.as_str().to_owned(), verb, next }
        }
        Err(error) => EngineError::Stored {
            what: format!("the name of service {}", status.name),
            reason: error.to_string(),
        },
    }
}
