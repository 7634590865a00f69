//! Reads what the plan of an upgrade has to know beside the catalogs.

use crate::{EngineError, planning::Observed};
use cleave_config::Service;
use cleave_journal::{MoveRow, MoveState};
use cleave_model::Ident;
use cleave_model::catalog::Catalog;
use cleave_pg::{During, Session};
use cleave_plan::{LockRoom, Plan, Surroundings};
use std::collections::{BTreeMap, BTreeSet};

const EXTENSIONS: &str = "
    select name::text, pg_catalog.array_agg(version order by version) from pg_catalog.pg_available_extension_versions
    group by name";

const TABLESPACES_USED: &str = "
    select distinct t.spcname::text from pg_catalog.pg_class c join pg_catalog.pg_tablespace t on t.oid = c.reltablespace
    where t.spcname not in ('pg_default', 'pg_global') order by 1";

/// Settings of roles and of the database: role (null for all), whether in this database only, name, value.
pub(super) const SETTINGS: &str = "
    select r.rolname::text, s.setdatabase <> 0, pg_catalog.split_part(c.entry, '=', 1),
           pg_catalog.substr(c.entry, pg_catalog.strpos(c.entry, '=') + 1)
    from pg_catalog.pg_db_role_setting s
    left join pg_catalog.pg_roles r on r.oid = s.setrole
    cross join lateral pg_catalog.unnest(s.setconfig) c(entry)
    where s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
      and (s.setrole = 0 or (r.rolname is not null and r.rolname !~ '^pg_'))
    order by 1, 2, 3";

const CONSUMERS: &str = "
    select slot_name::text from pg_catalog.pg_replication_slots
    where database = pg_catalog.current_database() and slot_type = 'logical' and not temporary
      and slot_name !~ '^cleave_' order by 1";

const FOREIGN_SERVERS: &str = "
    select srvname::text from pg_catalog.pg_foreign_server s
    where srvname !~ '^cleave_' and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_foreign_server'::pg_catalog.regclass and d.objid = s.oid and d.deptype = 'e')
    order by 1";

/// Tables whose rows an extension leaves to pg_dump, with the condition on those rows.
const EXTENSION_TABLES: &str = "
    select pg_catalog.format('%I.%I', n.nspname, c.relname), e.extname::text, coalesce(t.condition, '')
    from pg_catalog.pg_extension e
    cross join lateral unnest(e.extconfig, e.extcondition) t(oid, condition)
    join pg_catalog.pg_class c on c.oid = t.oid and c.relkind = 'r'
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace order by 1";

const LOCKS: &str = "
    select pg_catalog.current_setting('max_locks_per_transaction')::bigint,
           pg_catalog.current_setting('max_connections')::bigint
             + pg_catalog.current_setting('max_prepared_transactions')::bigint";

pub(crate) async fn read(service: &Service, observed: &Observed) -> Result<Surroundings, EngineError> {
    let (m, n) = (&observed.m_session, &observed.n_session);
    let what = "reading what surrounds the database";
    let extensions = n.query(EXTENSIONS, &[]).await.during(what)?;
    let available_extensions: BTreeMap<Ident, Vec<String>> =
        extensions.iter().map(|row| (Ident::new(row.get::<_, &str>(0)), row.get(1))).collect();
    let tablespaces = "select spcname::text from pg_catalog.pg_tablespace";
    let objects: i64 = m
        .query_one("select count(*) from pg_catalog.pg_largeobject_metadata", &[])
        .await
        .during(what)?
        .get(0);
    let (owners_out_of_reach, roles_out_of_reach) =
        out_of_reach(n, &observed.source, &observed.target).await?;
    let mut lock_room = Vec::new();
    for (session, site) in [(m, &observed.m), (n, &observed.n)] {
        let row = session.query_one(LOCKS, &[]).await.during(what)?;
        lock_room.push(LockRoom {
            database: site.name.to_string(),
            per_transaction: row.get::<_, i64>(0).unsigned_abs(),
            transactions: row.get::<_, i64>(1).unsigned_abs(),
        });
    }
    Ok(Surroundings {
        available_extensions,
        tablespaces_used: names(m, TABLESPACES_USED).await?.into_iter().map(Ident::new).collect(),
        tablespaces_there: names(n, tablespaces).await?.into_iter().map(Ident::new).collect(),
        unknown_settings: unknown_settings(m, n).await?,
        consumers: names(m, CONSUMERS).await?,
        foreign_servers: names(m, FOREIGN_SERVERS).await?.into_iter().map(Ident::new).collect(),
        extension_tables: extension_tables(m).await?,
        open_moves: open_moves(service, observed).await?,
        large_objects: objects.unsigned_abs(),
        lock_room,
        owners_out_of_reach,
        roles_out_of_reach,
        newer_dump: None,
    })
}

