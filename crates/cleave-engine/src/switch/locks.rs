//! Who is in the way, and ending sessions of our own.

use super::run::Switch;
use crate::{EngineError, Site};
use cleave_journal::EntryEvent;
use cleave_model::{Oid, QualifiedName};
use cleave_pg::{During, Session, locks::Blocker};
use cleave_plan::cutover::{Round, Step};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};

/// How long a session that was told to end may take.
const TERMINATE_LIMIT: Duration = Duration::from_secs(5);

/// Who holds locks on tables, for a message: pid, user, application, state, age. Never a query's text.
pub(crate) async fn describe_holders(session: &Session, tables: &[QualifiedName]) -> String {
    const SHOWN_MAX: usize = 5;
    let Some(blockers) = holders(session, tables).await else {
        return "its holders cannot be read".to_owned();
    };
    let holders: Vec<String> = blockers.iter().take(SHOWN_MAX).map(holder).collect();
    if holders.is_empty() { "its holder has just let go".to_owned() } else { holders.join("; ") }
}

/// `None` where they cannot be read.
pub(crate) async fn holders(session: &Session, tables: &[QualifiedName]) -> Option<Vec<Blocker>> {
    let names: Vec<String> = tables.iter().map(QualifiedName::quoted).collect();
    let sql = "select pg_catalog.to_regclass(n)::oid from pg_catalog.unnest($1::text[]) n";
    let oids = session.query(sql, &[&names]).await.ok()?;
    let oids: Vec<Oid> = oids.iter().filter_map(|row| row.get::<_, Option<u32>>(0)).map(Oid).collect();
    cleave_pg::locks::blockers_of_relations(session, &oids).await.ok()
}

pub(crate) fn holder(blocker: &Blocker) -> String {
    let age = blocker.age_ms.map_or_else(|| "unknown age".to_owned(), cleave_model::format_duration_ms);
    if let Some(prepared) = &blocker.prepared {
        return format!("prepared transaction {prepared:?} ({age} old)");
    }
    format!(
        "pid {} (user {}, application {:?}, {}, transaction {age} old)",
        blocker.pid.unwrap_or(0),
        blocker.user.as_deref().unwrap_or("unknown"),
        blocker.application.as_deref().unwrap_or(""),
        blocker.state.as_deref().unwrap_or("state unknown"),
    )
}

