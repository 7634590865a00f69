//! `upgrade`: a whole database to another server, until it could be used there, and how long nobody can write for it. Beside
//! `pg_dump | pg_restore`, for which writers have to be kept out all the time, and a native subscription with the schema made by
//! hand, whose switch is the runbook's: read-only, sessions ended, replayed.

use super::data::{Size, Source, expect_same, make};
use super::rivals::{self, Rival};
use super::{JOBS, Servers};
use crate::RUNS;
use crate::arena::{Entry, Failure, Metric, say};
use cleave_api::CutoverOutcome;
use cleave_config::Config;
use cleave_engine::{Answer, Events, Topology, Until, Verb};
use cleave_model::ServiceName;
use cleave_stream::cancellation;
use std::path::Path;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(900);

/// What one way took.
#[derive(Clone, Copy, Debug)]
struct Took {
    total_s: f64,
    pause_ms: f64,
}

/// Total time and pause against both.
pub(crate) async fn upgrade(_: &crate::arena::Arena) -> Result<Vec<Entry>, Failure> {
    let size = Size::from_environment()?;
    let servers = Servers::start().await?;
    let source = make(&servers.source, size).await?;
    let dump = rivals::all().await.into_iter().find(|rival| matches!(rival, Rival::Dump(_)));
    let (mut with_dump, mut with_native) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let name = format!("upgrade_{run}");
        let ours = in_fresh(&servers, &name, async |target| ours(&source, target).await).await?;
        let native = in_fresh(&servers, &name, async |target| native(&source, target).await).await?;
        say(&format!("upgrade, run {run}: Cleave {ours:?}, native {native:?}"));
        with_native.push((ours, native));
        if let Some(dump) = &dump {
            let theirs =
                in_fresh(&servers, &name, async |target| restored(dump, &source, target).await).await?;
            say(&format!("upgrade, run {run}: pg_dump and pg_restore {theirs:?}"));
            with_dump.push((ours, theirs));
        }
    }
    let mut entries = against("native subscription", &with_native);
    if let Some(dump) = dump {
        entries.extend(against(dump.name(), &with_dump));
    }
    entries.extend(large(&servers).await?);
    Ok(entries)
}

/// A catalog of 2,000 tables, 3,000 keys and 500 functions with hardly a row in it: what everything costs by the table.
async fn large(servers: &Servers) -> Result<Vec<Entry>, Failure> {
    let name = "upgrade_large";
    servers.source.create_database(name).await?;
    let source = servers.source.url(name);
    let client = cleave_sandbox::connect(&source).await?;
    for part in crate::large::schema() {
        client.batch_execute(&part).await?;
    }
    let (mut plans, mut totals, mut pauses) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=RUNS {
        in_fresh(servers, name, async |target| {
            let (topology, service) = topology(&source, target)?;
            let began = Instant::now();
            cleave_engine::plan(&topology, &service).await?;
            let plan_s = began.elapsed().as_secs_f64();
            let took = journey(&topology, &service, async || Ok(())).await?;
            say(&format!("upgrade of 2,000 tables, run {run}: planned in {plan_s:.1} s, {took:?}"));
            plans.push(plan_s);
            totals.push(took.total_s);
            pauses.push(took.pause_ms);
            Ok(took)
        })
        .await?;
    }
    let reason = "2,000 tables, hardly a row: measured to know what a table costs";
    let alone = |metric, unit, values| {
        Entry::alone("upgrade-large", "rival", (Metric::Cost(metric), unit), values, reason)
    };
    Ok(vec![alone("plan", "s", plans), alone("total", "s", totals), alone("pause", "ms", pauses)])
}

async fn in_fresh(
    servers: &Servers,
    name: &str,
    way: impl AsyncFnOnce(&str) -> Result<Took, Failure>,
) -> Result<Took, Failure> {
    let target = servers.fresh_target(name).await?;
    let took = way(&target).await?;
    servers.target.drop_database(name).await?;
    Ok(took)
}

