//! `cleave status`.

use super::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use super::{Human, problem, table};
use cleave_api::{
    BridgeStatus, BridgeUserStatus, CopyProgress, MoveKind, ReplicationStatus, ServiceState, ServiceStatus,
    StatusReport, StreamDirection, StreamStatus, VerificationState, VerificationStatus, WalStatus,
};
use cleave_model::{format_bytes, format_count, format_duration_ms};

impl Human for StatusReport {
    fn human(&self, verbose: u8) -> String {
        let mut text = String::new();
        for service in &self.services {
            write_service(service, verbose, &mut text);
        }
        match &self.engine {
            Some(holder) => text.push_str(&format!("engine  {holder}\n")),
            // A split has no streams.
            None if !self.services.is_empty()
                && self.services.iter().all(|service| service.kind == MoveKind::Split) => {}
            None => text.push_str(&format!("engine  {}\n", paint(WARN, "nobody runs the streams"))),
        }
        text
    }
}

fn write_service(service: &ServiceStatus, verbose: u8, text: &mut String) {
    let style = match service.state {
        ServiceState::Stopped => BAD,
        ServiceState::Following | ServiceState::Switched | ServiceState::Done => GOOD,
        _ => BOLD,
    };
    let paused = if service.paused { paint(WARN, " (paused)") } else { String::new() };
    text.push_str(&format!(
        "{}  {}{paused}  home {}, wanted {}, epoch {}\n",
        paint(BOLD, &service.name),
        paint(style, service.state.as_str()),
        service.home,
        service.wanted,
        service.epoch
    ));
    let mut rows = Vec::new();
    rows.extend(service.copy.as_ref().map(copy_row));
    for stream in &service.streams {
        rows.push(stream_row(stream));
        if verbose > 0 {
            rows.push(slot_row(stream));
            rows.extend(stream.replication.iter().flat_map(replication_rows));
        }
    }
    rows.extend(service.bridge.iter().flat_map(bridge_rows));
    if service.state != ServiceState::Planned && service.kind != MoveKind::Schema {
        rows.push(verification_row(&service.verification));
    }
    text.push_str(&table::indented(&rows));
    service.problems.iter().for_each(|found| text.push_str(&problem(found)));
}

/// A row for each user, or one that says how far silence reaches.
fn bridge_rows(bridge: &BridgeStatus) -> Vec<[String; 3]> {
    let watched = match bridge.watched_ms {
        Some(watched) => format!("looked at for {}", format_duration_ms(watched)),
        None => "no engine has looked: `cleave run` does".to_owned(),
    };
    if bridge.users.is_empty() {
        return vec![["bridge".to_owned(), paint(DIM, "nobody seen"), watched]];
    }
    let row = |(at, user): (usize, &BridgeUserStatus)| {
        let title = if at == 0 { "bridge".to_owned() } else { String::new() };
        let (state, when) = match user.sessions {
            0 => (paint(DIM, "was used"), format!("seen {} ago", format_duration_ms(user.seen_ago_ms))),
            1 => (paint(WARN, "in use"), "1 session now".to_owned()),
            sessions => (paint(WARN, "in use"), format!("{sessions} sessions now")),
        };
        let words = format!("by {} ({}), {when}", user.role, user.application);
        [title, state, if at == 0 { format!("{words}; {watched}") } else { words }]
    };
    bridge.users.iter().enumerate().map(row).collect()
}

