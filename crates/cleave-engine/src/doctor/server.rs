//! What kind of server it is, and its settings.

use super::observe::Observed;
use super::sheet::{Noted, Sheet};

/// A walsender that is cut off sooner than this may be cut off by a pause of ours.
const SENDER_TIMEOUT_MS_MIN: i64 = 10_000;

pub(super) fn check(observed: &Observed, sheet: &mut Sheet) {
    sheet.check(version(observed));
    sheet.check(wal_level(observed));
    sheet.check(standby(observed));
    sheet.check(backup(observed));
    sheet.check(sender_timeout(observed));
    sheet.check(kept_wal(observed));
    sheet.check(idle_transactions(observed));
}

fn version(observed: &Observed) -> Option<Noted> {
    let major = observed.catalog.facts.major();
    if (14..=18).contains(&major) {
        return None;
    }
    let seen = format!("the server is PostgreSQL {major}");
    Some(Noted::error("C0802", seen, "Cleave is made for and tested with 14 to 18").about("server_version"))
}

fn wal_level(observed: &Observed) -> Option<Noted> {
    let level = &observed.catalog.facts.wal_level;
    if level == "logical" {
        return None;
    }
    let why = "changes cannot be decoded: there is no stream, neither to here nor back";
    let fix = "alter system set wal_level = 'logical'; -- then restart the server";
    Some(Noted::error("C0801", format!("wal_level is {level}"), why).about("wal_level").fix(fix))
}

fn standby(observed: &Observed) -> Option<Noted> {
    let why = "Cleave keeps its journal in the databases of a move, and a standby cannot be written to";
    observed.catalog.facts.in_recovery.then(|| {
        Noted::error("C0821", "the server is a standby", why).fix("-- name the primary in cleave.toml")
    })
}

fn backup(observed: &Observed) -> Option<Noted> {
    let why =
        "a copy and a base backup read the same disks; what is restored from it later is behind the switch";
    let count = observed.usage.backups;
    (count > 0).then(|| {
        let seen = if count == 1 {
            "a base backup is running".into()
        } else {
            format!("{count} base backups are running")
        };
        Noted::warning("C0822", seen, why)
    })
}

fn sender_timeout(observed: &Observed) -> Option<Noted> {
    let timeout_ms = observed.settings.number("wal_sender_timeout")?;
    let fix = "alter system set wal_sender_timeout = '60s'; select pg_reload_conf();";
    let noted = if timeout_ms == 0 {
        let why =
            "a walsender whose reader is gone goes on holding its slot, and nobody else can use the slot";
        Noted::warning("C0823", "wal_sender_timeout is 0 (off)", why)
    } else if timeout_ms < SENDER_TIMEOUT_MS_MIN {
        let why = "a busy network is enough to break a stream; it starts again, but falls behind each time";
        Noted::warning("C0823", format!("wal_sender_timeout is {timeout_ms} ms"), why)
    } else {
        return None;
    };
    Some(noted.about("wal_sender_timeout").fix(fix))
}

fn kept_wal(observed: &Observed) -> Option<Noted> {
    let megabytes = observed.settings.number("max_slot_wal_keep_size")?;
    let noted = if megabytes < 0 {
        let why =
            "a slot that nobody reads keeps WAL until the disk is full: stop a move with `cleave cancel`";
        Noted::note("C0824", "max_slot_wal_keep_size is -1: slots keep WAL without limit", why)
    } else {
        let why = "a stream that falls further behind than this loses its slot, and the move starts again";
        Noted::warning("C0824", format!("max_slot_wal_keep_size is {megabytes} MB"), why).fix(
            "alter system set max_slot_wal_keep_size = -1; select pg_reload_conf(); -- while a move is open",
        )
    };
    Some(noted.about("max_slot_wal_keep_size"))
}

fn idle_transactions(observed: &Observed) -> Option<Noted> {
    let timeout_ms = observed.settings.number("idle_in_transaction_session_timeout")?;
    let why = "an application that forgets a transaction holds up slots and locks for as long as it likes";
    (timeout_ms == 0).then(|| {
        Noted::note("C0825", "idle_in_transaction_session_timeout is 0 (off)", why)
            .about("idle_in_transaction_session_timeout")
            .fix("alter system set idle_in_transaction_session_timeout = '5min'; select pg_reload_conf();")
    })
}
