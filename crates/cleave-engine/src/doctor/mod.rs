//! `cleave doctor`: what stands in the way of the moves that cleave.toml asks for, or is worth knowing before one.
//!
//! - [`sides`]: which databases are looked at, and for which services. [`connection`]: whether they answer.
//! - [`observe`]: reads a server. What that means for any move is judged by the rules of `cleave_assess::readiness`; what it
//!   means for the services of cleave.toml, by one file per group of checks, all pure: [`capacity`], [`rights`], [`tables`],
//!   [`bridge`]. [`fences`]: whether those of moves under way still stand. [`isolation`] is a report of its own.
//! - [`touched`]: what of a source database a move changes. [`privileges`]: the script that gives a role the rights.
//!
//! It only reads: nothing is left behind, but for the replica mode of a session that is closed at once.

mod bridge;
mod capacity;
mod connection;
mod fences;
mod isolation;
mod observe;
mod privileges;
mod rights;
mod sheet;
mod sides;
mod tables;
mod touched;

pub(crate) use sheet::shown;

pub use isolation::isolation;
pub use privileges::{MoveSide, privilege_script, privilege_scripts};

use crate::{EngineError, Events, Topology};
use cleave_api::{DoctorReport, Severity};
use cleave_assess::readiness::{self, Ground, Judgement, PlanSpeaks, Side};
use cleave_config::Service;
use cleave_model::catalog::Catalog;
use cleave_model::{DatabaseName, Oid, ServiceName};
use cleave_plan::{Plan, Scope, Weight};
use observe::Observed;
use sheet::{Noted, Sheet};
use sides::{Part, Visit};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

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
    doctor_at(topology, services, None, events).await
}

/// The same at these databases only.
///
/// # Errors
/// `C0420` for a service that is not in the file.
pub async fn doctor_at(
    topology: &Topology,
    services: Option<&[ServiceName]>,
    databases: Option<&[DatabaseName]>,
    events: &Events,
) -> Result<DoctorReport, EngineError> {
    let mut visits = sides::visits(topology.config(), services)?;
    visits.retain(|visit| databases.is_none_or(|databases| databases.contains(&visit.database)));
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
    services_together(topology, &visits, &seen, &mut report);
    upgrades(topology, &visits, &seen, &mut report).await;
    in_place(topology, services, &mut report).await;
    fences::check(topology, services, databases, &mut report).await;
    report.findings.sort_by_key(|finding| Reverse(finding.severity));
    Ok(report)
}

async fn examine(topology: &Topology, visit: &Visit<'_>, sheet: &mut Sheet) -> Option<Observed> {
    let (site, session) = connection::reach(topology, &visit.database, sheet).await?;
    let mut observed = match observe::observe(&session, visit).await {
        Ok(observed) => observed,
        Err(error) => {
            sheet.failed("reading the server's state", &error);
            return None;
        }
    };
    capacity::check(&observed, visit, sheet);
    rights::check(&observed, visit, sheet);
    connection::replicate(&site, &observed, sheet).await;
    connection::replica_mode(&site, &observed, sheet).await;
    match cleave_pg::instance::look_at_connection(&site.endpoint).await {
        Ok(seen) => observed.base.instance.connection = seen,
        Err(error) => sheet.failed("looking at the connection", &error),
    }
    sheet.judged(judged(&observed, visit));
    Some(observed)
}

/// A move inside one database needs what its plan says and nothing else.
async fn in_place(topology: &Topology, services: Option<&[ServiceName]>, report: &mut DoctorReport) {
    let chosen = |service: &&Service| services.is_none_or(|names| names.contains(&service.name));
    for service in topology.config().services.iter().filter(chosen) {
        let Some(wish) = &service.schema_move else { continue };
        let mut sheet = Sheet::new(&service.from);
        match crate::schema_move::plan(topology, service, wish).await {
            Ok(plan) => sheet.check(plan.findings.iter().map(|finding| {
                let severity = match finding.weight {
                    Weight::Refusal => Severity::Error,
                    Weight::Warning => Severity::Warning,
                    Weight::Note => Severity::Note,
                };
                let why = format!("service {} moves to schema {}", service.name, plan.schema);
                let noted = Noted::new(severity, &finding.code, &finding.message, why).about(&finding.object);
                finding.fix.iter().fold(noted, |noted, fix| noted.fix(fix))
            })),
            Err(error) => {
                let why = "what cannot be read cannot be checked";
                sheet.check([Noted::error(error.code(), format!("the plan cannot be made: {error}"), why)]);
            }
        }
        sheet.hand_in(report);
    }
}

