//! `[limits]`, `[hooks]` and `[server]`.

use super::findings::Findings;
use super::{sections, value};
use crate::keys::{self, Kind};
use crate::{ErrorCode, Hooks, Limits, Listen, Server, parse_duration, parse_size};
use std::time::Duration;
use toml_edit::{Item, TableLike};

const DURATION: &str = "a duration in quotes, such as \"500ms\"";
const SIZE: &str = "a size in quotes, such as \"256MB\"";
const LISTEN: &str = "an address and a port in quotes, such as \"127.0.0.1:9732\", or \"off\"";

pub(crate) fn limits(root: &dyn TableLike, findings: &mut Findings<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(table) = sections::single(root, "limits", findings) else { return limits };
    let durations: [(&str, &mut Duration); 5] = [
        ("write_pause", &mut limits.write_pause),
        ("lock_timeout", &mut limits.lock_timeout),
        ("lock_budget", &mut limits.lock_budget),
        ("snapshot_age", &mut limits.snapshot_age),
        ("verify_max_age", &mut limits.verify_max_age),
    ];
    for (key, place) in durations {
        let read =
            table.get(key).and_then(|item| value::parsed(item, key, DURATION, parse_duration, findings));
        if let Some(duration) = read {
            *place = duration;
        }
    }
    let mut size =
        |key: &str| table.get(key).and_then(|item| value::parsed(item, key, SIZE, parse_size, findings));
    limits.memory_bytes = size("memory").unwrap_or(limits.memory_bytes);
    limits.spool_bytes = size("spool").unwrap_or(limits.spool_bytes);
    limits.chunk_bytes = size("chunk").unwrap_or(limits.chunk_bytes);
    limits.giant_bytes = size("giant").unwrap_or(limits.giant_bytes);
    limits.copy_bytes_per_second = size("copy_rate");
    limits.copy_lag_bytes_max = size("copy_max_lag");
    limits.copy_target_log_bytes_max = size("copy_max_target_log");
    limits.verify_lag_bytes_max = size("verify_max_lag");
    let mut count = |key: &str| table.get(key).and_then(|item| count(item, key, findings));
    limits.jobs = count("jobs").and_then(|jobs| usize::try_from(jobs).ok()).unwrap_or(limits.jobs);
    limits.verify_sessions_max = count("verify_max_sessions").and_then(|most| u32::try_from(most).ok());
    limits.copy_sessions_max = count("copy_max_sessions").and_then(|most| u32::try_from(most).ok());
    let mut optional = |key: &str| {
        table.get(key).and_then(|item| value::parsed(item, key, DURATION, parse_duration, findings))
    };
    limits.verify_every = optional("verify_every");
    limits.warm_up = optional("warm_up");
    check_order(table, &limits, findings);
    limits
}

fn count(item: &Item, name: &str, findings: &mut Findings<'_>) -> Option<i64> {
    let Some(number) = item.as_integer() else {
        value::wrong_type(item, name, "a whole number", findings);
        return None;
    };
    let key = keys::section("limits")?.keys.iter().find(|key| key.name == name)?;
    let Kind::Count { min, max } = key.kind else { return None };
    if !(min..=max).contains(&number) {
        findings
            .report(ErrorCode::InvalidValue, &value::span(item), format!("`{name}` takes {min} to {max}"))
            .label(format!("this is {number}"));
        return None;
    }
    Some(number)
}

fn check_order(table: &dyn TableLike, limits: &Limits, findings: &mut Findings<'_>) {
    let written = table.get("lock_budget").or_else(|| table.get("lock_timeout"));
    if let Some(item) = written.filter(|_| limits.lock_budget < limits.lock_timeout) {
        findings
            .report(
                ErrorCode::Contradiction,
                &value::span(item),
                "`lock_budget` is shorter than `lock_timeout`",
            )
            .hint("the budget covers all attempts, the timeout a single one");
    }
}

pub(crate) fn hooks(root: &dyn TableLike, findings: &mut Findings<'_>) -> Hooks {
    let Some(table) = sections::single(root, "hooks", findings) else { return Hooks::default() };
    let mut commands = |key: &str| -> Vec<String> {
        let Some(item) = table.get(key) else { return Vec::new() };
        value::texts(item, key, findings).into_iter().map(|command| command.value).collect()
    };
    let before_switch = commands("before_switch");
    let (in_pause, after_switch) = (commands("in_pause"), commands("after_switch"));
    let limit =
        table.get("limit").and_then(|item| value::parsed(item, "limit", DURATION, parse_duration, findings));
    let limit = limit.unwrap_or(Hooks::default().limit);
    Hooks { before_switch, in_pause, after_switch, limit }
}

pub(crate) fn server(root: &dyn TableLike, findings: &mut Findings<'_>) -> Server {
    let Some(table) = sections::single(root, "server", findings) else { return Server::default() };
    let item = table.get("listen");
    Server { listen: item.and_then(|item| value::parsed(item, "listen", LISTEN, Listen::parse, findings)) }
}
