//! `cleave cleanup`: looks for what moves have left in the databases of cleave.toml, and drops what is surely Cleave's and surely
//! not needed. The verdicts are [`cleave_plan::cleanup`]'s.

use crate::{EngineError, Events, Site, Topology, context::stored, lease::Leases, switch::sql};
use cleave_api::{CleanupFate, CleanupItem, CleanupReport};
use cleave_journal::{Lease, MoveRow, MoveState};
use cleave_model::{QualifiedName, ServiceName, labels};
use cleave_pg::{During, Session};
use cleave_plan::cleanup::{
    Leftover, LeftoverKind, MoveTrace, Standing, Traces, Verdict, is_our_name, judge,
};
use cleave_plan::{BridgeKind, Plan};

const SLOTS: &str = "
    select slot_name::text, active_pid from pg_catalog.pg_replication_slots
    where slot_type = 'logical' and database = pg_catalog.current_database() and slot_name ~ '^cleave_' order by 1";
const PUBLICATIONS: &str =
    "select pubname::text, null::int from pg_catalog.pg_publication where pubname ~ '^cleave_' order by 1";
const ORIGINS: &str =
    "select roname, null::int from pg_catalog.pg_replication_origin where roname ~ '^cleave_' order by 1";
const ROLES: &str =
    "select rolname::text, null::int from pg_catalog.pg_roles where rolname ~ '^cleave_bridge_' order by 1";

/// Tables with a fence, and the service that the fence's function is named after.
const FENCES: &str = "
    select n.nspname::text, c.relname::text, pg_catalog.substr(p.proname, 7)
    from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace join pg_catalog.pg_proc p on p.oid = t.tgfoid
    where t.tgname = $1 and p.proname ~ '^fence_' order by 1, 2";

/// A table that still has the identity which a move has set for its streams.
const IDENTITY: &str = "
    select relreplident in ('f', 'i') from pg_catalog.pg_class where oid = pg_catalog.to_regclass($1)";

/// Another database of the server in which a service has a slot: what belongs to the server may be that one's.
const ELSEWHERE: &str = "
    select database::text from pg_catalog.pg_replication_slots
    where database <> pg_catalog.current_database() and slot_name ~ ('^cleave_' || $1 || '_(forward|back)_[0-9]+(_d[0-9])?$') limit 1";

/// One database that was looked at.
struct Looked {
    site: Site,
    session: Session,
    rows: Vec<MoveRow>,
    /// An engine that runs moves here, for people.
    engine: Option<String>,
    has_journal: bool,
}

/// Looks at every database of cleave.toml; with `execute` drops what may be dropped.
///
/// # Errors
/// A server that fails while it is read; one that cannot be reached is told in the report.
pub async fn cleanup(
    topology: &Topology,
    execute: bool,
    events: &Events,
) -> Result<CleanupReport, EngineError> {
    let mut report = CleanupReport { executed: execute, ..CleanupReport::default() };
    let (mut looked, mut traces) = (Vec::new(), Traces::default());
    for database in &topology.config().databases {
        let site = topology.site(&database.name);
        match site {
            Ok(site) => match look(site, &mut traces).await {
                Ok(seen) => looked.push(seen),
                Err(error) => report.unseen.push(format!("{}: {}", database.name, error.problem().message)),
            },
            Err(error) => report.unseen.push(format!("{}: {}", database.name, error.problem().message)),
        }
    }
    traces.is_partial = !report.unseen.is_empty();
    // An open move of a service counts before one of the same name that has ended.
    traces.moves.sort_by_key(|known| known.standing != Standing::Open);
    for seen in &looked {
        let leftovers = leftovers(seen, &looked).await?;
        let mut items: Vec<CleanupItem> =
            leftovers.iter().map(|leftover| item(leftover, judge(leftover, &traces))).collect();
        if execute {
            execute_all(seen, &mut items, events).await?;
        }
        items.extend(for_people(seen, &traces).await?);
        report.items.extend(items);
    }
    Ok(report)
}

async fn look(site: Site, traces: &mut Traces) -> Result<Looked, EngineError> {
    let session = site.connect("cleanup").await?;
    let has_journal = cleave_journal::installed_version(&*session).await?.is_some();
    let (mut rows, mut engine) = (Vec::new(), None);
    if has_journal {
        rows = MoveRow::read_all(&*session).await?;
        engine =
            Lease::current(&*session).await?.filter(|lease| lease.expires_in_ms > 0).map(|lease| lease.label);
        let lines = session
            .query("select distinct service, move from cleave.journal", &[])
            .await
            .during("reading which moves there were")?;
        for line in lines {
            if let Ok(service) = ServiceName::parse(line.get(0)) {
                traces.journaled.insert((service, line.get(1)));
            }
        }
    }
    for row in &rows {
        traces.moves.push(MoveTrace {
            service: row.service.clone(),
            incarnation: row.id,
            sides: [row.source.clone(), row.target.clone()],
            standing: standing(row)?,
        });
    }
    Ok(Looked { site, session, rows, engine, has_journal })
}

