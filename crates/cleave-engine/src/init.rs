//! `cleave init`: a first cleave.toml, made from a database's catalog. It parses, and its example service is one that
//! can be planned.

mod clusters;
mod write;

use crate::EngineError;
use cleave_config::{Bridge, Config, ServiceName};
use cleave_model::catalog::Catalog;
use cleave_pg::Endpoint;
use cleave_plan::{Scope, Weight, table_findings};
use clusters::Cluster;
use std::cmp::Reverse;
use write::Example;

/// Longest name that leaves room for what Cleave adds to it.
const NAME_BYTES_MAX: usize = 20;

/// Reads the catalog of a database and writes a commented cleave.toml for it. Neither the URL nor a password is in
/// it: databases are named by environment variables.
///
/// # Errors
/// The database cannot be reached or read.
pub async fn init(endpoint: &Endpoint) -> Result<String, EngineError> {
    let session = cleave_pg::connect(endpoint, "init").await?;
    let catalog = cleave_pg::catalog::read_catalog(&session).await?;
    Ok(draft(&catalog))
}

/// The file for a catalog. The same catalog gives the same text.
pub fn draft(catalog: &Catalog) -> String {
    let clusters = clusters::clusters(catalog);
    let head = write::head(catalog);
    let example = example(&clusters, catalog, &head);
    let service = match &example {
        Some(example) => write::service(example, catalog),
        None => write::no_service().to_owned(),
    };
    let chosen = example.as_ref().map(|example| example.cluster);
    let others: Vec<&Cluster> = clusters.iter().filter(|cluster| Some(*cluster) != chosen).collect();
    head + &service + &write::others(&others, catalog)
}

/// The best group that can be planned: tied to the rest by the fewest of its keys, then the largest. A single table
/// is taken only if there is no group.
fn example<'c>(clusters: &'c [Cluster], catalog: &Catalog, head: &str) -> Option<Example<'c>> {
    let mut candidates: Vec<&Cluster> = clusters.iter().collect();
    candidates.sort_by_key(|cluster| {
        let all = cluster.keys_inside + cluster.keys_across;
        let across_per_mille = (cluster.keys_across * 1000).checked_div(all).unwrap_or_default();
        (cluster.tables.len() < 2, across_per_mille, Reverse(cluster.tables.len()))
    });
    let examples = candidates.into_iter().flat_map(|cluster| {
        let name = service_name(cluster, catalog);
        [Bridge::Forward, Bridge::Local, Bridge::None].map(|bridge| Example {
            name: name.clone(),
            cluster,
            bridge,
        })
    });
    examples.into_iter().find(|example| can_be_planned(example, catalog, head))
}

/// True if the text parses and nothing in the source stands against the move.
fn can_be_planned(example: &Example<'_>, catalog: &Catalog, head: &str) -> bool {
    let text = format!("{head}{}", write::service(example, catalog));
    let Ok(config) = Config::parse(&text, "cleave.toml") else { return false };
    let Some(service) = config.service(&example.name) else { return false };
    let (scope, findings) = Scope::new(catalog, &example.cluster.tables);
    let mut findings = findings.into_iter().chain(table_findings(&scope, service, None));
    !findings.any(|finding| finding.weight == Weight::Refusal)
}

/// A name made from the group's central table, with no schema of that name's copy in the database.
fn service_name(cluster: &Cluster, catalog: &Catalog) -> String {
    let centre = cluster.centre.name.as_str().to_ascii_lowercase();
    let plain: String = centre.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut base = plain.trim_matches(|c: char| c == '_' || c.is_ascii_digit()).to_owned();
    base.truncate(NAME_BYTES_MAX);
    if base.is_empty() || ServiceName::parse(&base).is_err() {
        base = "service".to_owned();
    }
    let taken = |name: &str| {
        let copy = format!("{name}_copy");
        catalog.schemas.iter().any(|schema| schema.name.as_str() == copy)
    };
    let numbered = (2..1000).map(|number| format!("{base}{number}"));
    std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base)
}
