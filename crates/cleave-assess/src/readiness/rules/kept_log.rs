//! `max_slot_wal_keep_size` against how fast the log grows.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::LogRate;
use cleave_model::{format_bytes, format_duration_ms};

/// A weekend: a slot that outlives it is there when somebody looks.
const ENOUGH_S: u64 = 3 * 24 * 3600;

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
    let rate = format!("the server writes {} of log per second just now", format_bytes(per_second));
    let Ok(kept) = u64::try_from(megabytes) else {
        let hour = format_bytes(per_second.saturating_mul(3600));
        let seen =
            format!("max_slot_wal_keep_size is -1: slots keep log without limit; {rate}, {hour} in an hour");
        found.sentence(seen).about("max_slot_wal_keep_size").weighs(Severity::Note);
        return;
    };
    let seconds = kept.saturating_mul(1 << 20).checked_div(per_second);
    let lives = match seconds {
        Some(seconds) if seconds > ENOUGH_S => return,
        Some(seconds) => {
            format!(": a slot that nobody reads is lost after {}", format_duration_ms(seconds * 1000))
        }
        None => String::new(),
    };
    let seen = format!("max_slot_wal_keep_size is {megabytes} MB, and {rate}{lives}");
    let fix =
        "alter system set max_slot_wal_keep_size = -1; select pg_reload_conf(); -- while a move is open";
    found.sentence(seen).about("max_slot_wal_keep_size").fix(fix);
}
