//! What an upgrade does that a move of a service does not: the schema comes from pg_dump, roles and large objects come
//! along, and nothing is left out unseen. docs/design/upgrade.md has the whole.

pub(crate) mod client_tools;
pub(crate) mod large_objects;
mod prepare;
mod roles;
pub(crate) mod strays;
pub(crate) mod surroundings;
mod undo;
pub(crate) mod views;

pub(crate) use prepare::{finish, prepare_target};
pub(crate) use undo::drop_target;

use crate::{EngineError, planning::Observed};
use cleave_config::{Service, WholeDatabase};
use cleave_plan::MovePlan;

/// Plans the upgrade of cleave.toml against catalogs that have been read.
pub(crate) async fn plan(
    service: &Service,
    whole: &WholeDatabase,
    observed: &Observed,
) -> Result<MovePlan, EngineError> {
    let versions = (observed.source.facts.major(), observed.target.facts.major());
    let tool = client_tools::find(whole, versions).await?;
    let mut around = surroundings::read(service, observed).await?;
    around.newer_dump = (tool.major > versions.1).then(|| tool.version.clone());
    let dump = client_tools::dump(&tool, &observed.m).await?;
    let sides = (&observed.source, &observed.target);
    Ok(cleave_plan::plan_upgrade(service, sides, &around, (&dump, &tool.version)))
}
