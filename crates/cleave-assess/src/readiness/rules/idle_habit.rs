//! Sessions that are idle in transactions.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::format_duration_ms;
use cleave_model::instance::Activity;

pub(super) const RULE: Rule = Rule {
    code: "C0891",
    title: "Sessions sit in transactions without working",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("", ""),
    why: "locks are held while nothing happens, so a switch waits for people or other services to answer",
    cause: "The server counts how long sessions have run statements and how long they have sat in a transaction \
        between statements. Where they sit much longer than they work, some code does other things inside \
        its transactions: calls a service, reads a file, waits for a user. Each such moment holds up a slot \
        or a switch.",
    fix: "Find them while they sit, and end the transaction before the other work:\n\n\
        ```sql\n\
        select pid, usename, application_name, now() - state_change from pg_stat_activity where state = 'idle in transaction' order by 4 desc;\n\
        ```",
    bad: Example::Observed(
        "sessions have worked for 2 h and sat idle in transactions for 31 h",
        "",
        |observed| {
            let activity =
                Activity { idle_in_transaction_ms: 111_600_000, active_ms: 7_200_000, ..Activity::default() };
            observed.instance.activity = Some(activity);
        },
    ),
    good: Example::Observed(
        "sessions have worked for 40 h and sat idle in transactions for 2 h",
        "",
        |observed| {
            let activity =
                Activity { idle_in_transaction_ms: 7_200_000, active_ms: 144_000_000, ..Activity::default() };
            observed.instance.activity = Some(activity);
        },
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    const TOTAL_MS_MIN: u64 = 3_600_000;
    let Some(activity) = ground.instance().activity else { return };
    if activity.idle_in_transaction_ms > TOTAL_MS_MIN
        && activity.idle_in_transaction_ms > 2 * activity.active_ms
    {
        let idle = format_duration_ms(activity.idle_in_transaction_ms);
        let active = format_duration_ms(activity.active_ms);
        found.sentence(format!("sessions have sat idle in transactions for {idle}, and worked for {active}"));
    }
}
