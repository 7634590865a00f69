//! `cleave doctor`: what stands in the way of the moves that cleave.toml asks for, or is worth knowing before one.
//!
//! - [`sides`]: which databases are looked at, and for which services. [`connection`]: whether they answer.
//! - [`observe`]: reads a server. One file per group of checks, all pure: [`server`], [`capacity`], [`rights`],
//!   [`transactions`], [`tables`], [`bridge`].
//! - [`touched`]: what of a source database a move changes. [`privileges`]: the script that gives a role the rights.
//!
//! It only reads: nothing is left behind, but for the replica mode of a session that is closed at once.

mod bridge;
mod capacity;
mod connection;
mod observe;
mod privileges;
mod rights;
mod server;
mod sheet;
mod sides;
mod tables;
mod touched;
mod transactions;

pub use privileges::{MoveSide, privilege_script, privilege_scripts};

use crate::{EngineError, Events, Topology};
use cleave_api::DoctorReport;
use cleave_model::{DatabaseName, ServiceName};
use observe::Observed;
use sheet::Sheet;
use sides::{Part, Visit};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Looks at both sides of the services, or of all services and every database of the file if none are named. What
/// cannot be reached or read is a finding, not an error.
///
/// # Errors
/// `C0420` for a service that is not in the file.
pub async fn doctor(
    topology: &Topology,
    services: Option<&[ServiceName]>,
    events: &Events,
) -> Result<DoctorReport, EngineError> {
    let visits = sides::visits(topology.config(), services)?;
    let mut report = DoctorReport::default();
    let mut seen = BTreeMap::new();
    for visit in &visits {
        events.note(None, format!("looking at database {}", visit.database));
        let mut sheet = Sheet::new(&visit.database);
        if let Some(observed) = examine(topology, visit, &mut sheet).await {
            seen.insert(visit.database.clone(), observed);
        }
        sheet.hand_in(&mut report);
    }
    bridges(topology, &visits, &seen, &mut report);
    report.findings.sort_by_key(|finding| Reverse(finding.severity));
    Ok(report)
}

async fn examine(topology: &Topology, visit: &Visit<'_>, sheet: &mut Sheet) -> Option<Observed> {
    let (site, session) = connection::reach(topology, &visit.database, sheet).await?;
    let observed = match observe::observe(&session, visit).await {
        Ok(observed) => observed,
        Err(error) => {
            sheet.failed("reading the server's state", &error);
            return None;
        }
    };
    server::check(&observed, sheet);
    capacity::check(&observed, visit, sheet);
    rights::check(&observed, visit, sheet);
    connection::replicate(&site, &observed, sheet).await;
    connection::replica_mode(&site, &observed, sheet).await;
    transactions::check(&session, sheet).await;
    for part in visit.parts.iter().filter(|part| part.side == MoveSide::Source) {
        tables::check(&observed.catalog, part.service, sheet);
    }
    Some(observed)
}

/// What can only be said of two servers together.
fn bridges(
    topology: &Topology,
    visits: &[Visit<'_>],
    seen: &BTreeMap<DatabaseName, Observed>,
    report: &mut DoctorReport,
) {
    let sources = visits.iter().flat_map(|visit| &visit.parts).filter(|part| part.side == MoveSide::Source);
    for Part { service, .. } in sources.filter(|part| part.service.home.value.database != part.service.from) {
        let mut sheet = Sheet::new(&service.home.value.database);
        let (source, target) = (topology.site(&service.from), topology.site(&service.home.value.database));
        if let (Ok(source), Ok(target)) = (source, target) {
            bridge::endpoint(service, &source, &target, &mut sheet);
        }
        if let (Some(source), Some(target)) =
            (seen.get(&service.from), seen.get(&service.home.value.database))
        {
            bridge::sessions(service, source, target, &mut sheet);
        }
        sheet.hand_in(report);
    }
}
