//! The way back: publication and slot on N, made while N is fenced, so that the slot misses nothing.

use super::slot::DROP_LIMIT;
use crate::{
    EngineError,
    context::MoveContext,
    switch::{script, sql},
};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::{Direction, Position, labels};
use serde_json::json;

const STEP: &str = "way_back";

/// Makes the way back, unless it is there with its position row, and ends `apply`: the move is following.
pub(crate) async fn way_back(move_: &MoveContext) -> Result<(), EngineError> {
    let mut n = move_.n.connect("way back").await?;
    let m = move_.m.connect("way back").await?;
    let slot = move_.slot(Direction::Back);
    let stream = move_.stream(Direction::Back);
    let there = cleave_pg::slots::exists(&n, &slot).await?;
    let position = cleave_journal::position(&*m, &stream).await?;
    if !(there && position.is_some_and(|position| position.slot == slot)) {
        let step = move_.events.step(&move_.service, STEP, format!("makes slot {slot} in {}", move_.n.name));
        if there {
            cleave_pg::slots::drop(&n, &slot, DROP_LIMIT).await?;
        }
        let publication = labels::publication(&move_.service, Direction::Back);
        let mut statements =
            vec!["begin".to_owned(), format!("drop publication if exists {}", publication.quoted())];
        statements.extend(move_.plan.way_back.iter().cloned());
        statements.push("commit".to_owned());
        sql(&n, &script(&statements)).await?;
        cleave_failpoint::hit_async("way_back.before").await;
        let limit = move_.limits.lock_budget;
        let lsn = match move_.n.failover_slots {
            true => cleave_pg::slots::create_failover(&mut n, &slot, limit).await?,
            false => cleave_pg::slots::create_logical(&mut n, &slot, limit).await?,
        };
        super::failover::tell(move_, &move_.n, &n).await?;
        let facts = cleave_pg::catalog::read_facts(&n).await?;
        cleave_failpoint::hit_async("way_back.made").await;
        let position = Position { system_identifier: facts.system_identifier, timeline: facts.timeline, lsn };
        cleave_journal::insert_position(&*m, &stream, &slot, position).await?;
        cleave_failpoint::hit_async("way_back.after").await;
        move_.journal_m(&*m, STEP, EntryEvent::Done, &json!({ "slot": slot })).await?;
        step.finish("a rollback is possible at any time");
    }
    // The slot was made after the copy, so nobody will ever read a transaction with an origin of a copy worker.
    for worker in 0..move_.limits.jobs {
        cleave_pg::origins::drop(&n, &labels::copy_origin(&move_.service, worker)).await?;
    }
    cleave_failpoint::hit_async("way_back.origins_dropped").await;
    Ok(MoveRow::transition(&*m, &move_.service, &[MoveState::Copying], MoveState::Following).await?)
}
