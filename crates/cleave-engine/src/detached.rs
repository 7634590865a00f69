//! Tables whose changes the target refuses go on in a stream of their own, and come back to the others' once it works
//! (docs/design/detached.md).

mod report;

pub(crate) use report::problems;

use crate::{
    EngineError,
    context::MoveContext,
    runner::Runner,
    steps::DROP_LIMIT,
    streams::{Part, oids_at_target},
    switch::sql,
};
use cleave_api::Event;
use cleave_journal::{
    DetachedTable, EntryEvent, MoveRow, MoveState, copied_tables, detached_tables, forget_part,
    insert_position, position, record_detached, rejoin, retell_detached,
};
use cleave_model::{Direction, Oid, labels};
use cleave_pg::{During, Session, slots};
use cleave_plan::PlannedTable;
use cleave_stream::{StreamError, connect_writer};
use report::{key, problem, told, way_out, with_causes};
use serde_json::json;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const STEP: &str = "detach";
/// Between the stop of a group's stream and the next attempt: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How far behind the others a group may be when it joins them: they stand still until it is there.
const NEAR_BYTES: u64 = 16 << 20;
/// How long they stand still at most.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// Until the next attempt, if that was not enough.
const JOIN_PAUSE: Duration = Duration::from_secs(120);
/// How long the server may take to end the session of a stream that was stopped, and how often that is looked at.
const GONE_LIMIT: Duration = Duration::from_secs(5);
const GONE_LOOK: Duration = Duration::from_millis(50);
/// How long the way back may take to pass what a group has written, before its origin is left for later.
const PASS_LIMIT: Duration = Duration::from_secs(10);

/// All tables that are tied to one by foreign keys and partitions inside the set, both ways.
const GROUP: &str = "
    with recursive ties (a, b) as (
        select conrelid, confrelid from pg_catalog.pg_constraint where contype = 'f'
        union select inhrelid, inhparent from pg_catalog.pg_inherits),
    tied (oid) as (
        select $1::oid
        union
        select case when t.a = g.oid then t.b else t.a end from tied g join ties t on g.oid in (t.a, t.b)
        where t.a = any ($2::oid[]) and t.b = any ($2::oid[]))
    select oid from tied";

impl Runner {
    /// Detaches the table that has stopped the forward stream; false if nothing is left then, or it is not one table's
    /// error, or the move is not just following.
    pub(crate) async fn detach(&mut self, failure: &StreamError) -> Result<bool, EngineError> {
        let Some((table, failed)) = failure.failed_table() else { return Ok(false) };
        let Some(row) = self.row().await?.filter(|row| row.state == MoveState::Following && !row.paused)
        else {
            return Ok(false);
        };
        let move_ = self.context(&row)?;
        let n = move_.n.connect("detach").await?;
        let stream = move_.stream(Direction::Forward);
        let before = detached_tables(&*n, &stream).await?;
        let is_cause = |planned: &&PlannedTable| planned.target.qualified() == *table;
        let Some(cause) = move_.plan.row_tables().find(is_cause).cloned() else { return Ok(false) };
        let group = group(&n, &move_, &cause).await?;
        let rest = move_.plan.row_tables().any(|table| {
            !group.contains(&table.oid()) && before.iter().all(|known| known.source_oid != table.oid())
        });
        let free = labels::parts().find(|part| before.iter().all(|known| known.part != *part));
        let (true, Some(part)) = (rest, free) else { return Ok(false) };
        // It has ended, and its session with it: the position is the last one.
        let Some(known) = position(&*n, &stream).await? else { return Ok(false) };
        // What is recorded of ranges and rows that were copied later than the stream is, it records alone.
        let copied = copied_tables(&*n, &stream).await?;
        if copied.iter().any(|table| table.start > known.position.lsn) {
            return Ok(false);
        }
        let slot = copied_slot(&move_, part).await?;
        let tables: Vec<DetachedTable> = move_
            .plan
            .row_tables()
            .filter(|table| group.contains(&table.oid()))
            .map(|table| DetachedTable {
                source_oid: table.oid(),
                table: table.source.qualified().to_string(),
                part,
                cause: table.source_oid == cause.source_oid,
                code: failure.code().to_owned(),
                error: with_causes(failure),
                key: failed.filter(|_| table.source_oid == cause.source_oid).map(key),
                position: known.position.lsn,
                since: String::new(),
            })
            .collect();
        sql(&n, "begin").await?;
        move_.n_lease.check(&*n).await?;
        insert_position(&*n, &labels::part_of(&stream, part), &slot, known.position).await?;
        record_detached(&*n, &stream, &tables).await?;
        sql(&n, "commit").await?;
        cleave_failpoint::hit_async("detach.recorded").await;
        let names: Vec<&str> = tables.iter().map(|table| table.table.as_str()).collect();
        let m = self.journal().await?;
        MoveRow::set_verification(&*m, &self.service, None).await?;
        MoveRow::set_problem(&*m, &self.service, None).await?;
        let detail = json!({ "tables": names, "code": failure.code(), "slot": slot });
        move_.journal_m(&*m, STEP, EntryEvent::Begin, &detail).await?;
        self.events.tell(Event::Problem {
            service: Some(self.service.to_string()),
            problem: problem(&self.service, &tables, None, false),
        });
        self.streams.start(&move_, row.state).await?;
        if let Some(part) = self.streams.parts().get_mut(&part) {
            part.pause = PAUSE_MIN;
        }
        Ok(true)
    }

