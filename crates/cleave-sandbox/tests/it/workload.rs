//! Workload and oracle on real servers: what applications are told, and what is really there.

use std::time::Duration;

use cleave_sandbox::{
    Cluster, Endpoint, Fault, Kind, Options, Oracle, Pace, Random, Script, Session, SqlScript, StopMode,
    Token, Version, Workload, connect,
};
use cleave_testkit::{Proxy, TestDatabase};

const LIMIT: Duration = Duration::from_secs(60);

const SCHEMA: &str =
    "create table film (id bigint primary key, title text not null, rentals bigint not null);
    insert into film select n, 'film ' || n, 0 from generate_series(1, 100) n;
    create table film_token (token bigint not null);
    create table payment_token (token bigint not null)";

async fn database(version: Version, hint: &str) -> TestDatabase {
    let database = TestDatabase::create(version, hint).await.unwrap();
    database.connect().await.unwrap().batch_execute(SCHEMA).await.unwrap();
    database
}

fn endpoint(database: &TestDatabase) -> Endpoint {
    Endpoint::new("monolith", database.url())
}

fn fast(connections: u32) -> Pace {
    Pace { connections, rate: None, patience: LIMIT, seed: 7 }
}

fn oracle(url: &str) -> Oracle {
    Oracle::new()
        .place("films", url, "select token from film_token")
        .place("payments", url, "select token from payment_token")
        .home(Kind::SINGLE, &["films"])
        .home(Kind::PAIR, &["films", "payments"])
}

fn applications() -> SqlScript {
    SqlScript::new()
        .transaction(
            4,
            Kind::SINGLE,
            &[
                "select title from film where id = $random(1,100)",
                "update film set rentals = rentals + 1 where id = $random(1,100)",
                "insert into film_token values ($token)",
            ],
        )
        .unwrap()
        .transaction(
            2,
            Kind::PAIR,
            &["insert into payment_token values ($token)", "insert into film_token values ($token)"],
        )
        .unwrap()
        .transaction(
            1,
            Kind::SINGLE,
            &[
                "insert into film values ($token, 'new', 0)",
                "delete from film where id = $token",
                "insert into film_token values ($token)",
            ],
        )
        .unwrap()
}

async fn check_all_acknowledged_are_found(version: Version) {
    let database = database(version, "workload").await;
    let workload = Workload::start(&endpoint(&database), applications(), &fast(4)).await.unwrap();
    assert!(workload.wait_for(300, LIMIT).await, "{:?}", workload.total());
    let record = workload.stop().await.unwrap();
    let verdict = oracle(&database.url()).check(&[&record]).await.unwrap();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert!(verdict.acknowledged >= 300);
    assert_eq!(verdict.found, verdict.acknowledged);
    assert_eq!((verdict.refused, verdict.unknown), (0, 0), "{:?}", record.errors);
    assert_eq!(record.total.latencies.count(), verdict.acknowledged);
    assert!(record.total.longest_gap >= Duration::from_nanos(1));
    let pairs = record.acknowledged.iter().filter(|(_, kind)| *kind == Kind::PAIR).count();
    assert!(pairs > 0 && pairs < record.acknowledged.len());
}

#[tokio::test]
async fn every_acknowledged_transaction_is_found_on_14() {
    check_all_acknowledged_are_found(Version::V14).await;
}

#[tokio::test]
async fn every_acknowledged_transaction_is_found_on_15() {
    check_all_acknowledged_are_found(Version::V15).await;
}

#[tokio::test]
async fn every_acknowledged_transaction_is_found_on_16() {
    check_all_acknowledged_are_found(Version::V16).await;
}

#[tokio::test]
async fn every_acknowledged_transaction_is_found_on_17() {
    check_all_acknowledged_are_found(Version::V17).await;
}

#[tokio::test]
async fn every_acknowledged_transaction_is_found_on_18() {
    check_all_acknowledged_are_found(Version::V18).await;
}

