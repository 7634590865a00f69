//! What must hold before the names change. A gate that refuses has changed nothing.

use super::observe;
use crate::{EngineError, runner::Runner, verbs};
use cleave_api::ExitCode;
use cleave_journal::MoveRow;
use cleave_model::{Oid, QualifiedName};
use cleave_pg::{During, Session};
use cleave_plan::{NameLayer, SchemaPlan, Weight};

/// How many are named in a message.
const SHOWN_MAX: i64 = 5;

/// Sessions of applications that began before a moment of the journal. What kind of process another role's session is,
/// only its own and monitoring roles are told.
const OLDER_SESSIONS: &str = "
    select pid, coalesce(usename::text, 'unknown'), coalesce(application_name, '')
    from pg_catalog.pg_stat_activity
    where datname = pg_catalog.current_database() and coalesce(backend_type, 'client backend') = 'client backend'
      and coalesce(application_name, '') not like 'cleave %'
      and backend_start < (select max(at) from cleave.journal
                           where service = $1 and move = $2 and step = $3 and event = 'done')
    order by backend_start limit $4";

/// Views, functions and rules of others that stand on the views under the old names.
const DEPENDENTS: &str = "
    select distinct pg_catalog.pg_describe_object(d.classid, d.objid, 0), v.oid::regclass::text
    from pg_catalog.pg_depend d
    join pg_catalog.pg_class v on v.oid = d.refobjid and d.refclassid = 'pg_catalog.pg_class'::regclass
    where v.oid in (select pg_catalog.to_regclass(n) from unnest($1::text[]) n) and v.relkind = 'v'
      and d.deptype = 'n'
      and not (d.classid = 'pg_catalog.pg_rewrite'::regclass
               and exists (select from pg_catalog.pg_rewrite r where r.oid = d.objid and r.ev_class = v.oid))
    order by 1 limit $2";

/// The plan as it would be made now. Tables may have been altered and partitions added since; what is wanted may not
/// have changed.
pub(super) async fn fresh(
    runner: &Runner,
    stored: &SchemaPlan,
    session: &Session,
) -> Result<SchemaPlan, EngineError> {
    let service = runner.configured()?;
    let Some(wish) = &service.schema_move else {
        return Err(crate::context::other_kind(&runner.service, "another schema"));
    };
    let fresh = observe::plan_on(&runner.topology, service, wish, session).await?;
    if fresh.is_refused() {
        let refusals = fresh.findings.iter().filter(|finding| finding.weight == Weight::Refusal);
        let findings: Vec<String> = refusals.map(verbs::refusal).collect();
        return Err(EngineError::Refused {
            service: runner.service.clone(),
            count: findings.len(),
            findings,
        });
    }
    let roots = |plan: &SchemaPlan| {
        let roots = plan.tables.iter().filter(|table| !table.is_partition);
        roots.map(|table| (table.oid, table.to.clone())).collect::<Vec<_>>()
    };
    let wanted =
        |plan: &SchemaPlan| (roots(plan), plan.layer, plan.owner_role.clone(), plan.reader_role.clone());
    if wanted(&fresh) != wanted(stored) {
        return Err(EngineError::Gate {
            code: "C0223",
            message: "the plan no longer fits: the tables or cleave.toml have changed since".to_owned(),
            hint: Some("cancel, and apply a new plan".to_owned()),
            next: Some(vec!["cancel".to_owned(), runner.service.to_string()]),
            exit: ExitCode::Drift,
        });
    }
    // What `apply` has made stays known by the stored plan.
    Ok(SchemaPlan {
        made_roles: stored.made_roles.clone(),
        paths: stored.paths.clone(),
        script: cleave_plan::SchemaScript {
            prepare: stored.script.prepare.clone(),
            cancel: stored.script.cancel.clone(),
            ..fresh.script
        },
        ..fresh
    })
}

/// Under the locks: the tables are those that the statements were made for.
pub(super) async fn unchanged(plan: &SchemaPlan, session: &Session) -> Result<(), EngineError> {
    let now = cleave_pg::fingerprint(session, &plan.oids()).await?;
    if now == plan.fingerprint {
        return Ok(());
    }
    Err(EngineError::gate("C0711", "the tables were altered while the cutover was made ready")
        .hint("run the command again"))
}

