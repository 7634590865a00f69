//! Reads a server once: the catalog, the instance, what is in use, the role's rights. What that means is judged elsewhere.

use super::MoveSide;
use super::sides::Visit;
use super::touched::Touched;
use cleave_assess::readiness;
use cleave_model::catalog::Catalog;
use cleave_model::{Direction, Ident, ServiceName, labels};
use cleave_pg::{During, PgError, Session};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

/// What a look at a server gave.
pub(super) struct Observed {
    /// Catalog and instance, as the rules of readiness take them.
    pub(super) base: readiness::Observed,
    pub(super) usage: Usage,
    pub(super) role: RoleRights,
    /// Owners of what the services' moves alter: whether the role has their rights, and may become them.
    pub(super) members: BTreeMap<Ident, Membership>,
    /// Schemas in which the moves create: whether the role may.
    pub(super) may_create: BTreeMap<Ident, bool>,
}

/// What is in use on a server.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) slots: Vec<String>,
    pub(super) origins: Vec<String>,
    pub(super) senders: i64,
    /// Sessions of all databases.
    pub(super) sessions: i64,
    /// Sessions of this database.
    pub(super) database_sessions: i64,
    /// Sessions of this role, and its limit.
    pub(super) role_sessions: (i64, Option<i64>),
    /// Limit of the database.
    pub(super) database_limit: Option<i64>,
}

/// What the session's role may.
#[derive(Debug, Default)]
pub(super) struct RoleRights {
    pub(super) replication: bool,
    pub(super) createrole: bool,
    pub(super) bypass_rls: bool,
    pub(super) create_in_database: bool,
    /// False if schema `cleave` is there and belongs to a role that this one is not a member of.
    pub(super) owns_cleave: bool,
    pub(super) sees_all: bool,
    /// Origin functions without EXECUTE.
    pub(super) origin_functions_missing: Vec<String>,
    pub(super) fdw_available: bool,
    pub(super) fdw_installed: bool,
    pub(super) fdw_usage: bool,
    /// The functions that stand in for CREATEROLE are there and may be called.
    pub(super) bridge_functions: bool,
}

/// What a role is to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Membership {
    /// Has its rights.
    pub(super) usage: bool,
    /// May become it, and so give objects to it.
    pub(super) set: bool,
    /// The other is a superuser.
    pub(super) superuser: bool,
}

const USAGE: &str = "
    select array(select slot_name::text from pg_replication_slots) as slots,
           array(select roname from pg_replication_origin) as origins,
           (select count(*) from pg_stat_replication) as senders,
           (select coalesce(sum(numbackends), 0)::bigint from pg_stat_database) as sessions,
           (select numbackends::bigint from pg_stat_database where datname = current_database()) as database_sessions,
           (select count(*) from pg_stat_activity where usename = current_user) as role_sessions,
           (select nullif(rolconnlimit, -1)::bigint from pg_roles where rolname = current_user) as role_limit,
           (select nullif(datconnlimit, -1)::bigint from pg_database where datname = current_database()) as database_limit";

const ROLE: &str = "
    select r.rolreplication, r.rolcreaterole, r.rolbypassrls,
           has_database_privilege(current_database(), 'create') as create_in_database,
           coalesce((select pg_has_role(nspowner, 'usage') from pg_namespace where nspname = 'cleave'), true)
               as owns_cleave,
           pg_has_role('pg_read_all_stats', 'usage') as sees_all,
           array(select name from unnest($1::text[]) name
                 where not coalesce(has_function_privilege(to_regprocedure(name)::oid, 'execute'), false))
               as origin_functions_missing,
           exists (select from pg_available_extensions where name = 'postgres_fdw') as fdw_available,
           exists (select from pg_extension where extname = 'postgres_fdw') as fdw_installed,
           coalesce((select has_foreign_data_wrapper_privilege(oid, 'usage') from pg_foreign_data_wrapper
                     where fdwname = 'postgres_fdw'), false) as fdw_usage,
           (select bool_and(coalesce(has_schema_privilege(p.pronamespace, 'usage')
                                     and has_function_privilege(p.oid, 'execute'), false))
            from unnest($2::text[]) name left join pg_proc p on p.oid = to_regprocedure(name)) as bridge_functions
    from pg_roles r where r.rolname = current_user";

const MEMBERS: &str = "
    select r.rolname::text as name, r.rolsuper as superuser, pg_has_role(r.oid, 'usage') as usage,
           pg_has_role(r.oid, case when current_setting('server_version_num')::integer >= 160000
                                   then 'set' else 'member' end) as set
    from pg_roles r where r.rolname = any ($1::text[])";

const SCHEMAS: &str = "
    select nspname::text as name, has_schema_privilege(oid, 'create') and has_schema_privilege(oid, 'usage') as may
    from pg_namespace where nspname = any ($1::text[])";