pub(super) async fn names(session: &Session, sql: &str) -> Result<Vec<String>, EngineError> {
    let rows = session.query(sql, &[]).await.during("reading names")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Names of settings that a server knows.
pub(super) async fn known_settings(session: &Session) -> Result<BTreeSet<String>, EngineError> {
    Ok(names(session, "select pg_catalog.lower(name) from pg_catalog.pg_settings")
        .await?
        .into_iter()
        .collect())
}

/// Settings with a dot are anybody's, and taken by every server.
pub(super) fn is_known(setting: &str, known: &BTreeSet<String>) -> bool {
    setting.contains('.') || known.contains(&setting.to_ascii_lowercase())
}

async fn unknown_settings(m: &Session, n: &Session) -> Result<Vec<String>, EngineError> {
    let known = known_settings(n).await?;
    let rows = m.query(SETTINGS, &[]).await.during("reading settings of roles")?;
    let unknown = rows.iter().filter(|row| !is_known(row.get(2), &known));
    let shown = unknown.map(|row| match row.get::<_, Option<&str>>(0) {
        Some(role) => format!("role {role}: {}", row.get::<_, &str>(2)),
        None => format!("database: {}", row.get::<_, &str>(2)),
    });
    Ok(shown.collect())
}

async fn extension_tables(m: &Session) -> Result<Vec<String>, EngineError> {
    let mut tables = Vec::new();
    for row in m.query(EXTENSION_TABLES, &[]).await.during("reading tables of extensions")? {
        let (table, extension, condition): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let sql = format!("select exists (select from {table} {condition})");
        // One that this role may not read is told, as it may hold rows.
        let holds = match m.query_one(&sql, &[]).await {
            Ok(row) => row.get(0),
            Err(_) => true,
        };
        if holds {
            tables.push(format!("{table} of {extension}"));
        }
    }
    Ok(tables)
}

async fn open_moves(service: &Service, observed: &Observed) -> Result<Vec<String>, EngineError> {
    let mut open = Vec::new();
    for (session, site) in [(&observed.m_session, &observed.m), (&observed.n_session, &observed.n)] {
        if cleave_journal::installed_version(&**session).await?.is_none() {
            continue;
        }
        let rows = MoveRow::read_all(&**session).await?;
        for row in rows.iter().filter(|row| row.service != service.name) {
            // A copy that is kept current is a stream into this database, or out of it.
            let streams = row.state == MoveState::Done
                && !row.is_split()
                && matches!(crate::context::stored(row)?, Plan::Live(plan) if plan.copy_kept);
            if row.state.is_open() || streams {
                open.push(format!("{} in {}", row.service, site.name));
            }
        }
    }
    Ok(open)
}

/// Owners that the target's role cannot act as, and roles that it may not make.
async fn out_of_reach(
    n: &Session,
    source: &Catalog,
    target: &Catalog,
) -> Result<(Vec<Ident>, Vec<Ident>), EngineError> {
    if target.facts.superuser {
        return Ok((Vec::new(), Vec::new()));
    }
    let missing = |name: &Ident| !target.roles.iter().any(|role| role.name == *name);
    let makes: bool = n
        .query_one("select rolcreaterole from pg_catalog.pg_roles where rolname = current_user", &[])
        .await
        .during("reading the role's rights")?
        .get(0);
    let wanted = source.roles.iter().filter(|role| missing(&role.name));
    let beyond = wanted.filter(|role| !makes || role.superuser || role.replication || role.bypass_rls);
    let roles = beyond.map(|role| role.name.clone()).collect();
    let owners: BTreeSet<&Ident> = (source.tables.iter().map(|table| &table.owner))
        .chain(source.views.iter().map(|view| &view.owner))
        .chain(source.sequences.iter().map(|sequence| &sequence.owner))
        .chain(source.functions.iter().map(|function| &function.owner))
        .chain(source.types.iter().map(|user_type| &user_type.owner))
        .filter(|owner| !missing(owner))
        .collect();
    let list: Vec<&str> = owners.iter().map(|owner| owner.as_str()).collect();
    let rows = n
        .query(
            "select o from pg_catalog.unnest($1::text[]) o
             where not pg_catalog.pg_has_role(current_user, o::name, 'member') order by 1",
            &[&list],
        )
        .await
        .during("reading memberships")?;
    Ok((rows.iter().map(|row| Ident::new(row.get::<_, &str>(0))).collect(), roles))
}
