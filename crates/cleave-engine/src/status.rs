//! `status` and `history`: read from the databases, never from a process.

use crate::{
    EngineError, Topology,
    context::{stored, stored_plan},
    planning,
};
use cleave_api::{
    History, HistoryEntry, HistoryEvent, MoveKind, Problem, ReplicationStatus, ServiceState, ServiceStatus,
    StatusReport, StreamDirection, StreamStatus, VerificationState, VerificationStatus, WalStatus,
};
use cleave_config::Service;
use cleave_journal::{EntryEvent, Lease, MoveRow, MoveState, VerificationOutcome};
use cleave_model::{Direction, Lsn, ServiceName, labels};
use cleave_pg::{During, Session};
use cleave_plan::{Plan, SchemaPlan};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where every service stands, or one.
///
/// # Errors
/// A source database that cannot be reached; a target that cannot is a problem in the report.
pub async fn status(topology: &Topology, only: Option<&ServiceName>) -> Result<StatusReport, EngineError> {
    let mut report = StatusReport::default();
    if let Some(name) = only.filter(|name| crate::split::configured(topology, name).is_none()) {
        planning::service(topology, name.as_str())?;
    }
    for service in
        topology.config().services.iter().filter(|service| only.is_none_or(|name| service.name == *name))
    {
        let m = topology.site(&service.from)?.connect("status").await?;
        if cleave_journal::installed_version(&*m).await?.is_none() {
            report.services.push(untouched(service));
            continue;
        }
        if let Some(holder) = Lease::current(&*m).await?.filter(|holder| holder.expires_in_ms > 0) {
            report.engine = Some(holder.label);
        }
        let running = report.engine.is_some();
        report.services.push(match MoveRow::read(&*m, &service.name).await? {
            Some(row) => moved(topology, service, &m, &row, running).await?,
            None => untouched(service),
        });
    }
    for split in topology.config().splits.iter().filter(|split| only.is_none_or(|name| split.name == *name)) {
        let (status, engine) = crate::split::status_of(topology, split).await?;
        report.engine = report.engine.or(engine);
        report.services.push(status);
    }
    Ok(report)
}

fn untouched(service: &Service) -> ServiceStatus {
    ServiceStatus {
        name: service.name.to_string(),
        kind: if service.schema_move.is_some() { MoveKind::Schema } else { MoveKind::Live },
        state: ServiceState::Planned,
        paused: false,
        home: service.from.to_string(),
        wanted: service.home.value.to_string(),
        epoch: 0,
        streams: Vec::new(),
        copy: None,
        bridge: None,
        verification: verification(None, 0, 0),
        problems: Vec::new(),
    }
}

async fn moved(
    topology: &Topology,
    service: &Service,
    m: &Session,
    row: &MoveRow,
    running: bool,
) -> Result<ServiceStatus, EngineError> {
    let owner = cleave_journal::owner(&**m, &service.name).await?;
    if let Plan::Schema(plan) = stored(row)? {
        return relocated(service, m, row, &plan, owner.map_or(0, |owner| owner.epoch.0)).await;
    }
    let mut status = ServiceStatus {
        state: state(row),
        paused: row.paused,
        home: owner.as_ref().map_or_else(|| row.source.to_string(), |owner| owner.home.to_string()),
        epoch: owner.as_ref().map_or(0, |owner| owner.epoch.0),
        verification: verification(
            row.verification.as_ref(),
            owner.as_ref().map_or(0, |owner| owner.epoch.0),
            topology.config().limits.verify_max_age.as_secs(),
        ),
        ..untouched(service)
    };
    if let Some(problem) = row.problem.as_ref().and_then(stored_problem) {
        status.problems.push(problem);
    }
    let n = match topology.site(&row.target)?.connect("status").await {
        Ok(n) => n,
        Err(error) => {
            status.problems.push(error.problem());
            return Ok(status);
        }
    };
    let home_is_source = status.home == row.source.as_str();
    for direction in [Direction::Forward, Direction::Back] {
        let armed = (direction == Direction::Forward) == home_is_source;
        if let Some(stream) = stream(row, direction, (m, &n), armed, running).await? {
            status.streams.push(stream);
        }
    }
    if row.state == MoveState::Following {
        status.problems.extend(crate::detached::problems(row, (m, &n)).await?);
    }
    status.copy = copy(row, (m, &n), running).await?;
    if crate::bridge_use::has_bridge(row)? {
        status.bridge = Some(crate::bridge_use::look((m, &n), &service.name).await?);
    }
    let weakened = crate::fences::weakened(row, &stored_plan(row)?, (m, &n)).await?;
    status.problems.extend(weakened.iter().map(crate::fences::Weakened::problem));
    let open = cleave_journal::open_work(&**m, &service.name, 1).await?;
    if let Some(item) = open.first() {
        status.problems.push(Problem::warning(
            "C0714",
            format!("a {} at the home waits to be settled for {}", item.kind, item.reference),
        ));
    }
    Ok(status)
}