fn copy_row(copy: &CopyProgress) -> [String; 3] {
    let done = copy.tables > 0 && copy.tables_done == copy.tables;
    let state = if done { paint(GOOD, "done") } else { "copying".to_owned() };
    let mut words = vec![format!("{} of {} tables", copy.tables_done, copy.tables)];
    words.push(match copy.bytes_total.filter(|_| !done) {
        Some(total) => format!("{} of {}", format_bytes(copy.bytes), format_bytes(total)),
        None => format_bytes(copy.bytes),
    });
    words.push(format!("{} rows", format_count(copy.rows)));
    if done {
        words.extend(copy.elapsed_ms.map(|took| format!("in {}", format_duration_ms(took))));
    } else {
        words.extend(copy.rate_bytes.map(|rate| format!("{}/s", format_bytes(rate))));
        words.extend(copy.eta_ms.map(|left| format!("about {} left", format_duration_ms(left))));
        words.extend(copy.waits.as_ref().map(|reason| format!("pauses: {reason}")));
    }
    ["copy".to_owned(), state, words.join(", ")]
}

fn stream_row(stream: &StreamStatus) -> [String; 3] {
    let name = match stream.direction {
        StreamDirection::Forward => "forward",
        StreamDirection::Back => "back",
    };
    let state = match (stream.running, stream.armed) {
        (false, _) => paint(WARN, "standing still"),
        (true, true) => paint(GOOD, "armed"),
        (true, false) => paint(DIM, "waiting"),
    };
    let mut words = Vec::new();
    words.extend(stream.lag_ms.map(|lag| format!("{} behind", format_duration_ms(lag))));
    words.extend(stream.lag_bytes.map(|lag| format!("{} of log to read", format_bytes(lag))));
    words.extend(stream.retained_bytes.map(|kept| format!("slot keeps {}", format_bytes(kept))));
    match stream.wal_status {
        WalStatus::Lost => words.push(paint(BAD, "slot lost")),
        WalStatus::Missing => words.push(paint(BAD, "slot missing")),
        WalStatus::Unreserved => words.push(paint(BAD, "slot about to be lost")),
        WalStatus::Unknown => words.push(paint(WARN, "source not reached")),
        WalStatus::Reserved | WalStatus::Extended => {}
    }
    [name.to_owned(), state, words.join(", ")]
}

fn slot_row(stream: &StreamStatus) -> [String; 3] {
    let position = stream.position.as_deref().unwrap_or("none");
    let route = format!("{} to {}, slot {}, position {position}", stream.source, stream.target, stream.slot);
    [String::new(), String::new(), paint(DIM, &route)]
}

/// `pg_replication_slots`, `pg_stat_replication` and `pg_replication_origin` in words.
fn replication_rows(seen: &ReplicationStatus) -> [[String; 3]; 2] {
    let mut reader = vec![match (seen.pid, &seen.state) {
        (None, _) => "nobody reads the slot".to_owned(),
        (Some(pid), Some(state)) => format!("read by the source's process {pid}, {state}"),
        (Some(pid), None) => format!("read by the source's process {pid}"),
    }];
    reader.extend(seen.last_answer_ms.map(|ago| format!("last answer {} ago", format_duration_ms(ago))));
    reader.extend(seen.safe_wal_bytes.map(|left| {
        format!("{} more of log until the slot is lost", format_bytes(left.max(0).unsigned_abs()))
    }));
    let mut positions = Vec::new();
    positions.extend(seen.sent.as_ref().map(|sent| format!("sent {sent}")));
    positions.extend(seen.confirmed.as_ref().map(|confirmed| format!("confirmed {confirmed}")));
    positions.push(format!("writes with origin {}", seen.origin));
    [reader, positions].map(|words| [String::new(), String::new(), paint(DIM, &words.join(", "))])
}

fn verification_row(verification: &VerificationStatus) -> [String; 3] {
    let style = match verification.state {
        VerificationState::Clean => GOOD,
        VerificationState::Different => BAD,
        VerificationState::None | VerificationState::Unproven | VerificationState::Stale => WARN,
    };
    let mut words = Vec::new();
    if verification.state != VerificationState::None {
        words.push(format!("{} rows", format_count(verification.rows)));
        words.push(format!("{} different", format_count(verification.differences)));
        words.extend(verification.age_ms.map(|age| format!("{} ago", format_duration_ms(age))));
    }
    ["verify".to_owned(), paint(style, verification.state.as_str()), words.join(", ")]
}
