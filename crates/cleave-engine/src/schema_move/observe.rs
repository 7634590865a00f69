//! Reads the database and has the plan made.

use crate::{EngineError, Topology, planning};
use cleave_config::{SchemaMove, Service};
use cleave_model::{Ident, QualifiedName};
use cleave_pg::{During, Session, catalog::read_catalog};
use cleave_plan::{Observation, SchemaPlan, plan_schema_move};

/// Plans the schema move of a service against what is there now.
pub(crate) async fn plan(
    topology: &Topology,
    service: &Service,
    wish: &SchemaMove,
) -> Result<SchemaPlan, EngineError> {
    let session = topology.site(&service.from)?.connect("plan").await?;
    plan_on(topology, service, wish, &session).await
}

/// The same, on a session that is there.
pub(super) async fn plan_on(
    topology: &Topology,
    service: &Service,
    wish: &SchemaMove,
    session: &Session,
) -> Result<SchemaPlan, EngineError> {
    let catalog = read_catalog(session).await?;
    let around = cleave_pg::surroundings(session).await?;
    let mut names: Vec<QualifiedName> = catalog.tables.iter().map(|table| table.name.clone()).collect();
    // A pattern does not mean tables of an extension; a name does, and is refused with a reason.
    let named = |table: &QualifiedName| {
        service.tables.iter().any(|pattern| pattern.value.exact().as_ref() == Some(table))
    };
    names.extend(around.extension_tables.iter().map(|(table, _)| table.clone()).filter(named));
    let mut claims = planning::claims(topology, &service.from, session, names).await?;
    let claimed = claims.remove(&service.name).unwrap_or_default();
    let claimed_elsewhere: Vec<_> = claims
        .into_iter()
        .flat_map(|(service, tables)| tables.into_iter().map(move |table| (table, service.clone())))
        .collect();
    let seen = Observation { catalog: &catalog, around: &around, claimed_elsewhere: &claimed_elsewhere };
    let mut plan = plan_schema_move(service, wish, &claimed, &seen);
    plan.findings.extend(crate::split::in_open_split(session, &claimed).await?);
    plan.fingerprint = cleave_pg::fingerprint(session, &plan.oids()).await?;
    Ok(plan)
}

/// A partition that somebody made in the new schema after the cutover.
pub(super) struct Stray {
    /// Its name now.
    pub(super) now: QualifiedName,
    /// The schema of its parent before the move.
    pub(super) back: Ident,
}

/// Partitions at any level below the moved tables that are not in the plan and stand in the new schema.
pub(super) async fn new_partitions(session: &Session, plan: &SchemaPlan) -> Result<Vec<Stray>, EngineError> {
    const SQL: &str = "
        with recursive below(oid, root) as (
            select i.inhrelid, i.inhparent from pg_catalog.pg_inherits i where i.inhparent = any ($1)
            union
            select i.inhrelid, b.root from pg_catalog.pg_inherits i join below b on b.oid = i.inhparent)
        select distinct on (c.oid) n.nspname::text, c.relname::text, b.root
        from below b join pg_catalog.pg_class c on c.oid = b.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.oid <> all ($1) and n.nspname = $2 order by c.oid";
    let rows = session
        .query(SQL, &[&plan.oids(), &plan.schema])
        .await
        .during("looking for partitions that were added")?;
    let back = |root: u32| {
        let parent = plan.tables.iter().find(|table| table.oid == root);
        parent.map(|table| Ident::new(table.from.schema.as_str()))
    };
    let stray = |row: &tokio_postgres::Row| {
        let now = QualifiedName::new(row.get::<_, &str>(0), row.get::<_, &str>(1));
        Some(Stray { now, back: back(row.get(2))? })
    };
    Ok(rows.iter().filter_map(stray).collect())
}
