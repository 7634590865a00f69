//! Who still uses the old names: seen by role and application, told by `status`, and in the way of `complete`.

use super::servers::verified;
use super::stage::{House, SCHEMA, Stage, on, switched};
use cleave_api::BridgeStatus;
use cleave_engine::{Answer, EngineError, Events, Verb, Wishes};
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;

async fn bridge(stage: &Stage) -> Option<BridgeStatus> {
    let report = cleave_engine::status(&stage.topology(), Some(&stage.service())).await.unwrap();
    report.services.into_iter().next().unwrap().bridge
}

async fn complete(stage: &Stage, wishes: Wishes) -> Result<Answer, EngineError> {
    let (_canceller, cancelled) = cleave_stream::cancellation();
    let topology = stage.topology().wishing(wishes);
    cleave_engine::execute(&topology, &stage.service(), Verb::Complete, &Events::silent(), &cancelled).await
}

async fn followed(hint: &str) -> House {
    let house = House::between(Version::V16, Version::V18, hint).await;
    house.stage.apply().await.unwrap();
    verified(&house.stage).await;
    house
}

/// A client of the old names, as role `postgres`.
async fn client(url: &str, application: &str) -> tokio_postgres::Client {
    let client = cleave_sandbox::connect(url).await.unwrap();
    client
        .batch_execute(&format!("set application_name = '{application}'; select count(*) from film"))
        .await
        .unwrap();
    client
}

#[tokio::test]
async fn who_uses_the_bridge_is_told_and_keeps_complete_away_unless_the_operator_accepts_it() {
    let house = followed("bridge_use").await;
    let stage = &house.stage;
    assert_eq!(bridge(stage).await, None, "there is no bridge before the switch");
    switched(stage.cutover().await);
    assert_eq!(bridge(stage).await.unwrap().users, []);
    let clients = [client(&stage.m, "web shop").await, client(&stage.m, "web shop").await];
    let seen = bridge(stage).await.unwrap();
    let users: Vec<_> =
        seen.users.iter().map(|u| (u.role.as_str(), u.application.as_str(), u.sessions)).collect();
    assert_eq!((users, seen.watched_ms), (vec![("postgres", "web shop", 2)], None));
    let refused = stage.said(complete(stage, Wishes::default()).await);
    assert_eq!(
        refused,
        "C0733 exit 4: the old names are still used: postgres (web shop), 2 sessions now\n\
         hint: lead them to the new home first, or say --bridge-in-use: the bridge stays and serves them"
    );
    assert_eq!(stage.home().await, "products");
    let accepted = Wishes { bridge_in_use: true, ..Wishes::default() };
    complete(stage, accepted).await.unwrap();
    for client in &clients {
        client.batch_execute("select count(*) from film").await.unwrap();
    }
}

#[tokio::test]
async fn an_engine_that_runs_remembers_who_has_gone_and_forgets_it_with_the_next_switch() {
    let house = followed("bridge_seen").await;
    let stage = &house.stage;
    switched(stage.cutover().await);
    let running = stage.run();
    let gone = client(&stage.m, "nightly report").await;
    let kept = "select exists (select from cleave.bridge_use where application = 'nightly report')";
    stage.until(&stage.m, kept).await;
    drop(gone);
    let none_now = "select not exists (select from pg_stat_activity where usename ~ '^cleave_bridge_' and datname = current_database())";
    stage.until(&stage.n, none_now).await;
    let seen = bridge(stage).await.unwrap();
    assert!(seen.watched_ms.is_some());
    let [user] = seen.users.as_slice() else { panic!("{seen:?}") };
    assert_eq!((user.application.as_str(), user.sessions), ("nightly report", 0));
    running.stop().await;
    let refused = stage.said(complete(stage, Wishes::default()).await);
    assert!(
        refused.starts_with("C0733 exit 4: the old names are still used: postgres (nightly report), seen "),
        "{refused}"
    );
    switched(stage.rollback().await);
    verified(stage).await;
    switched(stage.cutover().await);
    assert_eq!(bridge(stage).await.unwrap().users, []);
    complete(stage, Wishes::default()).await.unwrap();
}

/// Before 15 postgres_fdw cannot say whose a session is.
#[tokio::test]
async fn a_server_that_does_not_tell_whose_a_session_is_still_counts_it() {
    let m = TestDatabase::create(Version::V14, "bridge_use_14").await.unwrap();
    let n = TestDatabase::create(Version::V18, "bridge_use_18").await.unwrap();
    let stage = Stage::new(&m.url(), &n.url());
    stage.on_m(SCHEMA).await;
    stage.apply().await.unwrap();
    verified(&stage).await;
    switched(stage.cutover().await);
    let _client = client(&stage.m, "web shop").await;
    on(&stage.m, "select 1").await;
    let seen = bridge(&stage).await.unwrap();
    let users: Vec<_> =
        seen.users.iter().map(|u| (u.role.as_str(), u.application.as_str(), u.sessions)).collect();
    assert_eq!(users, [("unknown", "unknown", 1)]);
}
