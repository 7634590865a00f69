//! The same for a move inside one database.

use super::wrong_state;
use cleave_api::{ServiceState, ServiceStatus};
use cleave_engine::EngineError;
use cleave_plan::{NameLayer, SchemaPlan};

/// What `complete` would remove.
pub(super) fn complete(status: &ServiceStatus, plan: &SchemaPlan) -> Result<Vec<String>, EngineError> {
    match status.state {
        ServiceState::Switched => {}
        ServiceState::Done => return Ok(vec!["nothing: the move is complete".to_owned()]),
        _ => return Err(wrong_state(status, "complete", Some("cutover"))),
    }
    let mut lines = Vec::new();
    if plan.layer == NameLayer::View {
        lines.extend(
            plan.old_names().iter().map(|name| format!("drops the view {name} in {}", plan.database)),
        );
    }
    if plan.guarded {
        lines.push("drops the event triggers that guard the old names".to_owned());
    }
    for sequence in plan.sequences.iter().filter(|sequence| !sequence.owned) {
        lines.push(format!("moves sequence {} to {}", sequence.from.qualified(), sequence.to.qualified()));
    }
    if plan.owner_role.is_some() {
        lines.push(format!("takes from PUBLIC what it may do in schema {}", plan.schema));
    }
    lines.push("search paths stay as they are; a rollback is no longer possible then".to_owned());
    Ok(lines)
}

/// What `cancel` would remove.
pub(super) fn cancel(status: &ServiceStatus, plan: &SchemaPlan) -> Result<Vec<String>, EngineError> {
    match status.state {
        ServiceState::Switched => return Err(wrong_state(status, "cancel", Some("rollback"))),
        ServiceState::Completing | ServiceState::Done => return Err(wrong_state(status, "cancel", None)),
        _ => {}
    }
    let mut lines = vec![format!("drops schema {} in {}", plan.schema, plan.database)];
    lines.extend(plan.made_roles.iter().map(|role| format!("drops role {role}")));
    lines.extend(plan.paths.iter().map(|change| match &change.role {
        Some(role) => format!("takes {} out of the search path of role {role}", plan.schema),
        None => format!("takes {} out of the search path of database {}", plan.schema, plan.database),
    }));
    lines.push("the tables stay where they are, as they were all along".to_owned());
    Ok(lines)
}

/// There are no streams.
pub(super) fn pause(status: &ServiceStatus, _plan: &SchemaPlan) -> Result<Vec<String>, EngineError> {
    Err(wrong_state(status, "pause", None))
}

/// There are no streams.
pub(super) fn resume(status: &ServiceStatus, _plan: &SchemaPlan) -> Result<Vec<String>, EngineError> {
    Err(wrong_state(status, "resume", None))
}