/// Reads everything.
pub(super) async fn observe(session: &Session, visit: &Visit<'_>) -> Result<Observed, PgError> {
    let catalog = cleave_pg::catalog::read_catalog(session).await?;
    let (owners, schemas) = wanted(&catalog, visit);
    let instance = cleave_pg::instance::read_instance(session).await?;
    let what = "reading use and rights";
    let row = session.query_one(USAGE, &[]).await.during(what)?;
    let usage = usage(&row).during(what)?;
    let functions: [&[&str]; 2] =
        [&super::privileges::ORIGIN_FUNCTIONS, &super::privileges::BRIDGE_FUNCTIONS];
    let row = session.query_one(ROLE, &[&functions[0], &functions[1]]).await.during(what)?;
    let role = role(&row).during(what)?;
    let rows = session.query(MEMBERS, &[&owners]).await.during(what)?;
    let members = rows.iter().map(membership).collect::<Result<_, _>>().during(what)?;
    let rows = session.query(SCHEMAS, &[&schemas]).await.during(what)?;
    let schema = |row: &Row| Ok((Ident::new(row.try_get::<_, String>(0)?), row.try_get(1)?));
    let may_create = rows.iter().map(schema).collect::<Result<_, tokio_postgres::Error>>().during(what)?;
    let base = readiness::Observed { catalog, instance };
    Ok(Observed { base, usage, role, members, may_create })
}

/// The owners and schemas that the visit's services need.
fn wanted(catalog: &Catalog, visit: &Visit<'_>) -> (Vec<String>, Vec<String>) {
    let (mut owners, mut schemas) = (BTreeSet::new(), BTreeSet::new());
    for part in &visit.parts {
        match part.side {
            MoveSide::Source => {
                let touched = Touched::of(part.service, catalog);
                owners.extend(touched.owners.into_keys());
                schemas.extend(touched.schemas);
            }
            MoveSide::Target => {
                owners.extend(part.service.owner.as_ref().map(|owner| owner.value.clone()));
                schemas.insert(part.service.home.value.schema.clone());
            }
        }
    }
    let texts = |names: BTreeSet<Ident>| names.iter().map(|name| name.as_str().to_owned()).collect();
    (texts(owners), texts(schemas))
}

fn usage(row: &Row) -> Result<Usage, tokio_postgres::Error> {
    Ok(Usage {
        slots: row.try_get("slots")?,
        origins: row.try_get("origins")?,
        senders: row.try_get("senders")?,
        sessions: row.try_get("sessions")?,
        database_sessions: row.try_get("database_sessions")?,
        role_sessions: (row.try_get("role_sessions")?, row.try_get("role_limit")?),
        database_limit: row.try_get("database_limit")?,
    })
}

fn role(row: &Row) -> Result<RoleRights, tokio_postgres::Error> {
    Ok(RoleRights {
        replication: row.try_get("rolreplication")?,
        createrole: row.try_get("rolcreaterole")?,
        bypass_rls: row.try_get("rolbypassrls")?,
        create_in_database: row.try_get("create_in_database")?,
        owns_cleave: row.try_get("owns_cleave")?,
        sees_all: row.try_get("sees_all")?,
        origin_functions_missing: row.try_get("origin_functions_missing")?,
        fdw_available: row.try_get("fdw_available")?,
        fdw_installed: row.try_get("fdw_installed")?,
        fdw_usage: row.try_get("fdw_usage")?,
        bridge_functions: row.try_get::<_, Option<bool>>("bridge_functions")?.unwrap_or_default(),
    })
}

fn membership(row: &Row) -> Result<(Ident, Membership), tokio_postgres::Error> {
    let name = Ident::new(row.try_get::<_, String>("name")?);
    let (usage, set, superuser) = (row.try_get("usage")?, row.try_get("set")?, row.try_get("superuser")?);
    Ok((name, Membership { usage, set, superuser }))
}

impl Usage {
    /// How many of the slots in use are Cleave's own, for one of these services.
    pub(super) fn our_slots(&self, visit: &Visit<'_>) -> i64 {
        let ours = |service: &ServiceName, name: &str| {
            [Direction::Forward, Direction::Back]
                .iter()
                .any(|direction| name.starts_with(labels::slot(service, *direction, 0).trim_end_matches('0')))
        };
        count(&self.slots, visit, ours)
    }

    /// The same of origins.
    pub(super) fn our_origins(&self, visit: &Visit<'_>) -> i64 {
        let ours = |service: &ServiceName, name: &str| {
            [Direction::Forward, Direction::Back]
                .iter()
                .any(|direction| labels::is_peer_origin(service, *direction, name))
        };
        count(&self.origins, visit, ours)
    }
}

fn count(names: &[String], visit: &Visit<'_>, ours: impl Fn(&ServiceName, &str) -> bool) -> i64 {
    let ours = names.iter().filter(|name| visit.parts.iter().any(|part| ours(&part.service.name, name)));
    i64::try_from(ours.count()).unwrap_or(i64::MAX)
}