/// What the rules of readiness say of one database, as far as it concerns the tables of the visit's services.
fn judged(observed: &Observed, visit: &Visit<'_>) -> Judgement {
    let leaving = |part: &&Part<'_>| part.side == MoveSide::Source;
    let ground = self::leaving(&observed.base, visit.parts.iter().filter(leaving));
    let sides = visit.parts.iter().map(|part| match part.side {
        MoveSide::Source => Side::Source,
        MoveSide::Target => Side::Target,
    });
    readiness::judge(&ground, &sides.collect::<Vec<_>>(), PlanSpeaks::Too)
}

/// What the services of these parts take with them: their tables, or all where one of them takes the whole database.
fn leaving<'o>(base: &'o readiness::Observed, parts: impl Iterator<Item = &'o Part<'o>>) -> Ground<'o> {
    let parts: Vec<&Part<'_>> = parts.collect();
    if parts.iter().any(|part| part.service.whole.is_some()) {
        return Ground::whole(base);
    }
    let tables = parts.into_iter().flat_map(|part| moved(part.service, &base.catalog)).collect();
    Ground::of_tables(base, &tables)
}

/// The tables of a service with their partitions.
fn moved(service: &Service, catalog: &Catalog) -> BTreeSet<Oid> {
    let (scope, _) = Scope::new(catalog, &sides::claimed(service, catalog));
    scope.tables.iter().map(|table| table.oid).collect()
}

/// What stands against moving a whole database, where both sides could be looked at. An upgrade that is under way is told by
/// `status`.
async fn upgrades(
    topology: &Topology,
    visits: &[Visit<'_>],
    seen: &BTreeMap<DatabaseName, Observed>,
    report: &mut DoctorReport,
) {
    let sources = visits.iter().flat_map(|visit| &visit.parts).filter(|part| part.side == MoveSide::Source);
    for Part { service, .. } in sources.filter(|part| part.service.whole.is_some()) {
        let target = &service.home.value.database;
        if !seen.contains_key(&service.from) || !seen.contains_key(target) {
            continue;
        }
        let mut sheet = Sheet::new(target);
        match Box::pin(crate::planning::plan(topology, &service.name)).await {
            Ok(Plan::Live(plan)) => tables::upgrade(*plan, &mut sheet),
            // A whole database goes to another one: it has no other kind of plan.
            Ok(Plan::Schema(_)) => {}
            Err(error) => sheet.check([Noted::error(
                error.code(),
                sheet::told(&error),
                "the plan of the upgrade cannot be made",
            )]),
        }
        sheet.hand_in(report);
    }
}

/// What can only be said of a service's two databases together, and what its plan will say.
fn services_together(
    topology: &Topology,
    visits: &[Visit<'_>],
    seen: &BTreeMap<DatabaseName, Observed>,
    report: &mut DoctorReport,
) {
    let mut compared = BTreeSet::new();
    let sources = visits.iter().flat_map(|visit| &visit.parts).filter(|part| part.side == MoveSide::Source);
    for Part { service, .. } in sources {
        let (from, home) = (&service.from, &service.home.value.database);
        let (source, target) = (seen.get(from), seen.get(home));
        if let Some(source) = source {
            let mut sheet = Sheet::new(from);
            let target = target.map(|target| &target.base.catalog);
            tables::check(&source.base.catalog, target, service, &mut sheet);
            sheet.hand_in(report);
        }
        if from == home {
            continue;
        }
        let mut sheet = Sheet::new(home);
        let bridged = service.whole.is_none();
        if let (true, Ok(source), Ok(target)) = (bridged, topology.site(from), topology.site(home)) {
            bridge::endpoint(service, &source, &target, &mut sheet);
        }
        if let (Some(source), Some(target)) = (source, target) {
            if bridged {
                bridge::sessions(service, source, target, &mut sheet);
            }
            if compared.insert((from, home)) {
                let alike = |part: &&Part<'_>| {
                    part.service.from == *from && part.service.home.value.database == *home
                };
                let parts = visits.iter().flat_map(|visit| &visit.parts).filter(alike);
                let leaving = leaving(&source.base, parts);
                let coming = Ground::whole(&target.base);
                sheet.judged(readiness::judge_pair(&leaving, &coming, PlanSpeaks::Too));
            }
        }
        sheet.hand_in(report);
    }
}
