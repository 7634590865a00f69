//! Reads both databases and has the plan made.

use crate::{EngineError, Site, Topology};
use cleave_config::{Assignments, Service};
use cleave_journal::MoveRow;
use cleave_model::catalog::Catalog;
use cleave_model::{DatabaseName, QualifiedName, ServiceName};
use cleave_pg::{During, Session, catalog::read_catalog};
use cleave_plan::{MovePlan, Plan, Spread};
use std::collections::BTreeMap;

/// Both sides of a service as they are now.
pub(crate) struct Observed {
    pub(crate) m: Site,
    pub(crate) n: Site,
    pub(crate) m_session: Session,
    pub(crate) n_session: Session,
    pub(crate) source: Catalog,
    pub(crate) target: Catalog,
}

/// The service of that name.
pub(crate) fn service<'c>(topology: &'c Topology, name: &str) -> Result<&'c Service, EngineError> {
    let config = topology.config();
    config.service(name).ok_or_else(|| EngineError::NoSuchService {
        name: name.to_owned(),
        file: config.file.clone(),
        known: config.services.iter().map(|service| service.name.to_string()).collect(),
    })
}

/// Connects to both sides of a service and reads their catalogs.
pub(crate) async fn observe(topology: &Topology, service: &Service) -> Result<Observed, EngineError> {
    let m = topology.site(&service.from)?;
    let n = topology.site(&service.home.value.database)?;
    let m_session = m.connect("plan").await?;
    let n_session = n.connect("plan").await?;
    let source = read_catalog(&m_session).await?;
    let target = read_catalog(&n_session).await?;
    Ok(Observed { m, n, m_session, n_session, source, target })
}

/// Plans the move of a service against what is there now.
///
/// # Errors
/// The servers' and the configuration's; refusals are in the plan.
pub async fn plan(topology: &Topology, name: &ServiceName) -> Result<Plan, EngineError> {
    let service = service(topology, name.as_str())?;
    let session = topology.site(&service.from)?.connect("plan").await?;
    if let Some(row) = open_move(&session, name).await? {
        return crate::context::stored(&row);
    }
    plan_now(topology, service).await
}

/// Plans against what is there, whatever is open.
pub(crate) async fn plan_now(topology: &Topology, service: &Service) -> Result<Plan, EngineError> {
    if let Some(wish) = &service.schema_move {
        let plan = crate::schema_move::plan(topology, service, wish).await?;
        return Ok(Plan::Schema(Box::new(plan)));
    }
    let observed = observe(topology, service).await?;
    let plan = plan_observed(topology, service, &observed).await?;
    Ok(Plan::Live(Box::new(plan)))
}

/// The open move of a service, if there is one.
pub(crate) async fn open_move(m: &Session, name: &ServiceName) -> Result<Option<MoveRow>, EngineError> {
    if cleave_journal::installed_version(&**m).await?.is_none() {
        return Ok(None);
    }
    Ok(MoveRow::read(&**m, name).await?.filter(|row| row.state.is_open()))
}

/// Plans against catalogs that have been read.
pub(crate) async fn plan_observed(
    topology: &Topology,
    service: &Service,
    observed: &Observed,
) -> Result<MovePlan, EngineError> {
    let mut plan = match &service.whole {
        Some(whole) => Box::pin(crate::upgrade::plan(service, whole, observed)).await?,
        None => {
            let claimed = claimed_tables(topology, service, observed).await?;
            cleave_plan::plan_move(service, &claimed, &observed.source, &observed.target)
        }
    };
    giants(&observed.m_session, &observed.source, topology.config().limits.giant_bytes, &mut plan).await?;
    plan.findings.extend(room(observed).await?);
    let tables: Vec<QualifiedName> = plan.tables.iter().map(|table| table.source.qualified()).collect();
    plan.findings.extend(crate::split::in_open_split(&observed.m_session, &tables).await?);
    plan.findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    plan.fingerprint = cleave_pg::fingerprint(&observed.m_session, &plan.source_oids()).await?;
    Ok(plan)
}