fn standing(row: &MoveRow) -> Result<Standing, EngineError> {
    Ok(match row.state {
        MoveState::Cancelled => Standing::Cancelled,
        // A split is done inside one database, by triggers.
        MoveState::Done if row.is_split() => Standing::Done,
        MoveState::Done => {
            // A move inside one database has neither streams nor a fence.
            let Plan::Live(plan) = stored(row)? else { return Ok(Standing::Done) };
            match plan.bridge {
                _ if plan.whole.is_some() => Standing::DoneWhole,
                _ if plan.copy_kept => Standing::DoneWithCopy,
                BridgeKind::Forward | BridgeKind::Local => Standing::DoneWithBridge,
                BridgeKind::None => Standing::Done,
            }
        }
        _ => Standing::Open,
    })
}

async fn leftovers(seen: &Looked, all: &[Looked]) -> Result<Vec<Leftover>, EngineError> {
    let mut found = Vec::new();
    found.extend(named(seen, SLOTS, LeftoverKind::Slot).await?);
    found.extend(named(seen, PUBLICATIONS, LeftoverKind::Publication).await?);
    found.extend(named(seen, ORIGINS, LeftoverKind::Origin).await?);
    found.extend(named(seen, ROLES, LeftoverKind::Role).await?);
    for row in seen.session.query(FENCES, &[&labels::FENCE_TRIGGER]).await.during("looking for fences")? {
        let Ok(service) = ServiceName::parse(row.get(2)) else { continue };
        let table = QualifiedName::new(row.get::<_, &str>(0), row.get::<_, &str>(1));
        let kind = LeftoverKind::Fence(table, service);
        found.push(Leftover { database: seen.site.name.clone(), kind, used_by: None });
    }
    for row in all.iter().flat_map(|other| &other.rows).filter(|row| !row.state.is_open()) {
        found.extend(identities(seen, row).await?);
    }
    Ok(found)
}

/// Objects that a query names, with the process that uses each, if their names could be Cleave's.
async fn named(
    seen: &Looked,
    query: &str,
    kind: fn(String) -> LeftoverKind,
) -> Result<Vec<Leftover>, EngineError> {
    let mut found = Vec::new();
    for row in seen.session.query(query, &[]).await.during("looking for what moves have left")? {
        let kind = kind(row.get(0));
        if !is_our_name(&kind) {
            continue;
        }
        let used_by = match row.get::<_, Option<i32>>(1) {
            Some(pid) => Some(format!("process {pid}")),
            None => used_elsewhere(seen, &kind).await?,
        };
        found.push(Leftover { database: seen.site.name.clone(), kind, used_by });
    }
    Ok(found)
}

/// What belongs to the whole server may belong to a move of another database of it.
async fn used_elsewhere(seen: &Looked, kind: &LeftoverKind) -> Result<Option<String>, EngineError> {
    let service = match kind {
        LeftoverKind::Origin(name) => {
            let rest = name.strip_prefix("cleave_").unwrap_or(name);
            let cut = ["_forward", "_back", "_copy_"].into_iter().filter_map(|part| rest.rfind(part)).max();
            cut.map(|at| rest[..at].to_owned())
        }
        LeftoverKind::Role(name) => name.strip_prefix("cleave_bridge_").map(str::to_owned),
        _ => None,
    };
    let Some(service) = service else { return Ok(None) };
    let row =
        seen.session.query_opt(ELSEWHERE, &[&service]).await.during("looking at slots of other databases")?;
    Ok(row.map(|row| format!("a slot of {service} in database {}", row.get::<_, &str>(0))))
}

/// Tables whose replica identity a move that is over has set.
async fn identities(seen: &Looked, row: &MoveRow) -> Result<Vec<Leftover>, EngineError> {
    let mut found = Vec::new();
    if row.is_split() {
        return Ok(found);
    }
    let Plan::Live(plan) = stored(row)? else { return Ok(found) };
    for table in plan.row_tables().filter(|table| table.set_identity.is_some()) {
        let names = if seen.site.name == row.source {
            vec![table.source.qualified(), plan.left_behind(&table.source)]
        } else if seen.site.name == row.target {
            vec![table.target.qualified()]
        } else {
            Vec::new()
        };
        for name in names {
            let set =
                seen.session.query_opt(IDENTITY, &[&name.quoted()]).await.during("looking at identities")?;
            let kind = LeftoverKind::Identity(name, row.service.clone());
            let leftover = Leftover { database: seen.site.name.clone(), kind, used_by: None };
            if set.is_some_and(|row| row.get(0)) && !found.contains(&leftover) {
                found.push(leftover);
            }
        }
    }
    Ok(found)
}

