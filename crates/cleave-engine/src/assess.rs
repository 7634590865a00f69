//! `cleave assess`: one database judged by itself, and the boundary that cleave.toml draws in it.

use crate::workload::{WorkloadOptions, read_workload};
use crate::{EngineError, Topology};
use cleave_api::{
    BoundaryCrossing, BoundaryOutcome, BoundaryParty, BoundaryReport, CrossingKind, Problem, ReadinessReport,
    Severity, SizeFacts,
};
use cleave_assess::boundary::{self, Boundary, Crossing, Kind, Member, Party};
use cleave_assess::readiness::{self, Ground, Observed, PlanSpeaks, Side};
use cleave_journal::MoveRow;
use cleave_model::catalog::{Catalog, FunctionKind};
use cleave_model::instance::{Connection, LogRate};
use cleave_model::workload::Workload;
use cleave_model::{DatabaseName, ServiceName};
use cleave_pg::Endpoint;
use cleave_pg::catalog::read_catalog;
use cleave_plan::Scope;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Judges a database as the source of moves, all of it.
///
/// # Errors
/// The database cannot be reached or its catalog not be read.
pub async fn assess(endpoint: &Endpoint) -> Result<ReadinessReport, EngineError> {
    let session = cleave_pg::connect(endpoint, "assess").await?;
    let catalog = read_catalog(&session).await?;
    let mut instance = cleave_pg::instance::read_instance(&session).await?;
    instance.connection = match cleave_pg::instance::look_at_connection(endpoint).await {
        Ok(connection) => connection,
        // One connection is enough for the rest; nothing is said about the way to the server then.
        Err(_) => Connection { local: true, ..Connection::default() },
    };
    let observed = Observed { catalog, instance };
    let judgement = readiness::judge(&Ground::whole(&observed), &[Side::Source], PlanSpeaks::Not);
    let facts = &observed.catalog.facts;
    let shown = |finding| crate::doctor::shown(finding, &facts.database);
    let mut findings: Vec<_> = judgement.findings.into_iter().map(shown).collect();
    findings.sort_by_key(|finding| Reverse(finding.severity));
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    Ok(ReadinessReport {
        database: facts.database.clone(),
        server: format!("PostgreSQL {}.{}", facts.major(), facts.version_num % 10_000),
        size: size(&observed),
        blockers: count(Severity::Error),
        warnings: count(Severity::Warning),
        notes: count(Severity::Note),
        checks: judgement.checks as u64,
        findings,
    })
}

fn size(observed: &Observed) -> SizeFacts {
    let catalog = &observed.catalog;
    let tables = || catalog.tables.iter();
    let triggers = tables().flat_map(|table| &table.triggers).filter(|trigger| !trigger.inherited);
    let code = catalog.functions.iter().filter(|function| function.kind != FunctionKind::Aggregate);
    SizeFacts {
        tables: tables().filter(|table| table.partition_of.is_none()).count() as u64,
        partitions: tables().filter(|table| table.partition_of.is_some()).count() as u64,
        foreign_keys: tables().map(|table| table.foreign_keys.len()).sum::<usize>() as u64,
        views: catalog.views.len() as u64,
        functions: code.count() as u64,
        triggers: triggers.count() as u64,
        sequences: catalog.sequences.len() as u64,
        rows_estimated: tables().filter(|table| table.holds_rows()).map(|table| table.rows_estimated).sum(),
        bytes: tables().map(|table| table.heap_bytes + table.index_bytes).sum(),
        log_bytes_per_second: observed.instance.log_rate.map(LogRate::bytes_per_second),
    }
}

/// What crosses between the services of cleave.toml, or of one of them, with a workload that is read from their databases.
/// What is to be said of its sources are the problems beside it.
///
/// # Errors
/// `C0420` for a service that is not in the file; a database that cannot be reached or read; a pattern that fits no table;
/// as [`read_workload`].
pub async fn boundary(
    topology: &Topology,
    only: Option<&ServiceName>,
    options: &WorkloadOptions,
) -> Result<(BoundaryReport, Vec<Problem>), EngineError> {
    let (mut report, mut problems) = (BoundaryReport::default(), Vec::new());
    for database in sources(topology, only)? {
        let mut session = topology.site(database)?.connect("assess").await?;
        let catalog = read_catalog(&session).await?;
        let reading = read_workload(&mut session, &catalog, options).await?;
        problems.extend(reading.problems);
        let members = members(topology, database, &catalog, &session).await?;
        add(&mut report, database, only, boundary::report(&catalog, &members, &reading.workload), members);
    }
    Ok((report, problems))
}