/// Which tables are copied in ranges of their keys.
async fn giants(
    m: &Session,
    source: &Catalog,
    giant_bytes: u64,
    plan: &mut MovePlan,
) -> Result<(), EngineError> {
    const SPREAD: &str = "
        select correlation, n_distinct from pg_catalog.pg_stats
        where schemaname = $1::text and tablename = $2::text and attname = $3::text and not inherited";
    let mut known = BTreeMap::new();
    for (table, column) in cleave_plan::giant_columns(plan, source, giant_bytes) {
        let (schema, name) = (table.name.schema.as_str(), table.name.name.as_str());
        let row = m.query_opt(SPREAD, &[&schema, &name, &column.as_str()]).await;
        let spread = row.during("looking at the order of a table's rows")?.and_then(|row| {
            let (correlation, distinct): (Option<f32>, f32) = (row.get(0), row.get(1));
            Some(Spread { correlation: correlation?.into(), distinct: distinct.into() })
        });
        known.insert(table.oid, spread);
    }
    cleave_plan::plan_giants(plan, source, giant_bytes, |table| known.get(&table.oid).copied().flatten());
    Ok(())
}

async fn claimed_tables(
    topology: &Topology,
    service: &Service,
    observed: &Observed,
) -> Result<Vec<QualifiedName>, EngineError> {
    let names = observed.source.tables.iter().map(|table| table.name.clone()).collect();
    let mut claims = claims(topology, &service.from, &observed.m_session, names).await?;
    Ok(claims.remove(&service.name).unwrap_or_default())
}

/// Which service claims which tables of a database. Tables that have moved away stand in the catalogs no more, so the
/// open moves name theirs.
pub(crate) async fn claims(
    topology: &Topology,
    database: &DatabaseName,
    session: &Session,
    mut names: Vec<QualifiedName>,
) -> Result<Assignments, EngineError> {
    if cleave_journal::installed_version(&**session).await?.is_some() {
        let rows = MoveRow::read_all(&**session).await?;
        for row in rows.into_iter().filter(|row| !row.is_split()) {
            names.extend(crate::context::stored(&row)?.sources());
        }
    }
    names.sort();
    names.dedup();
    let matched = cleave_config::match_tables(topology.config(), database, &names, topology.text());
    matched.map_err(|errors| EngineError::config(&errors, topology))
}

/// Slots, walsenders, origins and connections that the move takes on both sides.
async fn room(observed: &Observed) -> Result<Vec<cleave_plan::Finding>, EngineError> {
    const FREE: &str = "
        select current_setting('max_replication_slots')::bigint - (select count(*) from pg_replication_slots),
               current_setting('max_wal_senders')::bigint
                 - (select count(*) from pg_stat_activity where backend_type = 'walsender'),
               coalesce(current_setting('max_active_replication_origins', true),
                        current_setting('max_replication_slots'))::bigint
                 - (select count(*) from pg_replication_origin_status),
               current_setting('max_connections')::bigint
                 - (select count(*) from pg_stat_activity where backend_type = 'client backend')";
    let mut findings = Vec::new();
    for (session, site) in [(&observed.m_session, &observed.m), (&observed.n_session, &observed.n)] {
        let origins_readable: bool = session
            .query_one("select has_function_privilege('pg_show_replication_origin_status()', 'execute')", &[])
            .await
            .during("looking for free slots")?
            .get(0);
        let sql = if origins_readable {
            FREE.to_owned()
        } else {
            FREE.replace("- (select count(*) from pg_replication_origin_status)", "")
        };
        let row = session.query_one(&sql, &[]).await.during("looking for free slots")?;
        let free = cleave_plan::Room {
            slots: row.get(0),
            senders: row.get(1),
            origins: row.get(2),
            origins_setting: if session.server_version_num() >= 180_000 {
                "max_active_replication_origins"
            } else {
                "max_replication_slots"
            },
            connections: row.get(3),
        };
        findings.extend(cleave_plan::check_room(&free, site.name.as_str()));
    }
    Ok(findings)
}
