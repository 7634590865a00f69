//! `resume --recopy`: tables of the new home are emptied and read anew, while the forward stream stands still
//! (docs/design/detached.md).

use crate::{
    EngineError, context::MoveContext, detached, runner::Runner, steps, streams::oids_at_target, switch::sql,
};
use cleave_api::{NextStep, Problem, Risk};
use cleave_config::TablePattern;
use cleave_journal::{
    EntryEvent, MoveRow, MoveState, delete_position, detached_tables, position, reopen_copy, tables_in_chunks,
};
use cleave_model::{Direction, Oid, labels};
use cleave_pg::{During, Session, slots::WalStatus};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};

const STEP: &str = "recopy";
/// How long the way back may take to pass what the copy has written, before its origins are left for later.
const PASS_LIMIT: Duration = Duration::from_secs(60);

/// Leaves of a partitioned table, and the table itself.
const LEAVES: &str = "select t.relid::oid from pg_catalog.unnest($1::oid[]) as of_pattern (oid), pg_catalog.pg_partition_tree(oid) t
    union select pg_catalog.unnest($1::oid[])";

/// Columns that are copied.
const COLUMNS: &str = "
    select attrelid, attname::text from pg_catalog.pg_attribute
    where attrelid = any ($1::oid[]) and attnum > 0 and not attisdropped and attgenerated = ''";

/// Tables at the new home with a trigger that fires for replicated rows, beside the fence.
const TRIGGERED: &str = "
    select c.oid::pg_catalog.regclass::text, t.tgname::text
    from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
    where t.tgrelid = any ($1::oid[]) and t.tgenabled in ('A', 'R') and t.tgname <> $2 and not starts_with(t.tgname, $3)
    order by 1, 2 limit 1";

/// True while tables are being copied again, or were when their engine ended: their start positions are not known, so no
/// stream may pass them.
pub(crate) async fn is_unfinished(move_: &MoveContext, state: MoveState) -> Result<bool, EngineError> {
    if state != MoveState::Following {
        return Ok(false);
    }
    let n = move_.n.connect("copy again").await?;
    Ok(!tables_in_chunks(&*n, &move_.stream(Direction::Forward)).await?.is_empty())
}

impl Runner {
    /// Copies tables again if the operator wishes it, or if an earlier run has not finished it.
    pub(crate) async fn recopy_where_needed(&mut self, row: &MoveRow) -> Result<bool, EngineError> {
        let wished = self.wishes.recopy.clone();
        let move_ = self.context(row)?;
        let is_following = row.state == MoveState::Following;
        if !wished.is_empty() && !is_following {
            return Err(self.wrong_state(row.state.as_str(), "resume --recopy", None));
        }
        if wished.is_empty() && !(is_following && is_unfinished(&move_, row.state).await?) {
            return Ok(false);
        }
        Box::pin(self.recopy(&move_, &wished)).await.map(|()| true)
    }

    async fn recopy(&mut self, move_: &MoveContext, wished: &[String]) -> Result<(), EngineError> {
        let m = self.journal().await?;
        let tables = if wished.is_empty() { BTreeSet::new() } else { chosen(&m, move_, wished).await? };
        let n = move_.n.connect("copy again").await?;
        let tables = with_groups(&n, move_, tables).await?;
        refuse_triggers(&n, move_, &tables).await?;
        refuse_other_columns(&m, move_, &tables).await?;
        let lost = is_lost(&m, &n, move_).await?;
        self.refuse_too_few(move_, &tables, lost, &n).await?;
        let summary = format!("reads {} tables of {} again", tables.len(), move_.m.name);
        let step = self.events.step(&self.service, STEP, summary);
        let names: Vec<String> = move_
            .plan
            .row_tables()
            .filter(|table| tables.contains(&table.oid()))
            .map(|table| table.source.qualified().to_string())
            .collect();
        move_.journal_m(&*m, STEP, EntryEvent::Begin, &json!({ "tables": names, "new_slot": lost })).await?;
        self.tell_unfinished(&m).await?;
        MoveRow::set_verification(&*m, &self.service, None).await?;
        self.streams.stop_all().await;
        cleave_failpoint::hit_async("recopy.before").await;
        reopen(&n, move_, &tables, lost).await?;
        cleave_failpoint::hit_async("recopy.reopened").await;
        let made = Box::pin(steps::forward_slot(move_)).await?;
        let rows = Box::pin(steps::copy_again(move_, made, &self.cancelled)).await?;
        self.check_cancelled()?;
        cleave_failpoint::hit_async("recopy.after").await;
        move_.journal_m(&*m, STEP, EntryEvent::Done, &json!({ "rows": rows })).await?;
        MoveRow::set_problem(&*m, &self.service, None).await?;
        step.finish(format!("{} rows", cleave_model::format_count(rows)));
        Ok(())
    }

