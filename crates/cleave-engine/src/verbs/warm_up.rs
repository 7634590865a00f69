//! Reading the new home's tables and indexes before a switch, so that its first statements do not wait for disks. Outside
//! the pause, for a limited time, and only where the operator asks for it.

use crate::{EngineError, context::MoveContext, runner::Runner};
use cleave_journal::EntryEvent;
use cleave_model::{Ident, format_bytes, format_duration_ms};
use cleave_pg::{During, PgError, Session};
use cleave_plan::cutover::Round;
use serde_json::json;
use std::time::{Duration, Instant};

/// Tables, what they have stored out of line, and their indexes: the small ones first, indexes before tables. How big they
/// are is an estimate, as asking would wait for locks.
const RELATIONS: &str = "
    with moved as (select pg_catalog.to_regclass(n)::oid as oid from pg_catalog.unnest($1::text[]) n),
    relation as (
        select c.oid, c.relkind from pg_catalog.pg_class c join moved using (oid) where c.relkind = 'r'
        union all
        select t.oid, t.relkind from pg_catalog.pg_class c join moved using (oid)
          join pg_catalog.pg_class t on t.oid = c.reltoastrelid
        union all
        select i.indexrelid, 'i' from pg_catalog.pg_index i join moved on moved.oid = i.indrelid
          join pg_catalog.pg_class c on c.oid = i.indexrelid where c.relkind = 'i' and i.indisvalid)
    select r.oid, r.oid::regclass::text as name, r.relkind::text as kind,
           greatest(c.relpages, 0) * pg_catalog.current_setting('block_size')::bigint as bytes
    from relation r join pg_catalog.pg_class c using (oid) order by r.relkind <> 'i', bytes";

/// The schema of pg_prewarm where it is installed and may be used, and the size of the buffers.
const MEANS: &str = "
    select (select n.nspname::text from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
            where e.extname = 'pg_prewarm' and pg_catalog.has_schema_privilege(n.oid, 'usage')),
           pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers'))";

struct Relation {
    oid: u32,
    name: String,
    kind: String,
    bytes: u64,
}

/// What was read.
#[derive(Default)]
struct Read {
    relations: usize,
    bytes: u64,
    failed: Option<String>,
}

enum End {
    Done,
    TimeIsUp,
}

impl Runner {
    /// Warms the side that is to become the home. What cannot be read is told and keeps nobody from switching; Ctrl-C
    /// ends the command before anything was changed.
    pub(super) async fn warm_up(&self, round: Round, move_: &MoveContext) -> Result<(), EngineError> {
        let Some(limit) = self.wishes.warm_up.or(move_.limits.warm_up) else { return Ok(()) };
        let tables = move_.plan.row_tables();
        let (site, names): (_, Vec<String>) = match round {
            Round::Cutover => (&move_.n, tables.map(|table| table.target.qualified().quoted()).collect()),
            Round::Rollback => {
                (&move_.m, tables.map(|table| move_.plan.left_behind(&table.source).quoted()).collect())
            }
        };
        let session = site.connect("warm up").await?;
        let during = "looking at what is to be warmed up";
        let rows = session.query(RELATIONS, &[&names]).await.during(during)?;
        let relations: Vec<Relation> = rows
            .iter()
            .map(|row| Relation {
                oid: row.get("oid"),
                name: row.get("name"),
                kind: row.get("kind"),
                bytes: row.get::<_, i64>("bytes").unsigned_abs(),
            })
            .collect();
        let row = session.query_one(MEANS, &[]).await.during(during)?;
        let prewarm: Option<String> = row.get(0);
        let buffers = row.get::<_, i64>(1).unsigned_abs();
        let at_most = format_duration_ms(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        let step = self.events.step(
            &self.service,
            "warm_up",
            format!("reads tables and indexes at {} for at most {at_most}", site.name),
        );
        let began = Instant::now();
        let mut read = Read::default();
        let mut ended = End::Done;
        for relation in &relations {
            let Some(sql) = reading(relation, prewarm.as_deref(), buffers, read.bytes) else { continue };
            cleave_failpoint::hit_async("warm_up.relation").await;
            let left = limit.saturating_sub(began.elapsed());
            match self.read_one(&session, &sql, left).await? {
                Some(Ok(bytes)) => {
                    read.relations += 1;
                    read.bytes += bytes;
                }
                Some(Err(error)) => read.failed = Some(format!("{}: {error}", relation.name)),
                None => {
                    ended = End::TimeIsUp;
                    break;
                }
            }
        }
        step.finish(said(&read, &relations, &ended, prewarm.is_some()));
        let detail = json!({
            "relations": read.relations, "of": relations.len(), "bytes": read.bytes,
            "elapsed_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "by": if prewarm.is_some() { "pg_prewarm" } else { "reading tables" }, "failed": read.failed,
        });
        let journal = self.journal().await?;
        let name = format!("{}.warm_up", round.as_str());
        move_.journal_m(&*journal, &name, EntryEvent::Done, &detail).await
    }

    /// `None` when the time was up before it ended.
    async fn read_one(
        &self,
        session: &Session,
        sql: &str,
        left: Duration,
    ) -> Result<Option<Result<u64, PgError>>, EngineError> {
        let canceller = session.canceller();
        tokio::select! {
            () = self.cancelled.cancelled() => {
                let _ = canceller.cancel().await;
                Err(EngineError::Interrupted)
            }
            () = tokio::time::sleep(left) => {
                let _ = canceller.cancel().await;
                Ok(None)
            }
            read = session.query_one(sql, &[]) => {
                let bytes = read.map(|row| row.get::<_, i64>(0).unsigned_abs());
                Ok(Some(bytes.during("warming up")))
            }
        }
    }
}

/// How a relation is read: into the buffers as long as they have room for half of themselves, then into the operating
/// system's cache. Without pg_prewarm only tables can be read as a whole, and a big one passes through few buffers.
fn reading(relation: &Relation, prewarm: Option<&str>, buffers: u64, before: u64) -> Option<String> {
    match prewarm {
        Some(schema) => {
            let mode = if before + relation.bytes <= buffers / 2 { "buffer" } else { "read" };
            let schema = Ident::new(schema).quoted();
            Some(format!(
                "select {schema}.pg_prewarm({}::oid::regclass, '{mode}')
                   * pg_catalog.current_setting('block_size')::bigint",
                relation.oid
            ))
        }
        None if relation.kind == "r" => Some(format!(
            "select 0 * count(*) + pg_catalog.pg_relation_size({}::oid::regclass) from only {}",
            relation.oid, relation.name
        )),
        None => None,
    }
}

fn said(read: &Read, relations: &[Relation], ended: &End, prewarm: bool) -> String {
    let mut said = format!(
        "read {} of {} tables and indexes, {}",
        read.relations,
        relations.len(),
        format_bytes(read.bytes)
    );
    if matches!(ended, End::TimeIsUp) {
        said.push_str("; then the time was up");
    }
    if !prewarm {
        said.push_str("; without the extension pg_prewarm there, indexes are not read");
    }
    if let Some(failed) = &read.failed {
        said.push_str(&format!("; not all can be read: {failed}"));
    }
    said
}