    /// Tries the streams of detached groups again when it is time, and lets those that work join the others.
    pub(crate) async fn tend_detached(&mut self) -> Result<(), EngineError> {
        let parts: Vec<(u32, Part)> =
            self.streams.parts().iter().map(|(part, known)| (*part, known.clone())).collect();
        for (number, part) in parts {
            let Some(error) = part.stream.failure() else {
                let may = part.joins_after.is_none_or(|after| Instant::now() >= after);
                if may && part.stream.has_marker(&part.marker) && self.is_near(&part) {
                    drop(part);
                    Box::pin(self.join(number)).await?;
                }
                continue;
            };
            if crate::help::lease_lost(&error).is_some() {
                continue;
            }
            let pause = part.pause.clamp(PAUSE_MIN, PAUSE_MAX);
            let due = part.stopped.is_some_and(|stopped| stopped.elapsed() >= pause);
            drop(part);
            if !due {
                let known = self.streams.parts().get_mut(&number);
                if let Some(part) = known.filter(|part| part.stopped.is_none()) {
                    part.stopped = Some(Instant::now());
                    self.tell_cause(number, &error).await?;
                }
                continue;
            }
            let Some(row) = self.row().await?.filter(|row| row.state == MoveState::Following) else {
                continue;
            };
            let move_ = self.context(&row)?;
            self.streams.stop_part(number).await;
            self.streams.start_part(&move_, number, pause * 2).await?;
        }
        Ok(())
    }

    /// What stops a group now may be another row than the one that it was detached for.
    async fn tell_cause(&self, part: u32, error: &StreamError) -> Result<(), EngineError> {
        let Some(row) = self.row().await?.filter(|row| row.state == MoveState::Following) else {
            return Ok(());
        };
        let move_ = self.context(&row)?;
        let n = move_.n.connect("detached tables").await?;
        let stream = move_.stream(Direction::Forward);
        let Some(at) = position(&*n, &labels::part_of(&stream, part)).await? else { return Ok(()) };
        let failed = error.failed_table();
        let cause = failed.and_then(|(table, _)| {
            move_.plan.row_tables().find(|planned| planned.target.qualified() == *table)
        });
        let told = DetachedTable {
            source_oid: cause.map_or(Oid(0), PlannedTable::oid),
            table: String::new(),
            part,
            cause: true,
            code: error.code().to_owned(),
            error: with_causes(error),
            key: failed.and_then(|(_, row)| row).map(key),
            position: at.position.lsn,
            since: String::new(),
        };
        sql(&n, "begin").await?;
        move_.n_lease.check(&*n).await?;
        retell_detached(&*n, &stream, &told).await?;
        sql(&n, "commit").await
    }

    fn is_near(&self, part: &Part) -> bool {
        let main = self.streams.get(Direction::Forward).and_then(|stream| stream.status().position);
        let ours = part.stream.status().position;
        main.zip(ours).is_some_and(|(main, ours)| ours.0.saturating_add(NEAR_BYTES) >= main.0)
    }

