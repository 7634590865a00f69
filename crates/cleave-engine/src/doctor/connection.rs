//! Whether a database answers: over SQL, in replication mode, and in replica mode. Real attempts: what a server's
//! rules, poolers and networks do shows in nothing else.

use super::observe::Observed;
use super::privileges::REPLICA_MODE_CALL;
use super::sheet::{Noted, Sheet, told};
use crate::{EngineError, Site, Topology};
use cleave_model::DatabaseName;
use cleave_pg::{During, PgError, Session};

/// Connects, or says why that is not possible.
pub(super) async fn reach(
    topology: &Topology,
    database: &DatabaseName,
    sheet: &mut Sheet,
) -> Option<(Site, Session)> {
    let reached = match topology.site(database) {
        Ok(site) => site.connect("doctor").await.map(|session| (site, session)),
        Err(error) => Err(error),
    };
    match reached {
        Ok(reached) => {
            sheet.check(None);
            Some(reached)
        }
        Err(error) => {
            sheet.check([unreachable(&error)]);
            None
        }
    }
}

fn unreachable(error: &EngineError) -> Noted {
    let why = format!("nothing else can be checked there; `cleave explain {}` has the cause", error.code());
    Noted::error("C0800", told(error), why)
}

/// Opens a replication connection, as streams do, and asks who answers.
pub(super) async fn replicate(site: &Site, observed: &Observed, sheet: &mut Sheet) {
    let answer = match cleave_pg::connect_replication(&site.endpoint, "doctor").await {
        Ok(mut session) => session.identify_system().await,
        Err(error) => Err(error),
    };
    sheet.check(match answer {
        Ok(identity) if identity.system_identifier != observed.base.catalog.facts.system_identifier => {
            let seen = "the replication connection reached another server than the SQL connection";
            let why = "a pooler or load balancer stands between: streams need the server itself";
            Some(Noted::error("C0807", seen, why))
        }
        Ok(_) => None,
        Err(error) => Some(refused(site, &error)),
    });
}

fn refused(site: &Site, error: &PgError) -> Noted {
    let seen = format!("no replication connection as role {}: {}", site.endpoint.user(), told(error));
    let why = "changes are read over a replication connection, in both directions of a move";
    let rule = format!(
        "-- let the role in by a line of pg_hba.conf, then: select pg_reload_conf();\n\
         -- hostssl {} {} ADDRESS/32 scram-sha-256",
        site.endpoint.dbname(),
        site.endpoint.user()
    );
    let noted = Noted::error("C0807", seen, why);
    // A role without the attribute has a finding of its own, with its own fix.
    if matches!(error, PgError::NotAdmitted { error, .. } if error.sqlstate == "28000") {
        noted.fix(rule)
    } else {
        noted
    }
}

/// Enters replica mode, as sessions that apply do, on a connection that is closed at once.
pub(super) async fn replica_mode(site: &Site, observed: &Observed, sheet: &mut Sheet) {
    let session = match site.connect("doctor").await {
        Ok(session) => session,
        Err(error) => return sheet.check([unreachable(&error)]),
    };
    match enter(&session).await {
        Ok(()) => sheet.check(None),
        Err(PgError::MissingPrivilege { .. } | PgError::Query { .. }) => {
            sheet.check([without_replica_mode(site, observed)]);
        }
        Err(error) => sheet.failed("entering replica mode", &error),
    }
}

async fn enter(session: &Session) -> Result<(), PgError> {
    let what = "entering replica mode";
    // An administrator may have set it for the role.
    let sql = "select current_setting('session_replication_role') = 'replica'";
    let row = session.query_one(sql, &[]).await.during(what)?;
    if row.try_get(0).during(what)? {
        return Ok(());
    }
    match session.batch_execute("set session_replication_role = replica").await.during(what) {
        Err(PgError::MissingPrivilege { .. }) => session.batch_execute(REPLICA_MODE_CALL).await.during(what),
        done => done,
    }
}

fn without_replica_mode(site: &Site, observed: &Observed) -> Noted {
    let role = cleave_model::quote_ident(site.endpoint.user());
    let seen = format!("role {} may not enter replica mode", site.endpoint.user());
    let why =
        "changes are applied with users' triggers and foreign keys off: they have run at the home already";
    let fix = if observed.base.catalog.facts.major() >= 15 {
        format!("grant set on parameter session_replication_role to {role};")
    } else {
        "-- run the part \"Replica mode\" of the script that `cleave doctor --script` prints, as a superuser"
            .to_owned()
    };
    Noted::error("C0813", seen, why).about("session_replication_role").fix(fix)
}
