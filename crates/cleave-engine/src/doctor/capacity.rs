//! Whether there is room for the slots, walsenders, origins and connections of the moves.

use super::MoveSide;
use super::observe::Observed;
use super::sheet::{Noted, Sheet};
use super::sides::Visit;

/// A stream's slot, and one that lives while tables are read in its snapshot.
const SLOTS: i64 = 2;
/// A walsender for each of them.
const SENDERS: i64 = 2;
/// Sessions of a service on each side besides those that copy: lease, applier, heartbeat, the switch, its watcher.
const SESSIONS: i64 = 8;

pub(super) fn check(observed: &Observed, visit: &Visit<'_>, sheet: &mut Sheet) {
    let need = Need::of(visit);
    sheet.check(slots(observed, visit, &need));
    sheet.check(senders(observed, &need));
    sheet.check(origins(observed, visit, &need));
    sheet.check(connections(observed, &need));
}

/// What the visit's services take here altogether.
#[derive(Debug, PartialEq, Eq)]
struct Need {
    slots: i64,
    senders: i64,
    origins: i64,
    connections: i64,
}

impl Need {
    fn of(visit: &Visit<'_>) -> Self {
        let jobs = i64::try_from(visit.jobs).unwrap_or(i64::MAX / 4);
        let parts = i64::try_from(visit.parts.len()).unwrap_or(i64::MAX / 4);
        let targets = visit.parts.iter().filter(|part| part.side == MoveSide::Target).count();
        let targets = i64::try_from(targets).unwrap_or(i64::MAX / 4);
        Self {
            slots: parts * SLOTS,
            senders: parts * SENDERS,
            // The applier's on both sides, the copy workers' at the new home.
            origins: parts + targets * jobs,
            connections: parts * (SESSIONS + jobs),
        }
    }
}

fn slots(observed: &Observed, visit: &Visit<'_>, need: &Need) -> Option<Noted> {
    let used = i64::try_from(observed.usage.slots.len()).unwrap_or(i64::MAX);
    let need = need.slots - observed.usage.our_slots(visit);
    let why = "each direction of a move reads through a slot, and the copy through one more";
    short(observed, "C0803", "max_replication_slots", used, need, why)
}

fn senders(observed: &Observed, need: &Need) -> Option<Noted> {
    let why = "each slot is read by a walsender";
    short(observed, "C0804", "max_wal_senders", observed.usage.senders, need.senders, why)
}

fn origins(observed: &Observed, visit: &Visit<'_>, need: &Need) -> Option<Noted> {
    let own_setting = observed.base.instance.number("max_active_replication_origins").is_some();
    let setting = if own_setting { "max_active_replication_origins" } else { "max_replication_slots" };
    let used = i64::try_from(observed.usage.origins.len()).unwrap_or(i64::MAX);
    let need = need.origins - observed.usage.our_origins(visit);
    let why =
        "every session that writes rows tags them with an origin of its own, so that they do not come back";
    short(observed, "C0805", setting, used, need, why)
}

fn short(observed: &Observed, code: &str, setting: &str, used: i64, need: i64, why: &str) -> Option<Noted> {
    let max = observed.base.instance.number(setting)?;
    if need <= 0 || max - used >= need {
        return None;
    }
    let seen = format!("{} of {max} are free, the moves take {need}", (max - used).max(0));
    let fix = format!("alter system set {setting} = {}; -- then restart the server", used + need);
    Some(Noted::error(code, seen, why).about(setting).fix(fix))
}

fn connections(observed: &Observed, need: &Need) -> Option<Noted> {
    let free = free_connections(observed);
    if need.connections == 0 || free >= need.connections {
        return None;
    }
    let seen =
        format!("{} connections are free for this role, the moves take {}", free.max(0), need.connections);
    let why = "streams, copies and the switch hold connections of their own, and applications must still get theirs";
    let max = observed.base.instance.number("max_connections").unwrap_or_default();
    let fix = format!(
        "alter system set max_connections = {}; -- then restart the server; or raise the role's or database's \
         connection limit",
        max + need.connections - free.max(0)
    );
    Some(Noted::error("C0806", seen, why).about("max_connections").fix(fix))
}

/// What this role can still open: the least of what server, role and database leave.
pub(super) fn free_connections(observed: &Observed) -> i64 {
    let setting = |name| observed.base.instance.number(name).unwrap_or_default();
    let usage = &observed.usage;
    let reserved = setting("superuser_reserved_connections") + setting("reserved_connections");
    let server = setting("max_connections") - reserved - usage.sessions;
    let role = usage.role_sessions.1.map_or(i64::MAX, |limit| limit - usage.role_sessions.0);
    let database = usage.database_limit.map_or(i64::MAX, |limit| limit - usage.database_sessions);
    server.min(role).min(database)
}
