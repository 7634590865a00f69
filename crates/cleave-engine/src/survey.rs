//! What `cleave graph` and the report draw: a database as its catalog and cleave.toml say it.

use crate::{EngineError, Topology};
use cleave_assess::picture::Survey;
use cleave_journal::MoveRow;
use cleave_model::DatabaseName;
use cleave_pg::{Endpoint, catalog::read_catalog};

/// A database of cleave.toml with its services. Tables of a move that is complete are known by its plan.
///
/// # Errors
/// The database cannot be reached or read; a pattern of cleave.toml that fits no table.
pub async fn survey(topology: &Topology, database: &DatabaseName) -> Result<Survey, EngineError> {
    let session = topology.site(database)?.connect("graph").await?;
    let catalog = read_catalog(&session).await?;
    let mut names: Vec<_> = catalog.tables.iter().map(|table| table.name.clone()).collect();
    if cleave_journal::installed_version(&*session).await?.is_some() {
        for row in MoveRow::read_all(&*session).await? {
            let plan = crate::context::stored_plan(&row)?;
            names.extend(plan.tables.iter().map(|table| table.source.qualified()));
        }
    }
    names.sort();
    names.dedup();
    let matched = cleave_config::match_tables(topology.config(), database, &names, topology.text());
    let mut assignments = matched.map_err(|errors| EngineError::config(&errors, topology))?;
    let services = topology.config().services.iter().filter(|service| service.from == *database);
    let services: Vec<_> = services
        .map(|service| (service.name.to_string(), assignments.remove(&service.name).unwrap_or_default()))
        .collect();
    Ok(Survey::new(&catalog, &services))
}

/// A database that no configuration file knows.
///
/// # Errors
/// The database cannot be reached or read.
pub async fn survey_without_services(endpoint: &Endpoint) -> Result<Survey, EngineError> {
    let session = cleave_pg::connect(endpoint, "graph").await?;
    let catalog = read_catalog(&session).await?;
    Ok(Survey::new(&catalog, &[]))
}