/// A move inside one database: what has drifted since its cutover is looked for until it is complete.
async fn relocated(
    service: &Service,
    m: &Session,
    row: &MoveRow,
    plan: &SchemaPlan,
    epoch: i64,
) -> Result<ServiceStatus, EngineError> {
    let moved = matches!(row.state, MoveState::Switched | MoveState::Done);
    let home = format!("{}/{}", plan.database, plan.schema);
    if row.state == MoveState::Done && home != service.home.value.to_string() {
        // A later move begins where this one has ended.
        return Ok(ServiceStatus { home, ..untouched(service) });
    }
    let problems = if row.state == MoveState::Switched {
        crate::schema_move::problems(plan, m).await?
    } else {
        Vec::new()
    };
    Ok(ServiceStatus {
        kind: MoveKind::Schema,
        state: state(row),
        home: if moved { home } else { plan.database.clone() },
        epoch,
        problems,
        ..untouched(service)
    })
}

pub(crate) fn state(row: &MoveRow) -> ServiceState {
    match row.state {
        _ if row.problem.is_some() => ServiceState::Stopped,
        MoveState::Planned | MoveState::Cancelled => ServiceState::Planned,
        MoveState::Prepared => ServiceState::Prepared,
        MoveState::Copying => ServiceState::Copying,
        MoveState::Following => ServiceState::Following,
        MoveState::Switched => ServiceState::Switched,
        MoveState::Completing => ServiceState::Completing,
        MoveState::Done => ServiceState::Done,
    }
}

/// The stored form keeps code, message, causes and hint.
fn stored_problem(value: &serde_json::Value) -> Option<Problem> {
    let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    let mut problem = Problem::error(text("code")?, text("message")?);
    if let Some(hint) = text("hint") {
        problem = problem.hint(hint);
    }
    let causes = value.get("causes").and_then(serde_json::Value::as_array);
    problem.causes =
        causes.into_iter().flatten().filter_map(|cause| cause.as_str().map(str::to_owned)).collect();
    Some(problem)
}

async fn stream(
    row: &MoveRow,
    direction: Direction,
    (m, n): (&Session, &Session),
    armed: bool,
    running: bool,
) -> Result<Option<StreamStatus>, EngineError> {
    let (source, target) = if direction == Direction::Forward { (m, n) } else { (n, m) };
    let name = labels::slot(&row.service, direction, row.id);
    let Some(slot) = cleave_pg::slots::health(source, &name).await? else { return Ok(None) };
    let position = cleave_journal::position(&**target, &labels::stream(&row.service, direction)).await?;
    let end = cleave_pg::wal::current_wal_lsn(source).await?;
    let lag = position.as_ref().map(|p| end.0.saturating_sub(p.position.lsn.0));
    let (from, to) = match direction {
        Direction::Forward => (&row.source, &row.target),
        Direction::Back => (&row.target, &row.source),
    };
    Ok(Some(StreamStatus {
        direction: match direction {
            Direction::Forward => StreamDirection::Forward,
            Direction::Back => StreamDirection::Back,
        },
        source: from.to_string(),
        target: to.to_string(),
        armed,
        running: running && slot.active_pid.is_some(),
        slot: name,
        wal_status: wal_status(slot.wal_status),
        retained_bytes: Some(slot.retained_bytes),
        lag_bytes: lag,
        lag_ms: applied_ago_ms(target, &labels::stream(&row.service, direction)).await?,
        position: position.map(|position| Lsn(position.position.lsn.0).to_string()),
        replication: Some(replication(source, &slot, &row.service, direction).await?),
    }))
}

/// The servers' own words for a stream.
async fn replication(
    source: &Session,
    slot: &cleave_pg::slots::Slot,
    service: &ServiceName,
    direction: Direction,
) -> Result<ReplicationStatus, EngineError> {
    let sender = match slot.active_pid {
        Some(pid) => cleave_pg::slots::sender(source, pid).await?,
        None => None,
    };
    let shown = ReplicationStatus {
        pid: slot.active_pid,
        confirmed: slot.confirmed_flush.map(|lsn| lsn.to_string()),
        safe_wal_bytes: slot.safe_wal_bytes,
        origin: labels::origin(service, direction),
        ..ReplicationStatus::default()
    };
    let Some(sender) = sender else { return Ok(shown) };
    Ok(ReplicationStatus {
        state: sender.state,
        sent: sender.sent.map(|lsn| lsn.to_string()),
        last_answer_ms: sender.last_answer_ms,
        ..shown
    })
}

fn wal_status(status: cleave_pg::slots::WalStatus) -> WalStatus {
    use cleave_pg::slots::WalStatus as Slot;
    match status {
        Slot::Reserved => WalStatus::Reserved,
        Slot::Extended => WalStatus::Extended,
        Slot::Unreserved => WalStatus::Unreserved,
        Slot::Lost => WalStatus::Lost,
    }
}

/// How long ago the position last moved: with a heartbeat a second, an upper bound of the lag.
async fn applied_ago_ms(target: &Session, stream: &str) -> Result<Option<u64>, EngineError> {
    let row = target
        .query_opt(
            "select (extract(epoch from pg_catalog.clock_timestamp() - applied_at) * 1000)::bigint
             from cleave.position where stream = $1",
            &[&stream],
        )
        .await
        .during("reading the position's age")?;
    Ok(row.and_then(|row| u64::try_from(row.get::<_, i64>(0)).ok()))
}