    /// The others stop, the group goes on until it is where they are or behind it, and they go on together.
    async fn join(&mut self, part: u32) -> Result<(), EngineError> {
        let Some(row) = self.row().await?.filter(|row| row.state == MoveState::Following && !row.paused)
        else {
            return Ok(());
        };
        let move_ = self.context(&row)?;
        // A comparison has a hand on the stream that is to stop.
        self.end_watch().await;
        self.streams.stop(Direction::Forward).await;
        cleave_failpoint::hit_async("rejoin.stopped").await;
        let joined = self.join_standing(&move_, part).await;
        // What the group has followed of its tables' columns is to be known to the others; they go on whatever came of it.
        let renewed = self.renew_columns(&row).await;
        let move_ = self.context(&self.open_row("join").await?)?;
        self.streams.start(&move_, row.state).await?;
        renewed?;
        if let Some(part) = self.streams.parts().get_mut(&part) {
            part.joins_after = Some(Instant::now() + JOIN_PAUSE);
        }
        if joined? {
            self.events.note(Some(&self.service), "detached tables are followed with the others again");
            self.drop_part_origin(&move_, part).await?;
        }
        Ok(())
    }

    async fn join_standing(&mut self, move_: &MoveContext, part: u32) -> Result<bool, EngineError> {
        let m = move_.m.connect("join").await?;
        let n = move_.n.connect("join").await?;
        let stream = move_.stream(Direction::Forward);
        let marker = format!("{}/join/{}", self.service, m.backend_pid());
        cleave_pg::wal::emit_message(&m, labels::MESSAGE_MARKER, &marker).await?;
        let reached = match self.streams.parts().get(&part).map(|part| part.stream.clone()) {
            Some(group) => group.wait_for_marker(&marker, JOIN_LIMIT).await,
            None => false,
        };
        if !reached {
            return Ok(false);
        }
        self.streams.stop_part(part).await;
        // Both origins can be had only once the streams' sessions are gone: what a stream that was dropped has sent last is
        // committed by then, or never will be, and nothing moves either position before this has ended.
        let (whole, own) = (labels::origin(&self.service, Direction::Forward), move_.part_origin(part));
        let (Some(_whole), Some(_own)) = (alone(move_, &whole).await?, alone(move_, &own).await?) else {
            return Ok(false);
        };
        let main = position(&*n, &stream).await?.map(|known| known.position.lsn);
        let ours = position(&*n, &labels::part_of(&stream, part)).await?.map(|known| known.position.lsn);
        let Some(start) = main.zip(ours).filter(|(main, ours)| ours >= main).map(|(_, ours)| ours) else {
            return Ok(false);
        };
        cleave_failpoint::hit_async("rejoin.before").await;
        sql(&n, "begin").await?;
        move_.n_lease.check(&*n).await?;
        rejoin(&*n, &stream, part, start).await?;
        sql(&n, "commit").await?;
        cleave_failpoint::hit_async("rejoin.after").await;
        let detail = json!({ "group": part, "position": start.to_string() });
        move_.journal_m(&*m, STEP, EntryEvent::Done, &detail).await?;
        slots::drop(&m, &move_.part_slot(part), DROP_LIMIT).await?;
        Ok(true)
    }

    /// The way back may still have to read what the group has written; what stays is dropped by `cancel` or `complete`.
    async fn drop_part_origin(&self, move_: &MoveContext, part: u32) -> Result<(), EngineError> {
        if self.pass_back(move_, PASS_LIMIT).await? {
            let n = move_.n.connect("join").await?;
            match cleave_pg::origins::drop(&n, &move_.part_origin(part)).await {
                // Its session is on its way out.
                Err(error) if error.sqlstate() == Some("55006") => {}
                dropped => dropped?,
            }
        }
        Ok(())
    }

    /// True once the way back has read all that was written at the new home so far.
    pub(crate) async fn pass_back(&self, move_: &MoveContext, limit: Duration) -> Result<bool, EngineError> {
        let Some(back) = self.streams.get(Direction::Back) else { return Ok(false) };
        let n = move_.n.connect("marker").await?;
        let marker = format!("{}/passed/{}/{}", self.service, self.m_lease.epoch, n.backend_pid());
        cleave_pg::wal::emit_message(&n, labels::MESSAGE_MARKER, &marker).await?;
        Ok(back.wait_for_marker(&marker, limit).await)
    }

