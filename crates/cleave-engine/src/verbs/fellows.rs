//! Whether several services can be switched together, and which have to go back together.

use super::together::Turn;
use crate::{EngineError, Topology, context::MoveContext, planning, runner::Runner};
use cleave_journal::{Entry, EntryEvent, MoveRow, MoveState};
use cleave_model::{DatabaseName, QualifiedName, ServiceName};
use cleave_plan::cutover::Round;
use cleave_plan::{KeyBetween, MovePlan};
use std::collections::BTreeSet;

/// Refuses services that no single transaction can switch; all reasons at once.
pub(super) fn may_go_together(
    turns: &[Turn],
    round: Round,
    there: impl Fn(&Turn) -> bool,
) -> Result<(), EngineError> {
    let Some(first) = turns.first() else { return Ok(()) };
    let mut reasons = Vec::new();
    for turn in turns {
        let (service, plan) = (&turn.move_.service, &turn.move_.plan);
        if plan.whole.is_some() {
            reasons.push(format!("{service} is an upgrade, which takes everything along by itself"));
        }
        if there(turn) {
            let home = if round == Round::Cutover { &turn.move_.n.name } else { &turn.move_.m.name };
            reasons.push(format!("{service} is at {home} already"));
        } else if plan.bridge != first.move_.plan.bridge && round == Round::Cutover {
            reasons.push(format!("{service} has another kind of bridge than {}", first.move_.service));
        }
    }
    reasons.extend(shared_pools(turns));
    let states: BTreeSet<&str> = turns.iter().map(|turn| turn.row.state.as_str()).collect();
    if states.len() > 1 && reasons.is_empty() {
        let each = turns.iter().map(|turn| format!("{} is {}", turn.move_.service, turn.row.state.as_str()));
        reasons.push(each.collect::<Vec<_>>().join(", "));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(apart(turns.iter().map(|turn| turn.move_.service.as_str()), &reasons))
}

/// A database of PgBouncer leads to one place.
fn shared_pools(turns: &[Turn]) -> Vec<String> {
    let mut reasons = Vec::new();
    for (at, turn) in turns.iter().enumerate() {
        let Some(pooler) = &turn.move_.pooler else { continue };
        for other in &turns[at + 1..] {
            let Some(theirs) = other.move_.pooler.as_ref().filter(|theirs| theirs.file == pooler.file) else {
                continue;
            };
            let shared = pooler.names.iter().find(|name| theirs.names.contains(name));
            if let Some(name) = shared.filter(|_| turn.move_.n.name != other.move_.n.name) {
                reasons.push(format!(
                    "PgBouncer's database {name} is of {} and of {}, whose homes differ",
                    turn.move_.service, other.move_.service
                ));
            }
        }
    }
    reasons
}

/// What the gates of several services say, together.
pub(super) fn against(
    mut errors: Vec<(ServiceName, EngineError)>,
    services: usize,
) -> Result<(), EngineError> {
    match errors.pop() {
        None => Ok(()),
        Some((_, only)) if services == 1 => Err(only),
        Some(last) => {
            errors.push(last);
            Err(EngineError::Gates { errors })
        }
    }
}

/// The keys that a rollback of these services restores. Those to a service that has stayed at its new home for good
/// are left out, and told.
pub(super) async fn come_back(
    runners: &[&mut Runner],
    turns: &[Turn],
    between: Vec<KeyBetween>,
) -> Result<Vec<KeyBetween>, EngineError> {
    let Some(runner) = runners.first() else { return Ok(Vec::new()) };
    let going = |name: &str| turns.iter().any(|turn| turn.move_.service.as_str() == name);
    let session = runner.journal().await?;
    let rows = MoveRow::read_all(&*session).await?;
    let mut kept = Vec::new();
    for key in between {
        let Some(left) = key.services.iter().find(|name| !going(name)) else {
            kept.push(key);
            continue;
        };
        let row = rows.iter().find(|row| row.service.as_str() == left);
        if row.is_some_and(|row| row.state == MoveState::Switched) {
            let [from, to] = &key.services;
            let message = format!("{from} and {to} were switched together and are tied by key {}", key.key);
            return Err(EngineError::gate("C0730", message).next(&["rollback", from, to]));
        }
        let message = format!("key {} does not come back: {left} is at its new home for good", key.key);
        runner.events.note(None, message);
    }
    let mut others = Vec::new();
    for row in rows.iter().filter(|row| row.state == MoveState::Switched && !row.is_split()) {
        if let cleave_plan::Plan::Live(plan) = crate::context::stored(row)? {
            let entries = cleave_journal::entries(&*session, &row.service).await?;
            others.push((row.service.clone(), *plan, switched_at(&entries, row.id)));
        }
    }
    for turn in turns {
        let entries = turn.move_.entries(&*session).await?;
        last_one_first(&turn.move_, switched_at(&entries, turn.move_.incarnation), &others, &kept)?;
    }
    Ok(kept)
}

/// What a service's cutover has put on tables of another that followed it one by one comes off only while these tables
/// are there: the one that went last comes back first.
fn last_one_first(
    move_: &MoveContext,
    at: Option<i64>,
    others: &[(ServiceName, MovePlan, Option<i64>)],
    together: &[KeyBetween],
) -> Result<(), EngineError> {
    for (service, plan, later) in others {
        if *service == move_.service || *later <= at {
            continue;
        }
        let tie = tie(&move_.plan, plan).or_else(|| tie(plan, &move_.plan));
        let Some(key) = tie.filter(|key| together.iter().all(|known| known.key != *key)) else { continue };
        let message =
            format!("{service} was switched after {} and is tied to it by key {key}", move_.service);
        return Err(EngineError::gate("C0730", message).next(&["rollback", service.as_str()]));
    }
    Ok(())
}

/// A key of one plan's tables that the other plan's cutover has turned into a watched reference.
fn tie(watching: &MovePlan, watched: &MovePlan) -> Option<String> {
    let tables: BTreeSet<QualifiedName> =
        watched.tables.iter().map(|table| table.source.qualified()).collect();
    let reference = watching.references.iter().find(|key| tables.contains(&key.table.qualified()));
    reference.map(|key| key.name.clone())
}

/// The journal's number of a move's last cutover: M's journal is in the order of commits that matters here.
fn switched_at(entries: &[Entry], incarnation: i64) -> Option<i64> {
    let cutovers = entries.iter().filter(|entry| {
        entry.incarnation == incarnation && entry.step == "cutover.switch" && entry.event == EntryEvent::Done
    });
    cutovers.map(|entry| entry.id).max()
}

/// Refuses services that cleave.toml alone shows to be of no single transaction.
pub(crate) fn refuse_kinds(topology: &Topology, services: &[ServiceName]) -> Result<(), EngineError> {
    let mut reasons = Vec::new();
    let mut sources: Vec<(&ServiceName, DatabaseName)> = Vec::new();
    for service in services {
        if crate::split::configured(topology, service).is_some() {
            reasons.push(format!("{service} is a split of one table, which goes by itself"));
            continue;
        }
        let configured = planning::service(topology, service.as_str())?;
        if configured.schema_move.is_some() {
            reasons.push(format!("{service} moves inside its database, by a switch of its own"));
        }
        sources.push((service, configured.from.clone()));
    }
    if let Some((first, from)) = sources.first() {
        let others = sources.iter().filter(|(_, other)| other != from);
        reasons.extend(
            others.map(|(service, other)| format!("{service} leaves {other}, and {first} leaves {from}")),
        );
    }
    if reasons.is_empty() { Ok(()) } else { Err(apart(services.iter().map(ServiceName::as_str), &reasons)) }
}

fn apart<'a>(services: impl Iterator<Item = &'a str>, reasons: &[String]) -> EngineError {
    let names = services.collect::<Vec<_>>().join(" and ");
    let message = format!("{names} cannot be switched in one transaction: {}", reasons.join("; "));
    EngineError::gate("C0730", message).hint("switch them one after the other")
}