/// The same with a workload that is there already, which all databases share.
///
/// # Errors
/// As [`boundary`].
pub async fn boundary_of(
    topology: &Topology,
    only: Option<&ServiceName>,
    workload: &Workload,
) -> Result<BoundaryReport, EngineError> {
    let mut report = BoundaryReport::default();
    for database in sources(topology, only)? {
        let session = topology.site(database)?.connect("assess").await?;
        let catalog = read_catalog(&session).await?;
        let members = members(topology, database, &catalog, &session).await?;
        add(&mut report, database, only, boundary::report(&catalog, &members, workload), members);
    }
    Ok(report)
}

/// The databases that services come from.
fn sources<'t>(
    topology: &'t Topology,
    only: Option<&ServiceName>,
) -> Result<BTreeSet<&'t DatabaseName>, EngineError> {
    match only {
        Some(name) => Ok(BTreeSet::from([&crate::planning::service(topology, name.as_str())?.from])),
        None => Ok(topology.config().services.iter().map(|service| &service.from).collect()),
    }
}

fn add(
    report: &mut BoundaryReport,
    database: &DatabaseName,
    only: Option<&ServiceName>,
    found: Boundary,
    members: Vec<Member>,
) {
    let is_wanted = |name: &str| only.is_none_or(|only| only.as_str() == name);
    let touches = |crossing: &Crossing| {
        crossing.parties.keys().any(|party| matches!(party, Party::Service(name) if is_wanted(name)))
    };
    report.services.extend(members.into_iter().map(|member| member.name).filter(|name| is_wanted(name)));
    report.crossings.extend(found.crossings.into_iter().filter(touches).map(|c| shown(c, database)));
    report.statements += found.statements.0;
    report.statements_unread += found.statements.1;
    report.transactions += found.transactions;
}

/// The services that a database is the source of, with their tables. Tables of open moves are known by their plans.
async fn members(
    topology: &Topology,
    database: &DatabaseName,
    catalog: &Catalog,
    session: &cleave_pg::Session,
) -> Result<Vec<Member>, EngineError> {
    let mut names: Vec<_> = catalog.tables.iter().map(|table| table.name.clone()).collect();
    if cleave_journal::installed_version(&**session).await?.is_some() {
        let rows = MoveRow::read_all(&**session).await?;
        for row in rows.into_iter().filter(|row| !row.is_split()) {
            names.extend(crate::context::stored(&row)?.sources());
        }
    }
    names.sort();
    names.dedup();
    let matched = cleave_config::match_tables(topology.config(), database, &names, topology.text());
    let mut assignments = matched.map_err(|errors| EngineError::config(&errors, topology))?;
    let services = topology.config().services.iter().filter(|service| service.from == *database);
    let member = |service: &cleave_config::Service| {
        let claimed = assignments.remove(&service.name).unwrap_or_default();
        let (scope, _) = Scope::new(catalog, &claimed);
        Member {
            name: service.name.to_string(),
            bridge: service.schema_move.is_none().then_some(service.bridge.value),
            tables: scope.tables.iter().map(|table| table.oid).collect(),
        }
    };
    Ok(services.map(member).collect())
}

fn shown(crossing: Crossing, database: &DatabaseName) -> BoundaryCrossing {
    let materialized = crossing.outcomes.iter().any(|outcome| outcome.label == "materialized view");
    let parties = crossing.parties.into_iter().map(|(party, objects)| BoundaryParty {
        service: match party {
            Party::Service(name) => Some(name),
            Party::Rest => None,
        },
        objects: objects.into_iter().collect(),
    });
    let outcomes = crossing.outcomes.into_iter();
    BoundaryCrossing {
        kind: match crossing.kind {
            Kind::Key => CrossingKind::ForeignKey,
            Kind::View if materialized => CrossingKind::MaterializedView,
            Kind::View => CrossingKind::View,
            Kind::Function => CrossingKind::Function,
            Kind::Trigger => CrossingKind::Trigger,
            Kind::Sequence => CrossingKind::Sequence,
            Kind::Statement => CrossingKind::Statement,
            Kind::Transaction => CrossingKind::Transaction,
        },
        database: database.to_string(),
        object: crossing.object,
        parties: parties.collect(),
        evidence: crossing.evidence,
        remedy: crossing.remedy,
        outcomes: outcomes.map(|o| BoundaryOutcome { service: o.service, fate: o.text }).collect(),
        count: crossing.count,
    }
}
