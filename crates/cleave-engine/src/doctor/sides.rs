//! Which databases are looked at, and what each is for the services.

use super::MoveSide;
use crate::EngineError;
use cleave_config::{Config, Service};
use cleave_model::{DatabaseName, ServiceName};

/// A database and the services that touch it.
pub(super) struct Visit<'c> {
    pub(super) database: DatabaseName,
    pub(super) parts: Vec<Part<'c>>,
    /// Connections that copy at once, of `[limits]`.
    pub(super) jobs: usize,
}

/// What a database is for a service.
pub(super) struct Part<'c> {
    pub(super) service: &'c Service,
    pub(super) side: MoveSide,
}

/// The databases of the named services, or all of the file; in the order of the file.
pub(super) fn visits<'c>(
    config: &'c Config,
    services: Option<&[ServiceName]>,
) -> Result<Vec<Visit<'c>>, EngineError> {
    let chosen = chosen(config, services)?;
    let visit = |database: &DatabaseName| {
        let mut parts = Vec::new();
        // A move inside one database has no sides.
        for service in chosen.iter().filter(|service| service.schema_move.is_none()) {
            if service.from == *database {
                parts.push(Part { service, side: MoveSide::Source });
            }
            if service.home.value.database == *database {
                parts.push(Part { service, side: MoveSide::Target });
            }
        }
        Visit { database: database.clone(), parts, jobs: config.limits.jobs }
    };
    let visits = config.databases.iter().map(|database| visit(&database.name));
    let live =
        config.services.is_empty() || config.services.iter().any(|service| service.schema_move.is_none());
    Ok(visits.filter(|visit| (services.is_none() && live) || !visit.parts.is_empty()).collect())
}

fn chosen<'c>(config: &'c Config, services: Option<&[ServiceName]>) -> Result<Vec<&'c Service>, EngineError> {
    let Some(names) = services else { return Ok(config.services.iter().collect()) };
    let find = |name: &ServiceName| {
        config.service(name.as_str()).ok_or_else(|| EngineError::NoSuchService {
            name: name.to_string(),
            file: config.file.clone(),
            known: config.services.iter().map(|service| service.name.to_string()).collect(),
        })
    };
    names.iter().map(find).collect()
}

/// The claimed tables that the catalog has.
pub(super) fn claimed(
    service: &Service,
    catalog: &cleave_model::catalog::Catalog,
) -> Vec<cleave_model::QualifiedName> {
    let names = catalog.tables.iter().map(|table| &table.name);
    if service.whole.is_some() {
        return names.cloned().collect();
    }
    names.filter(|name| service.tables.iter().any(|pattern| pattern.value.matches(name))).cloned().collect()
}
