//! `max_slot_wal_keep_size` against how fast the log grows.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::LogRate;
use cleave_model::{format_bytes, format_duration_ms};

/// A weekend: a slot that outlives it is there when somebody looks.
const ENOUGH_S: u64 = 3 * 24 * 3600;

/// Enough for most, where nothing is written while one looks.
const ENOUGH_BYTES: u64 = 256 << 30;

pub(super) const RULE: Rule = Rule {
    code: "C0824",
    title: "How much log a slot may keep",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "a stream that stands still keeps log on the server's disk, and one that may not keep enough loses \
        its slot",
    cause: "A slot keeps the write-ahead log that its reader has not taken yet. With `max_slot_wal_keep_size = \
        -1` it keeps all of it, and a stream that stands still fills the disk in the end. With a limit the \
        server drops the slot's log when it is further behind, and the move has to begin again: the copy of \
        a large table alone can take longer than that. The rate is measured by two readings of the log's \
        position during the look.",
    fix: "While a move is open let slots keep what they need, watch the disk (`cleave status` shows what a \
        slot keeps), and take the move back with `cleave cancel` if it cannot go on:\n\n\
        ```sql\n\
        alter system set max_slot_wal_keep_size = -1; select pg_reload_conf();\n\
        ```",
    bad: Example::Observed(
        "max_slot_wal_keep_size = 10GB while the server writes 20 MB of log per second: a slot lives for 9 \
        minutes",
        "",
        |observed| {
            observed.instance.settings.insert("max_slot_wal_keep_size".into(), "10240".into());
            observed.instance.log_rate = Some(LogRate { bytes: 20_000_000, over_ms: 1000 });
        },
    ),
    good: Example::Observed(
        "max_slot_wal_keep_size = 2TB while the server writes 1 MB of log per second: a slot lives for 24 \
        days",
        "",
        |observed| {
            observed.instance.settings.insert("max_slot_wal_keep_size".into(), "2097152".into());
            observed.instance.log_rate = Some(LogRate { bytes: 1_000_000, over_ms: 1000 });
        },
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let Some(megabytes) = ground.instance().number("max_slot_wal_keep_size") else { return };
    let per_second = ground.instance().log_rate.map_or(0, LogRate::bytes_per_second);
    let Ok(kept) = u64::try_from(megabytes) else {
        let rate = match per_second {
            0 => String::new(),
            rate => format!(
                "; the server writes {} of log per second just now, {} in an hour",
                format_bytes(rate),
                format_bytes(rate.saturating_mul(3600))
            ),
        };
        let seen = format!("max_slot_wal_keep_size is -1: slots keep log without limit{rate}");
        found.sentence(seen).about("max_slot_wal_keep_size").weighs(Severity::Note);
        return;
    };
    let kept_bytes = kept.saturating_mul(1 << 20);
    let lives = match kept_bytes.checked_div(per_second) {
        Some(seconds) if seconds > ENOUGH_S => return,
        Some(seconds) => format!(
            ", and the server writes {} of log per second just now: a slot that nobody reads is lost after {}",
            format_bytes(per_second),
            format_duration_ms(seconds * 1000)
        ),
        None if kept_bytes > ENOUGH_BYTES => return,
        None => String::new(),
    };
    let seen = format!("max_slot_wal_keep_size is {megabytes} MB{lives}");
    let fix =
        "alter system set max_slot_wal_keep_size = -1; select pg_reload_conf(); -- while a move is open";
    found.sentence(seen).about("max_slot_wal_keep_size").fix(fix);
}