fn against(rival: &str, runs: &[(Took, Took)]) -> Vec<Entry> {
    let of = |part: fn(&Took) -> f64| {
        runs.iter().map(|(ours, theirs)| (part(ours), part(theirs))).collect::<Vec<_>>()
    };
    vec![
        Entry::new("upgrade", rival, (Metric::Cost("total"), "s"), &of(|took| took.total_s)),
        Entry::new("upgrade", rival, (Metric::Cost("pause"), "ms"), &of(|took| took.pause_ms)),
    ]
}

async fn ours(source: &Source, target: &str) -> Result<Took, Failure> {
    let (topology, service) = topology(&source.url, target)?;
    journey(&topology, &service, async || expect_same(target, source, "public").await).await
}

fn topology(source: &str, target: &str) -> Result<(Topology, ServiceName), Failure> {
    let text = format!(
        "[databases]\nold = {{ url = {source:?} }}\nnew = {{ url = {target:?} }}\n[upgrade]\nfrom = \"old\"\nto = \"new\"\n\
         [limits]\njobs = {JOBS}\nwrite_pause = \"10s\"\n"
    );
    let config = Config::parse(&text, "cleave.toml").map_err(|errors| format!("{errors:?}"))?;
    Ok((Topology::new(config, &text, Path::new(".")), ServiceName::parse("upgrade")?))
}

/// `apply` until the target follows; the pause is the cutover's own. The comparison, which the rivals do not have, is made between
/// the two and counts for neither.
async fn journey(
    topology: &Topology,
    service: &ServiceName,
    check: impl AsyncFnOnce() -> Result<(), Failure>,
) -> Result<Took, Failure> {
    let (_keep, cancelled) = cancellation();
    let events = Events::silent();
    let began = Instant::now();
    cleave_engine::apply(topology, service, None, Until::Following, (&events, &cancelled)).await?;
    let total_s = began.elapsed().as_secs_f64();
    check().await?;
    let run = async |verb| cleave_engine::execute(topology, service, verb, &events, &cancelled).await;
    run(Verb::Verify).await?;
    let pause_ms = match run(Verb::Cutover { dry_run: false }).await? {
        Answer::Switch(report) if report.outcome == CutoverOutcome::Switched => report.pause_ms as f64,
        other => return Err(format!("the cutover did not switch: {other:?}").into()),
    };
    run(Verb::Rollback { dry_run: false }).await?;
    run(Verb::Cancel).await?;
    Ok(Took { total_s, pause_ms })
}

/// Nobody may write from the first row to the last index.
async fn restored(dump: &Rival, source: &Source, target: &str) -> Result<Took, Failure> {
    let total_s = dump.clone(source, target).await??;
    Ok(Took { total_s, pause_ms: total_s * 1000.0 })
}

async fn native(source: &Source, target: &str) -> Result<Took, Failure> {
    let began = Instant::now();
    rivals::subscribe(&source.url, target).await??;
    let total_s = began.elapsed().as_secs_f64();
    let client = cleave_sandbox::connect(&source.url).await?;
    client.batch_execute("set default_transaction_read_only = off").await?;
    let database: String = client.query_one("select quote_ident(current_database())", &[]).await?.get(0);
    let began = Instant::now();
    client
        .batch_execute(&format!("alter database {database} set default_transaction_read_only = on"))
        .await?;
    let end_sessions = "select pg_terminate_backend(pid) from pg_stat_activity
                        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";
    client.execute(end_sessions, &[]).await?;
    let end: String = client.query_one("select pg_current_wal_lsn()::text", &[]).await?.get(0);
    let replayed =
        "select coalesce(bool_and(confirmed_flush_lsn >= $1::text::pg_lsn), false) from pg_replication_slots
                    where database = current_database()";
    while !client.query_one(replayed, &[&end]).await?.get::<_, bool>(0) {
        if began.elapsed() > LIMIT {
            return Err("the subscription did not replay in time".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let pause_ms = began.elapsed().as_secs_f64() * 1000.0;
    client.batch_execute(&format!("alter database {database} reset default_transaction_read_only")).await?;
    expect_same(target, source, "public").await?;
    rivals::unsubscribe(&source.url, target).await?;
    Ok(Took { total_s, pause_ms })
}