async fn copy(
    row: &MoveRow,
    (m, n): (&Session, &Session),
    running: bool,
) -> Result<Option<cleave_api::CopyProgress>, EngineError> {
    if matches!(row.state, MoveState::Planned | MoveState::Prepared | MoveState::Cancelled) {
        return Ok(None);
    }
    let plan = stored_plan(row)?;
    let copied =
        cleave_journal::copied_tables(&**n, &labels::stream(&row.service, Direction::Forward)).await?;
    let mut ranges = Vec::new();
    // An engine of an earlier version has none.
    let knows = cleave_journal::installed_version(&**n).await? == Some(cleave_journal::SCHEMA_VERSION);
    if knows && row.state == MoveState::Copying {
        ranges = cleave_journal::key_ranges(&**n, &labels::stream(&row.service, Direction::Forward)).await?;
    }
    // Of giants that are not there yet.
    ranges.retain(|range| !copied.iter().any(|table| table.source_oid == range.division.source_oid));
    if copied.is_empty() && row.state != MoveState::Copying {
        return Ok(None);
    }
    let mut waits = None;
    if running && row.state == MoveState::Copying {
        let mut entries = cleave_journal::entries(&**m, &row.service).await?;
        entries.retain(|entry| entry.incarnation == row.id);
        waits = crate::steps::waits_for(&entries);
    }
    Ok(Some(cleave_api::CopyProgress {
        waits,
        tables_done: copied.len() as u64,
        tables: plan.row_tables().count() as u64,
        rows: copied.iter().map(|table| table.rows).chain(ranges.iter().map(|range| range.rows)).sum(),
        bytes: copied.iter().map(|table| table.bytes).chain(ranges.iter().map(|range| range.bytes)).sum(),
        bytes_total: None,
        rate_bytes: None,
        eta_ms: None,
        elapsed_ms: None,
    }))
}

/// A verification of another epoch had another home: it says nothing about where rows go now.
pub(crate) fn verification(
    stored: Option<&cleave_journal::Verification>,
    epoch: i64,
    max_age_s: u64,
) -> VerificationStatus {
    let Some(stored) = stored else {
        return VerificationStatus {
            state: VerificationState::None,
            at: None,
            age_ms: None,
            rows: 0,
            differences: 0,
        };
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let age = now.saturating_sub(stored.at_epoch_s);
    let state = match stored.outcome {
        _ if stored.epoch != epoch => VerificationState::Stale,
        VerificationOutcome::Clean if age > max_age_s => VerificationState::Stale,
        VerificationOutcome::Clean => VerificationState::Clean,
        VerificationOutcome::Unproven => VerificationState::Unproven,
        VerificationOutcome::Different => VerificationState::Different,
    };
    VerificationStatus {
        state,
        at: Some(timestamp_of(stored.at_epoch_s)),
        age_ms: Some(age * 1000),
        rows: stored.rows,
        differences: stored.differences,
    }
}

/// The same of seconds since 1970.
pub(crate) fn timestamp_of(epoch_s: u64) -> String {
    timestamp(UNIX_EPOCH + std::time::Duration::from_secs(epoch_s))
}

/// `2026-03-01T12:00:00Z` (RFC 3339, seconds, UTC). Civil date from days as in Howard Hinnant's `civil_from_days`.
pub fn timestamp(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest % 3600 / 60, rest % 60)
}

/// The journal of a service, or of all.
///
/// # Errors
/// A source database that cannot be reached.
pub async fn history(topology: &Topology, only: Option<&ServiceName>) -> Result<History, EngineError> {
    let mut history = History::default();
    let services = topology.config().services.iter();
    let services = services
        .filter(|service| only.is_none_or(|name| service.name == *name))
        .map(|service| (&service.name, &service.from));
    for (name, from) in services.chain(crate::split::history_of(topology, only)) {
        let m = topology.site(from)?.connect("history").await?;
        if cleave_journal::installed_version(&*m).await?.is_none() {
            continue;
        }
        for entry in cleave_journal::entries(&*m, name).await? {
            let mut detail = entry.detail;
            if let Some(object) = detail.as_object_mut() {
                object.remove("script");
            }
            history.entries.push(HistoryEntry {
                id: entry.id,
                at: timestamp(entry.at),
                database: from.to_string(),
                service: name.to_string(),
                move_id: entry.incarnation,
                step: entry.step,
                event: match entry.event {
                    EntryEvent::Begin => HistoryEvent::Begin,
                    EntryEvent::Done => HistoryEvent::Done,
                    EntryEvent::Undone => HistoryEvent::Undone,
                    EntryEvent::Failed => HistoryEvent::Failed,
                    EntryEvent::Note => HistoryEvent::Note,
                },
                detail,
            });
        }
    }
    history.entries.sort_by(|a, b| (&a.at, a.id).cmp(&(&b.at, b.id)));
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_is_shown_in_utc() {
        assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(951_782_400)), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(1_767_225_599)), "2025-12-31T23:59:59Z");
    }
}