    /// For `status`, while it is under way or when it has died.
    async fn tell_unfinished(&self, m: &Session) -> Result<(), EngineError> {
        let service = self.service.as_str();
        let message = "tables of the new home are being copied again: the stream to it stands still until they are there";
        let problem = Problem::error("C0562", message)
            .hint(format!("if nobody copies them at the moment, `cleave resume {service}` goes on"))
            .next(NextStep::cleave(["resume", service], "goes on", Risk::Reversible));
        let value = serde_json::to_value(&problem).map_err(|error| EngineError::Stored {
            what: "the problem".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(MoveRow::set_problem(&**m, &self.service, Some(&value)).await?)
    }

    /// A new slot begins behind changes that the tables which are there have never got.
    async fn refuse_too_few(
        &self,
        move_: &MoveContext,
        tables: &BTreeSet<Oid>,
        lost: bool,
        n: &Session,
    ) -> Result<(), EngineError> {
        if !lost {
            return Ok(());
        }
        let open = tables_in_chunks(&**n, &move_.stream(Direction::Forward)).await?;
        let is_read_anew =
            |oid: Oid| tables.contains(&oid) || open.iter().any(|table| table.source_oid == oid);
        if move_.plan.row_tables().all(|table| is_read_anew(table.oid())) {
            return Ok(());
        }
        let message =
            format!("slot {} is lost, so all tables are to be copied again", move_.slot(Direction::Forward));
        Err(EngineError::gate("C0563", message).next(&["resume", self.service.as_str(), "--recopy", "*.*"]))
    }

    /// Origins of the copy, and of groups that it has made superfluous, go once the way back has passed what was written
    /// under them.
    pub(crate) async fn drop_copy_origins(&self, row: &MoveRow) -> Result<(), EngineError> {
        let move_ = self.context(row)?;
        if self.pass_back(&move_, PASS_LIMIT).await? {
            let n = move_.n.connect("copy again").await?;
            for worker in 0..move_.limits.jobs {
                cleave_pg::origins::drop(&n, &labels::copy_origin(&move_.service, worker)).await?;
            }
            let detached = detached_tables(&*n, &move_.stream(Direction::Forward)).await?;
            let is_free = |part: &u32| detached.iter().all(|table| table.part != *part);
            for part in labels::parts().filter(is_free) {
                cleave_pg::origins::drop(&n, &move_.part_origin(part)).await?;
            }
        }
        Ok(())
    }
}

/// Tables that hold rows, by the patterns of their names on the source; a partitioned table means its partitions.
async fn chosen(m: &Session, move_: &MoveContext, wished: &[String]) -> Result<BTreeSet<Oid>, EngineError> {
    let mut named = Vec::new();
    for text in wished {
        let pattern = TablePattern::parse(text).map_err(|error| {
            EngineError::gate("C0563", format!("`{text}` {error}"))
                .hint("write schema.table as the catalog has it, with * for any run of characters")
        })?;
        let matched: Vec<u32> = move_
            .plan
            .tables
            .iter()
            .filter(|table| pattern.matches(&table.source.qualified()))
            .map(|table| table.source_oid)
            .collect();
        if matched.is_empty() {
            let message = format!("no table of service {} is called {text}", move_.service);
            return Err(EngineError::gate("C0563", message).next(&["plan", move_.service.as_str()]));
        }
        named.extend(matched);
    }
    let rows = m.query(LEAVES, &[&named]).await.during("looking for partitions")?;
    let all: BTreeSet<u32> = rows.iter().map(|row| row.get(0)).collect();
    let ours = move_.plan.row_tables().filter(|table| all.contains(&table.source_oid));
    Ok(ours.map(cleave_plan::PlannedTable::oid).collect())
}

/// Of a detached group all tables are copied or none: the others would wait for a log that one of them is past.
async fn with_groups(
    n: &Session,
    move_: &MoveContext,
    mut tables: BTreeSet<Oid>,
) -> Result<BTreeSet<Oid>, EngineError> {
    let detached = detached_tables(&**n, &move_.stream(Direction::Forward)).await?;
    let parts: BTreeSet<u32> =
        detached.iter().filter(|table| tables.contains(&table.source_oid)).map(|table| table.part).collect();
    tables.extend(detached.iter().filter(|table| parts.contains(&table.part)).map(|table| table.source_oid));
    Ok(tables)
}

async fn refuse_triggers(
    n: &Session,
    move_: &MoveContext,
    tables: &BTreeSet<Oid>,
) -> Result<(), EngineError> {
    let there = oids_at_target(n, move_).await?;
    let oids: Vec<u32> =
        there.iter().filter(|(source, _)| tables.contains(&Oid(**source))).map(|(_, oid)| oid.0).collect();
    let arguments: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&oids, &labels::FENCE_TRIGGER, &labels::TRIGGER_PREFIX];
    let found = n.query_opt(TRIGGERED, &arguments).await.during("looking for triggers")?;
    let Some(found) = found else { return Ok(()) };
    let (table, trigger): (String, String) = (found.get(0), found.get(1));
    let message =
        format!("trigger {trigger} of {table} fires for replicated rows: emptying the table would fire it");
    Err(EngineError::gate("C0564", message).hint(format!(
        "disable it for the time: alter table {table} disable trigger {}",
        cleave_model::quote_ident(&trigger)
    )))
}

/// The slot, or the position that belongs to it, is not there or cannot be gone on from.
async fn is_lost(m: &Session, n: &Session, move_: &MoveContext) -> Result<bool, EngineError> {
    let slot = move_.slot(Direction::Forward);
    let known = position(&**n, &move_.stream(Direction::Forward)).await?;
    let Some(known) = known.filter(|known| known.slot == slot) else { return Ok(true) };
    let Some(found) = cleave_pg::slots::health(m, &slot).await? else { return Ok(true) };
    let readable = found.wal_status != WalStatus::Lost && found.invalidation.is_none();
    let behind = found.confirmed_flush.is_some_and(|confirmed| confirmed <= known.position.lsn);
    let facts = cleave_pg::catalog::read_facts(m).await?;
    let same = facts.system_identifier == known.position.system_identifier
        && (facts.timeline == known.position.timeline || found.synced);
    Ok(!(readable && behind && same))
}

/// The copy reads the columns that are planned, and the stream takes those of its snapshot for copied.
async fn refuse_other_columns(
    m: &Session,
    move_: &MoveContext,
    tables: &BTreeSet<Oid>,
) -> Result<(), EngineError> {
    let oids: Vec<u32> = tables.iter().map(|oid| oid.0).collect();
    let rows = m.query(COLUMNS, &[&oids]).await.during("looking at the tables' columns")?;
    let now: BTreeSet<(u32, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for table in move_.plan.row_tables().filter(|table| tables.contains(&table.oid())) {
        let planned: BTreeSet<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let there: BTreeSet<&str> =
            now.iter().filter(|(oid, _)| *oid == table.source_oid).map(|(_, name)| name.as_str()).collect();
        if let Some(column) = planned.symmetric_difference(&there).next() {
            let message =
                format!("the columns of {} have changed on the source: {column}", table.source.qualified());
            return Err(EngineError::gate("C0563", message).hint(
                "let the stream come to that change first, or take the move back with `cleave cancel` and apply it anew",
            ));
        }
    }
    Ok(())
}

/// In one transaction: what stands in the tables is to go, and nobody may follow before it is read anew.
async fn reopen(
    n: &Session,
    move_: &MoveContext,
    tables: &BTreeSet<Oid>,
    lost: bool,
) -> Result<(), EngineError> {
    let stream = move_.stream(Direction::Forward);
    let there = oids_at_target(n, move_).await?;
    let detached = detached_tables(&**n, &stream).await?;
    let gone = detached.iter().filter(|table| lost || tables.contains(&table.source_oid));
    let parts: BTreeSet<u32> = gone.map(|table| table.part).collect();
    sql(n, "begin").await?;
    move_.n_lease.check(&**n).await?;
    for (source, target) in &there {
        if tables.contains(&Oid(*source)) {
            reopen_copy(&**n, &stream, (Oid(*source), *target)).await?;
        }
    }
    detached::forget_groups(move_, n, &parts).await?;
    if lost {
        delete_position(&**n, &stream).await?;
    }
    sql(n, "commit").await
}
