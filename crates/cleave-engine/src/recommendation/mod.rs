//! `cleave assess services`: reads what is known of a database and has services proposed.
//!
//! - [`sample`]: tries keys that nobody declared on samples of rows, at a bounded cost.
//! - [`report`]: turns the answer into what is printed.
//!
//! It only reads. Values of rows stay at the server.

mod report;
mod sample;

pub use report::{services_report, services_toml, table_report};

use crate::workload::{WorkloadOptions, WorkloadReading, read_workload};
use crate::{EngineError, Events};
use cleave_api::Problem;
use cleave_assess::evidence::{FunctionsRead, ImpliedKey, Known, candidates, placeable, read_functions};
use cleave_assess::services::{Recommendation, ServicesError, Wishes, recommend};
use cleave_config::{Service, match_tables};
use cleave_model::catalog::Catalog;
use cleave_model::workload::Workload;
use cleave_model::{QualifiedName, ServiceName};
use cleave_pg::Endpoint;

/// How a database is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Only these schemas; all if empty.
    pub schemas: Vec<String>,
    /// Leave keys that nobody declared untried: not a row is read.
    pub without_samples: bool,
    /// Where statements and transactions are read; nowhere if nothing is set.
    pub workload: WorkloadOptions,
}

/// All that is known of a database.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Its catalog, without what was not asked for.
    pub catalog: Catalog,
    /// What its functions touch.
    pub functions: FunctionsRead,
    /// Keys that nobody declared.
    pub implied: Vec<ImpliedKey>,
    /// What applications do.
    pub workload: Workload,
    /// What is to be said of how that was read.
    pub problems: Vec<Problem>,
}

impl Looked {
    /// Takes a catalog, with nothing sampled.
    pub fn new(catalog: Catalog, workload: Workload) -> Self {
        let functions = read_functions(&catalog);
        let untried = |candidate| ImpliedKey { candidate, included: None };
        let implied = candidates(&catalog).into_iter().map(untried).collect();
        Self { catalog, functions, implied, workload, problems: Vec::new() }
    }

    /// Has services proposed.
    ///
    /// # Errors
    /// `C1020` to `C1024`.
    pub fn recommend(&self, wishes: &Wishes) -> Result<Recommendation, EngineError> {
        let known = Known {
            catalog: &self.catalog,
            workload: &self.workload,
            functions: &self.functions.tables,
            implied: &self.implied,
        };
        recommend(&known, wishes).map_err(|error| refused(&error))
    }

    /// The services of cleave.toml whose tables come from this database, as decisions that stand.
    ///
    /// # Errors
    /// A pattern that fits no table, or a table that two services claim.
    pub fn decided(
        &self,
        topology: &crate::Topology,
        from: &cleave_model::DatabaseName,
    ) -> Result<Vec<(ServiceName, Vec<QualifiedName>)>, EngineError> {
        let tables: Vec<QualifiedName> = self.catalog.tables.iter().map(|table| table.name.clone()).collect();
        // A service whose move is complete has no table here any more.
        let here = |service: &Service| {
            service.tables.iter().any(|pattern| tables.iter().any(|table| pattern.value.matches(table)))
        };
        let mut config = topology.config().clone();
        config.services.retain(here);
        let claimed = match_tables(&config, from, &tables, topology.text());
        let claimed = claimed.map_err(|errors| EngineError::config(&errors, topology))?;
        let placed = placeable(&self.catalog);
        let decided = claimed.into_iter().map(|(service, tables)| {
            (service, tables.into_iter().filter(|table| placed.contains(table)).collect::<Vec<_>>())
        });
        Ok(decided.filter(|(_, tables)| !tables.is_empty()).collect())
    }
}

/// Reads a database.
///
/// # Errors
/// It cannot be reached or read; `C1024` if there is no schema of a name that was asked for; what reading a workload says.
pub async fn look(endpoint: &Endpoint, look: &Look, events: &Events) -> Result<Looked, EngineError> {
    let mut session = cleave_pg::connect(endpoint, "assess").await?;
    let mut catalog = cleave_pg::catalog::read_catalog(&session).await?;
    let WorkloadReading { mut workload, problems } =
        read_workload(&mut session, &catalog, &look.workload).await?;
    // Samples of an earlier look are no habit of an application.
    workload.statements.retain(|statement| !statement.text.contains(sample::MARK));
    only(&mut catalog, &look.schemas)?;
    if look.without_samples {
        return Ok(Looked { problems, ..Looked::new(catalog, workload) });
    }
    sample::limit(&session).await?;
    sample::count(&session, &mut catalog).await?;
    let mut looked = Looked { problems, ..Looked::new(catalog, workload) };
    looked.implied = sample::tried(&session, looked.implied, &looked.catalog, events).await?;
    Ok(looked)
}

/// Leaves the tables of these schemas, if any are named.
fn only(catalog: &mut Catalog, schemas: &[String]) -> Result<(), EngineError> {
    if schemas.is_empty() {
        return Ok(());
    }
    let known: Vec<&str> = catalog.schemas.iter().map(|schema| schema.name.as_str()).collect();
    if let Some(unknown) = schemas.iter().find(|name| !known.contains(&name.as_str())) {
        let message = format!("there is no schema {unknown} in database {}", catalog.facts.database);
        return Err(usage("C1024", message, format!("it has {}", known.join(", "))));
    }
    catalog.tables.retain(|table| schemas.iter().any(|name| name == table.name.schema.as_str()));
    Ok(())
}

fn refused(error: &ServicesError) -> EngineError {
    usage(error.code(), error.to_string(), error.hint())
}

fn usage(code: &'static str, message: String, hint: String) -> EngineError {
    EngineError::Gate { code, message, hint: Some(hint), next: None, exit: cleave_api::ExitCode::Usage }
}