/// A split that was made of the tables under their new names knows them by these.
pub(super) async fn splits(plan: &SchemaPlan, session: &Session) -> Result<(), EngineError> {
    let Some(finding) = crate::split::in_open_split(session, &plan.new_names()).await? else { return Ok(()) };
    Err(EngineError::gate("C1160", format!("{}: {}", finding.object, finding.message))
        .hint("take the split back first: `cleave rollback` and `cleave cancel` with its name"))
}

/// A prepared transaction holds its locks until somebody ends it: no ladder gets past it.
pub(super) async fn prepared_transactions(
    runner: &Runner,
    session: &Session,
    tables: &[QualifiedName],
) -> Result<(), EngineError> {
    let names: Vec<String> = tables.iter().map(QualifiedName::quoted).collect();
    let sql = "select pg_catalog.to_regclass(n)::oid from pg_catalog.unnest($1::text[]) n";
    let rows = session.query(sql, &[&names]).await.during("looking up the tables")?;
    let oids: Vec<Oid> = rows.iter().filter_map(|row| row.get::<_, Option<u32>>(0)).map(Oid).collect();
    let blockers = cleave_pg::locks::blockers_of_relations(session, &oids).await?;
    let Some(prepared) = blockers.iter().find_map(|blocker| blocker.prepared.clone()) else { return Ok(()) };
    let message = format!("prepared transaction {prepared:?} in {} holds locks on the tables", runner.m.name);
    Err(EngineError::gate("C0703", message).hint("commit or roll it back: `commit prepared '...'`"))
}

/// Where nothing stands under the old names, a session that has not learnt the new path would find no table.
pub(super) async fn sessions(
    runner: &Runner,
    row: &MoveRow,
    plan: &SchemaPlan,
    session: &Session,
    prepared: &str,
) -> Result<(), EngineError> {
    if plan.paths.is_empty() {
        return Ok(());
    }
    let service = runner.service.as_str();
    let rows = session
        .query(OLDER_SESSIONS, &[&service, &row.id, &prepared, &SHOWN_MAX])
        .await
        .during("looking for sessions with an old search path")?;
    if rows.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = rows
        .iter()
        .map(|row| {
            let (pid, user, application): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
            format!("pid {pid} (user {user}, application {application:?})")
        })
        .collect();
    let message =
        format!("sessions that began before apply do not know the new search path: {}", named.join(", "));
    if plan.layer == NameLayer::View {
        runner.events.note(Some(&runner.service), format!("{message}; they go through the views"));
        return Ok(());
    }
    Err(EngineError::gate("C1120", message).hint(
        "let them reconnect (restart the pool, `RECONNECT` in PgBouncer), or write `bridge = \"view\"`",
    ))
}

/// What somebody has put under an old name would be in the way of the table that comes back.
pub(super) async fn old_names(plan: &SchemaPlan, session: &Session) -> Result<(), EngineError> {
    const SQL: &str = "
        select n from unnest($1::text[]) n join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(n)
        where c.relkind <> 'v' or not $2 order by 1";
    let names: Vec<String> = plan.old_names().iter().map(QualifiedName::quoted).collect();
    let views = plan.layer == NameLayer::View;
    let rows =
        session.query(SQL, &[&names, &views]).await.during("looking for what stands under the old names")?;
    let Some(row) = rows.first() else { return Ok(()) };
    let message = format!("something of somebody else stands under the old name {}", row.get::<_, String>(0));
    Err(EngineError::gate("C1127", message)
        .hint(format!("carry its rows to schema {} and drop it; then run the command again", plan.schema)))
}

/// Views over the old names would fall with them.
pub(super) async fn dependents(
    runner: &Runner,
    plan: &SchemaPlan,
    session: &Session,
) -> Result<(), EngineError> {
    if plan.layer != NameLayer::View {
        return Ok(());
    }
    let names: Vec<String> = plan.old_names().iter().map(QualifiedName::quoted).collect();
    let rows = session
        .query(DEPENDENTS, &[&names, &SHOWN_MAX])
        .await
        .during("looking for what stands on the views under the old names")?;
    if rows.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = rows
        .iter()
        .map(|row| format!("{} on {}", row.get::<_, String>(0), row.get::<_, String>(1)))
        .collect();
    let message = format!(
        "objects made since the cutover of {} stand on the views under the old names: {}",
        runner.service,
        named.join("; ")
    );
    Err(EngineError::gate("C1121", message).hint(format!(
        "make them again over the tables in schema {}, then run the command again",
        plan.schema
    )))
}
