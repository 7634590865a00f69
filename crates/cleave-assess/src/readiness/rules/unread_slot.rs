//! Slots that nobody reads.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::SlotUse;
use cleave_model::{format_bytes, quote_literal};

pub(super) const RULE: Rule = Rule {
    code: "C0872",
    title: "Nobody reads a replication slot",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("slot is read by nobody", "slots are read by nobody"),
    why: "the server keeps its log for it, on the disk that a move needs, and dead rows of the catalog too",
    cause: "A slot whose reader is gone keeps log until the disk is full or `max_slot_wal_keep_size` is reached. \
        A move adds slots of its own that must be able to keep log for a while. A slot with `wal_status = \
        lost` serves nobody any more.",
    fix: "If nobody will read it again:\n\n\
        ```sql\n\
        select pg_drop_replication_slot('analytics');\n\
        ```",
    bad: Example::Observed("slot analytics is not active and keeps 40 GB of log", "", |observed| {
        let slot = SlotUse { name: "analytics".into(), retained_bytes: 40_000_000_000, ..SlotUse::default() };
        observed.instance.slots = vec![slot];
    }),
    good: Example::Observed("slot analytics is active", "", |observed| {
        let slot = SlotUse { name: "analytics".into(), active: true, ..SlotUse::default() };
        observed.instance.slots = vec![slot];
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    /// Less than a few segments says nothing: its reader may be about to come back.
    const BYTES_MIN: u64 = 256 << 20;
    for slot in &ground.instance().slots {
        let lost = slot.wal_status.as_deref() == Some("lost");
        if lost || (!slot.active && slot.retained_bytes >= BYTES_MIN) {
            let state = if lost { "lost".to_owned() } else { format_bytes(slot.retained_bytes) };
            let fix = format!("select pg_drop_replication_slot({});", quote_literal(&slot.name));
            found.object(&slot.name).detail(state).fix(fix);
        }
    }
}