fn item(leftover: &Leftover, verdict: Verdict) -> CleanupItem {
    let object = match &leftover.kind {
        LeftoverKind::Slot(name) => format!("slot {name}"),
        LeftoverKind::Publication(name) => format!("publication {name}"),
        LeftoverKind::Origin(name) => format!("replication origin {name}"),
        LeftoverKind::Fence(table, _) => format!("fence of {table}"),
        LeftoverKind::Identity(table, _) => format!("replica identity of {table}"),
        LeftoverKind::Role(name) => format!("role {name}"),
    };
    let (fate, why, sql) = match verdict {
        Verdict::InUse(why) => (CleanupFate::InUse, why, None),
        Verdict::Drop(why, sql) => (CleanupFate::Droppable, why, Some(sql)),
        Verdict::Person(why, sql) => (CleanupFate::ForAPerson, why, Some(sql)),
    };
    CleanupItem { database: leftover.database.to_string(), object, fate, why, sql }
}

/// Drops, with the lease of the database in hand: no engine may be about to make what is dropped.
async fn execute_all(seen: &Looked, items: &mut [CleanupItem], events: &Events) -> Result<(), EngineError> {
    let mut droppable = items.iter_mut().filter(|item| item.fate == CleanupFate::Droppable).peekable();
    if droppable.peek().is_none() {
        return Ok(());
    }
    if let Some(engine) = &seen.engine {
        for item in droppable {
            (item.fate, item.why) =
                (CleanupFate::InUse, format!("{engine} works on this database: stop it first"));
        }
        return Ok(());
    }
    let label = format!("cleave cleanup, pid {}", std::process::id());
    let mut leases =
        Leases::new(format!("cleanup/{}/{}", std::process::id(), seen.session.backend_pid()), label);
    leases.take(&seen.site).await?;
    for item in droppable {
        let Some(statement) = &item.sql else { continue };
        // A table may be in use: nobody waits behind us for long.
        let dropped = sql(&seen.session, &format!("set lock_timeout = '2s'; {statement}")).await;
        item.fate = match dropped {
            Ok(()) => CleanupFate::Dropped,
            Err(error) => {
                let problem = error.problem();
                item.why = problem.causes.first().unwrap_or(&problem.message).clone();
                CleanupFate::Failed
            }
        };
        events.note(None, format!("{}: {statement}", item.database));
    }
    leases.release().await;
    Ok(())
}

/// What was changed by hand for moves, where none is left that needs it.
async fn for_people(seen: &Looked, traces: &Traces) -> Result<Vec<CleanupItem>, EngineError> {
    let name = &seen.site.name;
    let mine: Vec<&MoveTrace> = traces.moves.iter().filter(|known| known.sides.contains(name)).collect();
    let is_needed = |known: &&MoveTrace| {
        matches!(known.standing, Standing::Open | Standing::DoneWithCopy | Standing::DoneWithBridge)
    };
    if mine.is_empty() || mine.iter().any(is_needed) {
        return Ok(Vec::new());
    }
    let row = seen
        .session
        .query_one(
            "select pg_catalog.current_setting('wal_level'),
                    (select count(*) from pg_catalog.pg_replication_slots where slot_type = 'logical'),
                    current_user::text,
                    (select rolreplication and not rolsuper from pg_catalog.pg_roles where rolname = current_user)",
            &[],
        )
        .await
        .during("reading settings")?;
    let (wal_level, slots, role, replicates): (String, i64, String, bool) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let person = |object: &str, why: &str, sql: String| CleanupItem {
        database: name.to_string(),
        object: object.to_owned(),
        fate: CleanupFate::ForAPerson,
        why: why.to_owned(),
        sql: Some(sql),
    };
    let mut items = Vec::new();
    if wal_level == "logical" && slots == 0 {
        let sql = "alter system set wal_level = replica; -- then restart the server";
        items.push(person(
            "wal_level",
            "no logical slot is left on the server; others may plan for one",
            sql.to_owned(),
        ));
    }
    if replicates {
        let sql = format!("alter role {} noreplication", cleave_model::quote_ident(&role));
        items.push(person(&format!("role {role}"), "Cleave's role needs REPLICATION no more", sql));
    }
    if seen.has_journal {
        let why = "no move needs it any more; it is the record of what was done";
        items.push(person("schema cleave", why, "drop schema cleave cascade".to_owned()));
    }
    Ok(items)
}