impl Switch<'_> {
    /// Who held what T or TN asked for. A failed transaction has let go of its locks, so they are not among them.
    pub(super) async fn blocked(&self) -> EngineError {
        let mut parts = Vec::new();
        for (session, site, tables) in self.wanted() {
            let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
            let holders = describe_holders(session, &tables).await;
            parts.push(format!("{} in {}: {holders}", names.join(", "), site.name));
        }
        EngineError::gate("C0703", parts.join("; "))
            .hint("wait for it to end, or end it; then run the command again")
    }

    /// The holder with the oldest transaction on each side, for a line.
    pub(super) async fn in_the_way(&self) -> String {
        let mut parts = Vec::new();
        for (session, site, tables) in self.wanted() {
            let mut blockers = holders(session, &tables).await.unwrap_or_default();
            blockers.sort_by_key(|blocker| std::cmp::Reverse(blocker.age_ms));
            let others = match blockers.len() {
                0 => continue,
                1 => String::new(),
                more => format!(" and {} more", more - 1),
            };
            parts.push(format!("in {} {}{others}", site.name, holder(&blockers[0])));
        }
        if parts.is_empty() { "nobody any more".to_owned() } else { parts.join("; ") }
    }

    /// Ends client sessions that keep the switch from its locks, if the operator wishes so and both the waiting and their
    /// transactions are old enough. Returns how many were told to end; each is told and journaled.
    pub(super) async fn end_blockers(&self, waited: Duration) -> usize {
        let Some(after) = self.move_.terminate_blockers_after.filter(|after| waited >= *after) else {
            return 0;
        };
        let mut ended = 0;
        for (session, site, tables) in self.wanted() {
            for blocker in holders(session, &tables).await.unwrap_or_default() {
                let Some(pid) = blocker.pid else { continue };
                let told = match terminate_client(session, pid, after).await {
                    Ok(false) => continue,
                    Ok(true) => {
                        ended += 1;
                        "ended a session that kept the switch from its locks"
                    }
                    Err(_) => "a session that keeps the switch from its locks cannot be ended by this role",
                };
                let message = format!("{told}: in {} {}", site.name, holder(&blocker));
                self.entry(Step::Fence, EntryEvent::Note, json!({ "blocker": message })).await;
                self.note(message);
            }
        }
        ended
    }

    /// True while blockers are not old enough to be ended, but will be.
    pub(super) fn waits_for_blockers(&self, waited: Duration) -> bool {
        self.move_.terminate_blockers_after.is_some_and(|after| waited < after)
    }

    /// What the locks are asked for, by side.
    fn wanted(&self) -> Vec<(&Session, &Site, Vec<QualifiedName>)> {
        let mut on_m: Vec<QualifiedName> = Vec::new();
        for plan in self.parties.iter().map(|party| &party.move_.plan) {
            on_m.extend(plan.tables.iter().map(|table| table.source.qualified()));
            on_m.extend(plan.references.iter().map(|reference| reference.table.qualified()));
        }
        // A table that refers to one service may be another's own.
        let mut seen = BTreeSet::new();
        on_m.retain(|table| seen.insert(table.clone()));
        let mut wanted = vec![(&self.m, &self.move_.m, on_m)];
        if self.round == Round::Rollback {
            wanted.extend(self.parties.iter().map(|party| {
                let tables = party.move_.plan.tables.iter().map(|table| table.target.qualified());
                (&party.n, &party.move_.n, tables.collect())
            }));
        }
        wanted
    }
}

/// True while a transaction is neither committed nor aborted.
pub(super) async fn is_in_progress(session: &Session, xid: &str) -> Result<bool, EngineError> {
    let row = session
        .query_one("select pg_catalog.pg_xact_status($1::text::xid8) = 'in progress'", &[&xid])
        .await
        .during("asking how the switch's transaction ended")?;
    Ok(row.get::<_, Option<bool>>(0).unwrap_or(false))
}

/// Ends the session of a transaction, but only if the process still runs that very transaction.
pub(super) async fn terminate_transaction(session: &Session, xid: &str, pid: i32) -> Result<(), EngineError> {
    session
        .execute(
            "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
             where pid = $1 and backend_xid = $2::text::xid8::xid",
            &[&pid, &xid],
        )
        .await
        .during("ending the switch's transaction")?;
    Ok(())
}

/// Ends an application's session, if it still is in a transaction that is as old as `after`.
pub(crate) async fn terminate_client(
    session: &Session,
    pid: i32,
    after: Duration,
) -> Result<bool, EngineError> {
    let ended = session
        .query(
            "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
             where pid = $1 and backend_type = 'client backend' and coalesce(application_name, '') not like 'cleave %'
               and pg_catalog.clock_timestamp() - xact_start >= $2 * interval '1 s'",
            &[&pid, &after.as_secs_f64()],
        )
        .await
        .during("ending a session that keeps the switch from its locks")?;
    Ok(!ended.is_empty())
}

/// Ends a session of ours by pid and waits until it is gone.
pub(super) async fn terminate(site: &Site, pid: i32) -> Result<(), EngineError> {
    let session = site.connect("switch release").await?;
    let began = std::time::Instant::now();
    loop {
        let gone = session
            .query(
                "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
                 where pid = $1 and application_name like 'cleave switch%'",
                &[&pid],
            )
            .await
            .during("ending a session of the switch")?
            .is_empty();
        if gone || began.elapsed() > TERMINATE_LIMIT {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
