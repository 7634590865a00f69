//! Who still uses the bridge of a service: which roles and applications of the old home have sessions at the new one over
//! it. postgres_fdw keeps such a session for as long as its client's, so most users are there whenever somebody looks; who
//! came and went between two looks was not seen. Reads of a copy (`local`, `none`) need no bridge.

use crate::{EngineError, Topology, context::stored};
use cleave_api::{BridgeStatus, BridgeUserStatus};
use cleave_config::Service;
use cleave_journal::{MoveRow, MoveState};
use cleave_model::{ServiceName, format_duration_ms, labels};
use cleave_pg::{During, Session};
use cleave_plan::{BridgeKind, Plan};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks of a running engine.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Who was seen within this time is taken for somebody who will come again.
pub(crate) const RECENT: Duration = Duration::from_secs(3600);
/// What stands before role and application, as the bridge's server entry has it.
const APPLICATION: &str = "cleave bridge";

/// True if a move has a bridge that writes or reads at the new home, and stands behind its switch.
pub(crate) fn has_bridge(row: &MoveRow) -> Result<bool, EngineError> {
    if row.is_split() || !matches!(row.state, MoveState::Switched | MoveState::Completing | MoveState::Done) {
        return Ok(false);
    }
    let Plan::Live(plan) = stored(row)? else { return Ok(false) };
    Ok(plan.whole.is_none() && plan.bridge != BridgeKind::None)
}

/// Sessions over the bridge that are there now, by role and application.
async fn now(n: &Session, service: &ServiceName) -> Result<BTreeMap<(String, String), u64>, EngineError> {
    let sql = "select coalesce(application_name, ''), count(*) from pg_catalog.pg_stat_activity
               where usename = $1 and datname = pg_catalog.current_database() group by 1";
    let role = labels::bridge_role(service);
    let rows = n.query(sql, &[&role.as_str()]).await.during("looking who uses the bridge")?;
    Ok(rows.iter().map(|row| (by_whom(row.get(0)), row.get::<_, i64>(1).unsigned_abs())).collect())
}

/// Role and application; roles with blanks in their names are cut at the first.
fn by_whom(name: &str) -> (String, String) {
    let whom = name.strip_prefix(APPLICATION).unwrap_or(name).trim_start();
    let (role, application) = whom.split_once(' ').unwrap_or((whom, ""));
    let unknown = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    (unknown(role), unknown(application))
}

/// Looks, keeps what was seen, and says what is known.
pub(crate) async fn look(
    (m, n): (&Session, &Session),
    service: &ServiceName,
) -> Result<BridgeStatus, EngineError> {
    let now = now(n, service).await?;
    let known = cleave_journal::bridge_use(&**m, service).await?;
    let mut users: BTreeMap<(String, String), BridgeUserStatus> = BTreeMap::new();
    for user in known.users {
        let key = (user.role.clone(), user.application.clone());
        let (role, application, seen_ago_ms) = (user.role, user.application, user.seen_ago_ms);
        users.insert(key, BridgeUserStatus { role, application, sessions: 0, seen_ago_ms });
    }
    for (key, sessions) in now {
        let (role, application) = key.clone();
        users.insert(key, BridgeUserStatus { role, application, sessions, seen_ago_ms: 0 });
    }
    let mut users: Vec<BridgeUserStatus> = users.into_values().collect();
    users.sort_by(|a, b| (a.seen_ago_ms, &a.role).cmp(&(b.seen_ago_ms, &b.role)));
    let (watched_ms, looked_ago_ms) = known.looked.unzip();
    Ok(BridgeStatus { watched_ms, looked_ago_ms, users })
}

/// Refuses what cannot be undone while somebody uses the bridge.
pub(crate) async fn refuse_use(
    sessions: (&Session, &Session),
    service: &ServiceName,
) -> Result<(), EngineError> {
    let seen = look(sessions, service).await?;
    let recent = u64::try_from(RECENT.as_millis()).unwrap_or(u64::MAX);
    let users: Vec<String> = seen
        .users
        .iter()
        .filter(|user| user.sessions > 0 || user.seen_ago_ms < recent)
        .map(|user| match user.sessions {
            0 => {
                let ago = format_duration_ms(user.seen_ago_ms);
                format!("{} ({}), seen {ago} ago", user.role, user.application)
            }
            sessions => format!("{} ({}), {sessions} sessions now", user.role, user.application),
        })
        .collect();
    if users.is_empty() {
        return Ok(());
    }
    Err(EngineError::gate("C0733", format!("the old names are still used: {}", users.join("; ")))
        .hint("lead them to the new home first, or say --bridge-in-use: the bridge stays and serves them"))
}

/// Looks at the bridges of all services again and again, for as long as an engine runs. What cannot be seen now is looked
/// at the next time.
pub(crate) async fn watch(topology: Topology) {
    let mut sessions: BTreeMap<ServiceName, (Session, Session)> = BTreeMap::new();
    loop {
        for service in &topology.config().services {
            if service.schema_move.is_none() && seen(&topology, service, &mut sessions).await.is_err() {
                sessions.remove(&service.name);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn seen(
    topology: &Topology,
    service: &Service,
    sessions: &mut BTreeMap<ServiceName, (Session, Session)>,
) -> Result<(), EngineError> {
    if !sessions.contains_key(&service.name) {
        let m = topology.site(&service.from)?.connect("bridge use").await?;
        if cleave_journal::installed_version(&*m).await?.is_none() {
            return Ok(());
        }
        let Some(row) = MoveRow::read(&*m, &service.name).await? else { return Ok(()) };
        if !has_bridge(&row)? {
            return Ok(());
        }
        let n = topology.site(&row.target)?.connect("bridge use").await?;
        sessions.insert(service.name.clone(), (m, n));
    }
    let Some((m, n)) = sessions.get(&service.name) else { return Ok(()) };
    // After a rollback there is nothing to look at.
    if !MoveRow::read(&**m, &service.name).await?.map_or(Ok(false), |row| has_bridge(&row))? {
        sessions.remove(&service.name);
        return Ok(());
    }
    let users: Vec<(String, String)> = now(n, &service.name).await?.into_keys().collect();
    Ok(cleave_journal::keep_bridge_use(&**m, &service.name, &users).await?)
}

#[cfg(test)]
mod tests {
    use super::by_whom;

    #[test]
    fn role_and_application_stand_in_the_name_of_a_session() {
        let whom = |name| {
            let (role, application) = by_whom(name);
            format!("{role}|{application}")
        };
        assert_eq!(whom("cleave bridge shop web frontend"), "shop|web frontend");
        assert_eq!(whom("cleave bridge shop "), "shop|unknown");
        assert_eq!(whom("cleave bridge"), "unknown|unknown");
    }
}
