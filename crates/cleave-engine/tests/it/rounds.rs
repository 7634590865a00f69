//! Many rounds: ids stay unique and rise, and nothing grows.

use crate::cinema::{Cinema, number};
use cleave_api::CutoverOutcome;
use cleave_engine::{Answer, Engine, Verb};
use cleave_sandbox::Version;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_postgres::Client;

const LOAD_LIMIT: Duration = Duration::from_secs(60);

async fn switch(engine: &mut Engine, cinema: &Cinema, verb: Verb) {
    let answer = engine.execute(&cinema.films(), verb).await.unwrap();
    let Answer::Switch(report) = answer else { panic!("{answer:?}") };
    assert_eq!(report.outcome, CutoverOutcome::Switched, "{report:?}");
}

async fn cutover(engine: &mut Engine, cinema: &Cinema) {
    engine.execute(&cinema.films(), Verb::Verify).await.unwrap();
    switch(engine, cinema, Verb::Cutover { dry_run: false }).await;
}

async fn rollback(engine: &mut Engine, cinema: &Cinema) {
    switch(engine, cinema, Verb::Rollback { dry_run: false }).await;
}

/// A session that stays open, with what it was given so far.
struct Writer {
    client: Client,
    table: &'static str,
    ids: Vec<i64>,
}

impl Writer {
    fn new(client: Client, table: &'static str) -> Self {
        Self { client, table, ids: Vec::new() }
    }

    async fn insert(&mut self) {
        let sql = format!("insert into {} (title) values ('round') returning id", self.table);
        self.ids.push(number(&self.client, &sql).await);
    }
}

async fn check_ids(from: Version, to: Version) {
    let cinema = Cinema::new(from, to, "forward").await;
    cinema.on_m().await.batch_execute("alter sequence film_id_seq cache 50").await.unwrap();
    let (mut engine, _canceller) = cinema.engine();
    engine.execute(&cinema.films(), Verb::Apply(None)).await.unwrap();
    let mut by_old_name =
        [Writer::new(cinema.on_m().await, "public.film"), Writer::new(cinema.on_m().await, "public.film")];
    let mut at_home = Writer::new(cinema.on_n().await, "films.film");
    for _ in 0..3 {
        for writer in &mut by_old_name {
            writer.insert().await;
            writer.insert().await;
        }
        cutover(&mut engine, &cinema).await;
        for writer in by_old_name.iter_mut().chain([&mut at_home]) {
            writer.insert().await;
            writer.insert().await;
        }
        rollback(&mut engine, &cinema).await;
    }
    for writer in &mut by_old_name {
        writer.insert().await;
    }
    let mut all: BTreeSet<i64> = BTreeSet::new();
    for writer in by_old_name.iter().chain([&at_home]) {
        assert!(
            writer.ids.is_sorted(),
            "an id went backwards in a session of {}: {:?}",
            writer.table,
            writer.ids
        );
        all.extend(&writer.ids);
    }
    assert_eq!(all.len(), 3 * (2 * 2 + 3 * 2) + 2, "ids collided");
    let rows = number(&cinema.on_m().await, "select count(*) from public.film where title = 'round'").await;
    assert_eq!(usize::try_from(rows).unwrap(), all.len());
    engine.close().await;
}

#[tokio::test]
async fn ids_stay_unique_and_rise_in_each_session_though_sessions_have_cached_some() {
    check_ids(Version::V14, Version::V18).await;
    check_ids(Version::V18, Version::V14).await;
}

/// What rounds could leave behind on a side.
#[derive(Debug, PartialEq)]
struct Footprint {
    relations: i64,
    slots: i64,
    origins: i64,
    roles: i64,
    rows: i64,
    journal: i64,
}

async fn footprint(client: &Client, service: &str) -> Footprint {
    let of = |sql: &str| sql.replace("SERVICE", service);
    let kept = "select (select count(*) from cleave.owner) + (select count(*) from cleave.position)
                + (select count(*) from cleave.copied) + (select count(*) from cleave.work)";
    Footprint {
        relations: number(client, "select count(*) from pg_class where relpersistence = 'p'").await,
        slots: number(
            client,
            "select count(*) from pg_replication_slots where database = current_database()",
        )
        .await,
        origins: number(
            client,
            &of("select count(*) from pg_replication_origin where roname like '%SERVICE%'"),
        )
        .await,
        roles: number(client, &of("select count(*) from pg_roles where rolname like '%SERVICE%'")).await,
        rows: number(client, kept).await,
        journal: number(client, "select count(*) from cleave.journal").await,
    }
}

/// Memory that this process has now, in KiB.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Bytes of the catalogs once their dead rows may be used again.
async fn catalog_bytes(client: &Client) -> i64 {
    const CATALOGS: [&str; 6] =
        ["pg_class", "pg_attribute", "pg_type", "pg_depend", "pg_foreign_table", "pg_trigger"];
    let mut bytes = 0;
    for catalog in CATALOGS {
        client.batch_execute(&format!("vacuum pg_catalog.{catalog}")).await.unwrap();
        bytes += number(client, &format!("select pg_relation_size('pg_catalog.{catalog}')")).await;
    }
    bytes
}

#[tokio::test]
async fn many_rounds_under_load_refuse_nobody_and_leave_nothing_behind() {
    let full = std::env::var("CLEAVE_TEST_FULL").is_ok_and(|full| full == "1");
    let (rounds, rate) = if full { (100, 1000) } else { (4, 150) };
    let cinema = Cinema::new(Version::V14, Version::V18, "forward").await;
    let (mut engine, _canceller) = cinema.engine();
    let workload = cinema.writers(rate).await;
    engine.execute(&cinema.films(), Verb::Apply(None)).await.unwrap();
    let (m, n, service) = (cinema.on_m().await, cinema.on_n().await, cinema.films());
    let mut first = None;
    for round in 0..rounds {
        cutover(&mut engine, &cinema).await;
        assert!(workload.wait_for(30, LOAD_LIMIT).await, "writers stand still after a cutover");
        rollback(&mut engine, &cinema).await;
        assert!(workload.wait_for(30, LOAD_LIMIT).await, "writers stand still after a rollback");
        if round == 1 {
            let sides = (footprint(&m, service.as_str()).await, footprint(&n, service.as_str()).await);
            first = Some((sides, catalog_bytes(&m).await, resident_kib()));
        }
    }
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    cinema.check(&record, false).await;

    let ((first_m, first_n), first_bytes, first_kib) = first.unwrap();
    let (last_m, last_n) = (footprint(&m, service.as_str()).await, footprint(&n, service.as_str()).await);
    for (first, last) in [(&first_m, &last_m), (&first_n, &last_n)] {
        // The journal is the one thing that is meant to grow: by a bounded number of lines a round.
        assert!(last.journal - first.journal <= 60 * (rounds - 2), "{first:?} {last:?}");
        assert_eq!(Footprint { journal: 0, ..*last }, Footprint { journal: 0, ..*first });
    }
    let grown = catalog_bytes(&m).await - first_bytes;
    assert!(grown <= first_bytes, "catalogs grew by {grown} bytes from {first_bytes}");
    let grown_kib = resident_kib() - first_kib;
    assert!(grown_kib < 128 << 10, "memory grew by {grown_kib} KiB");
    engine.close().await;
}