#[tokio::test]
async fn the_oracle_sees_what_was_taken_away_and_what_was_doubled() {
    let database = database(Version::V16, "planted").await;
    let workload = Workload::start(&endpoint(&database), applications(), &fast(2)).await.unwrap();
    assert!(workload.wait_for(50, LIMIT).await);
    let mut record = workload.stop().await.unwrap();

    let client = database.connect().await.unwrap();
    let (lost, _) = record.acknowledged[10];
    let (doubled, _) = record.acknowledged[20];
    let (risen, _) = record.acknowledged.pop().unwrap();
    client.execute("delete from film_token where token = $1", &[&lost.value()]).await.unwrap();
    client.execute("insert into film_token values ($1)", &[&doubled.value()]).await.unwrap();
    client.execute("insert into film_token values (1)", &[]).await.unwrap();
    record.refused.push(risen);

    let verdict = oracle(&database.url()).check(&[&record]).await.unwrap();
    let mut findings: Vec<_> = verdict.findings.iter().map(|each| (each.token, each.fault)).collect();
    findings.sort_by_key(|(token, _)| *token);
    let mut expected = [(lost, Fault::Lost), (doubled, Fault::Duplicated), (risen, Fault::Risen)];
    expected.sort_by_key(|(token, _)| *token);
    assert_eq!(findings, expected);
    assert_eq!((verdict.lost, verdict.duplicated, verdict.risen), (1, 1, 1));
}

/// Updates two hot rows in either order, serializable: 40001 and 40P01 in plenty.
struct Contended;

impl Script for Contended {
    async fn run(
        &self,
        session: &mut Session,
        token: Token,
        random: &mut Random,
    ) -> Result<Kind, tokio_postgres::Error> {
        session.execute("set transaction isolation level repeatable read", &[]).await?;
        let (first, second) = if random.bool() { (1_i64, 2_i64) } else { (2, 1) };
        for id in [first, second] {
            session.execute("update film set rentals = rentals + 1 where id = $1", &[&id]).await?;
        }
        session.execute("insert into film_token values ($1)", &[&token.value()]).await?;
        Ok(Kind::SINGLE)
    }
}

#[tokio::test]
async fn serialization_failures_and_deadlocks_are_repeated_with_the_same_token() {
    for version in Version::ALL {
        let database = database(version, "contended").await;
        let url = format!("{}?options=-c%20deadlock_timeout%3D5ms", database.url());
        let workload = Workload::start(&Endpoint::new("monolith", url), Contended, &fast(6)).await.unwrap();
        assert!(workload.wait_for(100, LIMIT).await, "{:?}", workload.total());
        let record = workload.stop().await.unwrap();
        let verdict = oracle(&database.url()).check(&[&record]).await.unwrap();
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!(verdict.refused, 0, "{:?}", record.errors);
        assert!(verdict.retried > 0);
        let repeated = ["40001", "40P01"].map(|code| record.errors.get(code).map_or(0, |error| error.count));
        assert_eq!(repeated.iter().sum::<u64>(), verdict.retried, "{:?}", record.errors);
        let client = database.connect().await.unwrap();
        let rentals: i64 =
            client.query_one("select rentals from film where id = 1", &[]).await.unwrap().get(0);
        assert_eq!(rentals.cast_unsigned(), verdict.acknowledged);
    }
}

#[tokio::test]
async fn a_failing_transaction_is_refused_once_and_leaves_nothing() {
    let database = database(Version::V15, "refused").await;
    let script = SqlScript::new()
        .transaction(1, Kind::SINGLE, &["insert into film_token values ($token)"])
        .unwrap()
        .transaction(
            1,
            Kind::SINGLE,
            &["insert into film_token values ($token)", "insert into film values (1, 'again', 0)"],
        )
        .unwrap();
    let workload = Workload::start(&endpoint(&database), script, &fast(2)).await.unwrap();
    assert!(workload.wait_for(50, LIMIT).await);
    let record = workload.stop().await.unwrap();
    let verdict = oracle(&database.url()).check(&[&record]).await.unwrap();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert!(verdict.refused > 0);
    let sample = &record.errors["23505"];
    assert_eq!(sample.count, verdict.refused);
    assert_eq!(sample.message, "duplicate key value violates unique constraint \"film_pkey\"");
    assert_eq!(record.reconnects, 0);
}

