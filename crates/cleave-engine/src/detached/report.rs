//! What people are told of detached tables.

use crate::EngineError;
use cleave_api::{NextStep, Problem, Risk};
use cleave_journal::{DetachedTable, MoveRow, detached_tables};
use cleave_model::{Direction, Lsn, ServiceName, labels};
use cleave_pg::{
    Session,
    slots::{self, WalStatus},
};
use cleave_stream::{FailedRow, StreamError};
use serde_json::{Map, Value, json};
use std::error::Error;

pub(super) fn with_causes(error: &StreamError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

pub(super) fn key(row: &FailedRow) -> Value {
    let columns = row.key.iter().map(|(name, value)| (name.clone(), json!(value)));
    Value::Object(columns.collect::<Map<String, Value>>())
}

pub(super) fn told(tables: &[DetachedTable]) -> String {
    let names: Vec<&str> = tables.iter().map(|table| table.table.as_str()).collect();
    match names.as_slice() {
        [one] => format!("{one} is detached: it does not follow with the others"),
        _ => format!("{} are detached: they do not follow with the others", names.join(", ")),
    }
}

pub(super) fn way_out(service: &ServiceName) -> String {
    format!(
        "settle at the new home what stands against the row, then `cleave resume {service}`; or `cleave resume {service} \
         --recopy TABLE` reads the tables anew"
    )
}

/// What `status` says of one group. The key of the row is for who asks, and not for a log.
pub(super) fn problem(
    service: &ServiceName,
    tables: &[DetachedTable],
    retained_bytes: Option<u64>,
    with_key: bool,
) -> Problem {
    let mut problem = Problem::warning("C0561", told(tables));
    let cause = tables.iter().find(|table| table.cause).or_else(|| tables.first());
    if let Some(cause) = cause {
        problem.causes.push(format!("{} {}", cause.code, cause.error));
        if let Some(key) = cause.key.as_ref().filter(|_| with_key) {
            problem.causes.push(format!("the row of {} with the key {key}", cause.table));
        }
        let Lsn(position) = cause.position;
        let since = if cause.since.is_empty() { String::new() } else { format!("since {}, ", cause.since) };
        problem.causes.push(format!("{since}after position {} of the source's log", Lsn(position)));
    }
    if let Some(bytes) = retained_bytes {
        problem
            .causes
            .push(format!("the source keeps {} of log for them", cleave_model::format_bytes(bytes)));
    }
    problem.hint(way_out(service)).next(NextStep::cleave(
        ["resume", service.as_str()],
        "tries them again",
        Risk::Reversible,
    ))
}

/// The same for all groups of a service, read from the databases.
pub(crate) async fn problems(
    row: &MoveRow,
    (m, n): (&Session, &Session),
) -> Result<Vec<Problem>, EngineError> {
    let stream = labels::stream(&row.service, Direction::Forward);
    // A target whose schema is older knows of none; the next engine that takes it brings it up to date.
    if cleave_journal::installed_version(&**n).await?.is_none_or(|version| version < 5) {
        return Ok(Vec::new());
    }
    let detached = detached_tables(&**n, &stream).await?;
    let mut problems = Vec::new();
    for group in detached.chunk_by(|one, next| one.part == next.part) {
        let part = group.first().map_or(0, |table| table.part);
        let slot = labels::of_part(&labels::slot(&row.service, Direction::Forward, row.id), part);
        let slot = slots::health(m, &slot).await?;
        let kept = slot.filter(|slot| slot.wal_status != WalStatus::Lost && slot.invalidation.is_none());
        let retained = kept.as_ref().map(|slot| slot.retained_bytes);
        let mut problem = problem(&row.service, group, retained, true);
        if kept.is_none() {
            problem.causes.push("their slot is lost: only `--recopy` leads on".to_owned());
        }
        problems.push(problem);
    }
    Ok(problems)
}
