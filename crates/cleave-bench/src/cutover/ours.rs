//! Cleave's switches: cutover and rollback in turn, with the engine running between them.

use super::library::{self, COMMITS_BETWEEN, longest_gap_ms, written};
use super::{Switched, tokens_of};
use crate::arena::{Arena, Failure, say};
use cleave_api::CutoverOutcome;
use cleave_config::Config;
use cleave_engine::{Answer, Engine, Events, Topology, Verb};
use cleave_model::ServiceName;
use cleave_sandbox::{Endpoint, Kind, Oracle, Workload, connect};
use cleave_stream::cancellation;
use std::path::Path;

/// A switch that undid itself is tried again so often.
const ATTEMPTS: u32 = 10;

/// Switches there and back, an even number of times.
pub(super) async fn run(arena: &Arena, database: &str, switches: u32) -> Result<Switched, Failure> {
    arena.source.create_database(database).await?;
    arena.target.create_database(database).await?;
    let (m, n) = (arena.source.url(database), arena.target.url(database));
    connect(&m).await?.batch_execute(library::MOVED).await?;
    let text = format!(
        "[databases]\nmonolith = {{ url = {m:?} }}\nbooks = {{ url = {n:?} }}\n\
         [services.library]\nhome = \"books/library\"\ntables = [\"public.*\"]\ncopies = [\"monolith/library_copy\"]\n\
         bridge = \"forward\"\n"
    );
    let topology = Topology::new(Config::parse(&text, "cleave.toml")?, &text, Path::new("/"));
    let service = ServiceName::parse("library")?;
    let (_canceller, cancelled) = cancellation();
    let mut engine = Engine::new(topology, Events::silent(), cancelled);
    engine.execute(&service, Verb::Apply(None)).await?;
    let writers = library::writers(&Endpoint::new("monolith", &m)).await?;
    let mut gaps_ms = Vec::new();
    let mut aborted = 0;
    for switch in 0..switches {
        let verb = if switch % 2 == 0 {
            // Each home needs its own comparison before the next cutover; no writer waits for it.
            engine.execute(&service, Verb::Verify).await?;
            Verb::Cutover { dry_run: false }
        } else {
            Verb::Rollback { dry_run: false }
        };
        between(&mut engine, &writers).await?;
        let gap = one(&mut engine, &service, &verb, &writers, &mut aborted).await?;
        gaps_ms.push(gap);
    }
    let record = writers.stop().await?;
    if aborted > 0 {
        say(&format!("cutover: {aborted} switches undid themselves and were tried again"));
    }
    let verdict = Oracle::new()
        .place("book", &m, tokens_of("public.book"))
        .place("review", &m, tokens_of("public.review"))
        .home(Kind::new("book"), &["book"])
        .home(Kind::new("review"), &["review"])
        .home(Kind::new("both"), &["review"])
        .check(&[&record])
        .await?;
    engine.execute(&service, Verb::Cancel).await?;
    engine.close().await;
    let per_second = record.total.acknowledged as f64;
    Ok(Switched {
        gaps_ms,
        refused: verdict.refused,
        lost: verdict.lost + verdict.duplicated,
        acknowledged: per_second,
    })
}

/// Lets the writers write, with the engine running.
async fn between(engine: &mut Engine, writers: &Workload) -> Result<(), Failure> {
    tokio::select! {
        written = written(writers, COMMITS_BETWEEN) => written,
        ended = engine.run() => Ok(ended?),
    }
}

/// One switch, however many attempts it takes; the gap is the longest of them all.
async fn one(
    engine: &mut Engine,
    service: &ServiceName,
    verb: &Verb,
    writers: &Workload,
    aborted: &mut u32,
) -> Result<f64, Failure> {
    writers.lap();
    for _ in 0..ATTEMPTS {
        match engine.execute(service, verb.clone()).await {
            Ok(Answer::Switch(report)) if report.outcome == CutoverOutcome::Switched => {
                return longest_gap_ms(writers).await;
            }
            Ok(_) => {}
            Err(error) if error.code() == "C0702" || error.code() == "C0703" => {}
            Err(error) => return Err(error.into()),
        }
        *aborted += 1;
        between(engine, writers).await?;
    }
    Err(format!("{ATTEMPTS} attempts at a switch undid themselves").into())
}