    /// Refuses what needs all tables, by the names of those that are detached.
    pub(crate) async fn detached_gate(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let n = move_.n.connect("gates").await?;
        let detached = detached_tables(&*n, &move_.stream(Direction::Forward)).await?;
        if detached.is_empty() {
            return Ok(());
        }
        Err(EngineError::gate("C0561", told(&detached))
            .hint(way_out(&self.service))
            .next(&["status", self.service.as_str()]))
    }
}

/// A session that has an origin; none if another one keeps it.
async fn alone(move_: &MoveContext, origin: &str) -> Result<Option<Session>, EngineError> {
    let began = Instant::now();
    loop {
        match connect_writer(&move_.n.endpoint, "join", origin, JOIN_LIMIT).await {
            Ok(session) => return Ok(Some(session)),
            Err(StreamError::Server { source, .. }) if source.sqlstate() == Some("55006") => {
                if began.elapsed() >= GONE_LIMIT {
                    return Ok(None);
                }
                tokio::time::sleep(GONE_LOOK).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn group(n: &Session, move_: &MoveContext, cause: &PlannedTable) -> Result<BTreeSet<Oid>, EngineError> {
    let there = oids_at_target(n, move_).await?;
    let all: Vec<u32> = there.values().map(|oid| oid.0).collect();
    let first = there.get(&cause.source_oid).map_or(0, |oid| oid.0);
    let rows = n.query(GROUP, &[&first, &all]).await.during("looking for tables that are tied by keys")?;
    let tied: BTreeSet<u32> = rows.iter().map(|row| row.get(0)).collect();
    let ours = there.into_iter().filter(|(_, target)| tied.contains(&target.0));
    Ok(ours.map(|(source, _)| Oid(source)).collect())
}

/// The group's slot, made from the forward one; what an attempt that died has left is dropped.
async fn copied_slot(move_: &MoveContext, part: u32) -> Result<String, EngineError> {
    let m = move_.m.connect("detach").await?;
    let slot = move_.part_slot(part);
    move_.m_lease.check(&*m).await?;
    slots::drop(&m, &slot, DROP_LIMIT).await?;
    cleave_failpoint::hit_async("detach.before").await;
    slots::copy(&m, &move_.slot(Direction::Forward), &slot).await?;
    cleave_failpoint::hit_async("detach.slot").await;
    Ok(slot)
}

/// Drops the slots of groups that are not detached (any more).
pub(crate) async fn drop_left_slots(
    move_: &MoveContext,
    detached: &BTreeSet<u32>,
) -> Result<(), EngineError> {
    let m = move_.m.connect("detached tables").await?;
    let known = slots::list(&m).await?;
    for part in labels::parts().filter(|part| !detached.contains(part)) {
        let slot = move_.part_slot(part);
        if known.iter().any(|known| known.name == slot) {
            move_.m_lease.check(&*m).await?;
            slots::drop(&m, &slot, DROP_LIMIT).await?;
        }
    }
    Ok(())
}

/// Forgets groups and drops their slots, for `--recopy`; in the transaction that `n` has open.
pub(crate) async fn forget_groups(
    move_: &MoveContext,
    n: &Session,
    parts: &BTreeSet<u32>,
) -> Result<(), EngineError> {
    for part in parts {
        forget_part(&**n, &move_.stream(Direction::Forward), *part).await?;
    }
    Ok(())
}

/// Drops the slots of all groups, for `cancel` and `complete`.
pub(crate) async fn drop_slots(move_: &MoveContext, m: &Session) -> Result<(), EngineError> {
    for part in labels::parts() {
        slots::drop(m, &move_.part_slot(part), DROP_LIMIT).await?;
    }
    Ok(())
}

/// Drops the origins of all groups and of copy workers at the new home, once nobody can meet them any more.
pub(crate) async fn drop_origins(move_: &MoveContext, n: &Session) -> Result<(), EngineError> {
    for part in labels::parts() {
        cleave_pg::origins::drop(n, &move_.part_origin(part)).await?;
    }
    for worker in 0..move_.limits.jobs {
        cleave_pg::origins::drop(n, &labels::copy_origin(&move_.service, worker)).await?;
    }
    Ok(())
}