/// Goes on after an error: COMMIT answers with success, and nothing was committed.
struct Careless;

impl Script for Careless {
    async fn run(
        &self,
        session: &mut Session,
        token: Token,
        _random: &mut Random,
    ) -> Result<Kind, tokio_postgres::Error> {
        session.execute("insert into film_token values ($1)", &[&token.value()]).await?;
        drop(session.execute("select 1 / 0", &[]).await);
        Ok(Kind::SINGLE)
    }
}

#[tokio::test]
async fn a_script_that_hides_an_error_is_not_acknowledged() {
    let database = database(Version::V14, "careless").await;
    let workload = Workload::start(&endpoint(&database), Careless, &fast(1)).await.unwrap();
    while workload.total().refused < 10 {
        tokio::task::yield_now().await;
    }
    let record = workload.stop().await.unwrap();
    assert!(record.acknowledged.is_empty());
    let verdict = oracle(&database.url()).check(&[&record]).await.unwrap();
    assert!(verdict.is_clean(), "{verdict:?}");
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_crashes_and_writers_come_back() {
    let cluster = Cluster::start(Version::V17, &Options::new()).await.unwrap();
    let url = cluster.url("postgres");
    connect(&url).await.unwrap().batch_execute(SCHEMA).await.unwrap();
    let workload =
        Workload::start(&Endpoint::new("monolith", url.clone()), applications(), &fast(6)).await.unwrap();
    for mode in [StopMode::Immediate, StopMode::Fast, StopMode::Immediate] {
        assert!(workload.wait_for(100, LIMIT).await, "{:?}", workload.total());
        cluster.stop(mode).await.unwrap();
        workload.lap();
        cluster.restart().await.unwrap();
        assert!(workload.wait_for(1, LIMIT).await, "{:?}", workload.total());
        assert!(workload.lap().longest_gap > Duration::from_millis(5));
    }
    assert!(workload.wait_for(100, LIMIT).await, "{:?}", workload.total());
    let record = workload.stop().await.unwrap();
    let verdict = oracle(&url).check(&[&record]).await.unwrap();
    assert!(verdict.is_clean(), "{verdict:?} {:?}", record.errors);
    assert!(verdict.refused + verdict.unknown > 0, "no transaction was interrupted: {:?}", record.errors);
    assert!(record.reconnects >= 6);
}

#[tokio::test]
async fn a_network_that_cuts_and_swallows_leaves_transactions_unknown_but_none_lost() {
    let database = database(Version::V16, "network").await;
    let target = std::net::SocketAddr::from(([127, 0, 0, 1], database.cluster().port()));
    let proxy = Proxy::start(target).await.unwrap();
    let endpoint = Endpoint::new("monolith", proxy.url(&database.url()).unwrap());
    // Only COMMIT is on the wire most of the time, so that most outages fall into it.
    let pace = Pace { connections: 8, rate: None, patience: Duration::from_millis(700), seed: 3 };
    let script =
        SqlScript::new().transaction(1, Kind::SINGLE, &["insert into film_token values ($token)"]).unwrap();
    let workload = Workload::start(&endpoint, script, &pace).await.unwrap();
    for _ in 0..3 {
        assert!(workload.wait_for(50, LIMIT).await, "{:?}", workload.total());
        let before = workload.total();
        proxy.black_hole();
        while workload.total().unknown + workload.total().refused < before.unknown + before.refused + 8 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.heal();
        assert!(workload.wait_for(50, LIMIT).await, "{:?}", workload.total());
        proxy.cut();
        while workload.total().unknown + workload.total().refused < before.unknown + before.refused + 16 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.heal();
    }
    assert!(workload.wait_for(50, LIMIT).await, "{:?}", workload.total());
    let record = workload.stop().await.unwrap();
    let verdict = oracle(&database.url()).check(&[&record]).await.unwrap();
    assert!(verdict.is_clean(), "{verdict:?} {:?}", record.errors);
    assert!(verdict.unknown > 0, "{:?}", record.errors);
    assert!(record.errors.contains_key("timeout"), "{:?}", record.errors);
}

#[tokio::test]
async fn a_fence_shows_as_the_longest_gap_of_its_lap() {
    let database = database(Version::V18, "gap").await;
    let pace = Pace { connections: 2, rate: Some(400), patience: LIMIT, seed: 1 };
    let workload = Workload::start(&endpoint(&database), applications(), &pace).await.unwrap();
    assert!(workload.wait_for(50, LIMIT).await);
    let mut client = database.connect().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("lock table film_token in access exclusive mode").await.unwrap();
    workload.lap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    transaction.commit().await.unwrap();
    assert!(workload.wait_for(50, LIMIT).await);
    let fenced = workload.lap();
    assert!(fenced.longest_gap >= Duration::from_millis(290), "{:?}", fenced.longest_gap);
    assert!(fenced.latencies.max() >= Duration::from_millis(250), "{:?}", fenced.latencies.max());
    let record = workload.stop().await.unwrap();
    assert!(record.total.longest_gap >= fenced.longest_gap);
    assert_eq!((record.total.refused, record.total.unknown), (0, 0));
}

#[tokio::test]
async fn the_rate_is_kept_and_can_be_changed() {
    let database = database(Version::V16, "rate").await;
    let pace = Pace { connections: 3, rate: Some(50), patience: LIMIT, seed: 1 };
    let workload = Workload::start(&endpoint(&database), applications(), &pace).await.unwrap();
    let start = std::time::Instant::now();
    assert!(workload.wait_for(40, LIMIT).await);
    // 50 a second: 40 cannot have been done in less than 0.7 s, the backlog of 100 ms and the first turns included.
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    workload.set_rate(None);
    assert!(workload.wait_for(500, LIMIT).await);
    workload.stop().await.unwrap();
}

/// Writes where the connection leads: the tables have another name in the new home.
struct Repointed;

impl Script for Repointed {
    async fn run(
        &self,
        session: &mut Session,
        token: Token,
        _random: &mut Random,
    ) -> Result<Kind, tokio_postgres::Error> {
        let (sql, kind) = match session.place() {
            "monolith" => ("insert into film_token values ($1)", Kind::SINGLE),
            _ => ("insert into payment_token values ($1)", Kind::new("moved")),
        };
        session.execute(sql, &[&token.value()]).await?;
        Ok(kind)
    }
}

#[tokio::test]
async fn connections_can_be_moved_to_another_database_while_they_write() {
    let (old, new) = (database(Version::V14, "old").await, database(Version::V18, "new").await);
    let workload = Workload::start(&endpoint(&old), Repointed, &fast(4)).await.unwrap();
    assert!(workload.wait_for(50, LIMIT).await);
    let products = Endpoint::new("products", new.url());
    workload.repoint(0, &products);
    assert!(workload.wait_for(50, LIMIT).await);
    workload.repoint_all(&products);
    let count = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    let observer = old.connect().await.unwrap();
    while observer.query_one(count, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::task::yield_now().await;
    }
    assert!(workload.wait_for(50, LIMIT).await);
    let record = workload.stop().await.unwrap();
    let verdict = Oracle::new()
        .place("monolith", old.url(), "select token from film_token")
        .place("products", new.url(), "select token from payment_token")
        .home(Kind::SINGLE, &["monolith"])
        .home(Kind::new("moved"), &["products"])
        .check(&[&record])
        .await
        .unwrap();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.refused, verdict.unknown), (0, 0), "{:?}", record.errors);
    assert!(record.acknowledged.iter().any(|(_, kind)| *kind == Kind::new("moved")));
}
