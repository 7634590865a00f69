//! Reading waits while the home has too much to do.

use crate::sides::{Sides, table};
use cleave_sandbox::{Version, connect};
use cleave_verify::{Busy, LoadLimits, VerifyLimits, VerifyProgress, VerifySpec, verify};
use std::sync::{Arc, Mutex};

/// Sessions that have something to do.
const WORKING: i64 = 30;

fn limits(load: LoadLimits) -> VerifyLimits {
    VerifyLimits { load, ..VerifyLimits::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_waits_until_sessions_and_slots_are_below_their_limits() {
    let sides = Sides::create(Version::V14, Version::V18, "busy").await;
    sides.both("create table film (id int primary key); insert into film values (1)").await;
    // More than other tests have on this server at a time.
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..WORKING {
        let busy = connect(&sides.home_url).await.unwrap();
        working.spawn(async move { busy.batch_execute("select pg_sleep(600)").await });
    }
    let works = "select count(*) from pg_stat_activity
        where datname = current_database() and state = 'active' and pid <> pg_backend_pid()";
    while sides.home.query_one(works, &[]).await.unwrap().get::<_, i64>(0) < WORKING {
        tokio::task::yield_now().await;
    }
    let (waits, mut waiting) = tokio::sync::watch::channel(None);
    let load = LoadLimits { sessions_max: Some(WORKING as u32 - 5), lag_bytes_max: None };
    let spec = VerifySpec { limits: limits(load), ..sides.spec(vec![table("film", &["id"], 1)]) };
    let running = tokio::spawn(async move {
        verify(spec, move |event| {
            if let VerifyProgress::Waiting { busy, .. } = event {
                waits.send_replace(Some(busy));
            }
        })
        .await
    });
    // Whoever waits is told why; then the sessions end, and with them the wait.
    waiting.wait_for(Option::is_some).await.unwrap();
    let Some(Busy::Sessions(sessions)) = *waiting.borrow() else { panic!("it waits for sessions") };
    assert!(sessions >= WORKING as u64);
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and query like '%pg_sleep%'";
    sides.home.batch_execute(end).await.unwrap();
    while let Some(ended) = working.join_next().await {
        assert!(ended.unwrap().is_err());
    }
    assert!(running.await.unwrap().unwrap().is_clean());
}

#[tokio::test]
async fn reading_does_not_wait_below_the_limits_nor_for_a_slot_that_nobody_reads() {
    let sides = Sides::create(Version::V18, Version::V14, "calm").await;
    sides.both("create table film (id int primary key); insert into film values (1)").await;
    let slot: String = sides.home.query_one("select current_database()::text", &[]).await.unwrap().get(0);
    let make = format!("select pg_create_physical_replication_slot('{slot}', true)");
    sides.home.batch_execute(&make).await.unwrap();
    let waited = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&waited);
    let load = LoadLimits { sessions_max: Some(10_000), lag_bytes_max: Some(1 << 40) };
    let spec = VerifySpec { limits: limits(load), ..sides.spec(vec![table("film", &["id"], 1)]) };
    let outcome = verify(spec, move |event| {
        if matches!(event, VerifyProgress::Waiting { .. }) {
            *seen.lock().unwrap() = true;
        }
    })
    .await
    .unwrap();
    assert!(outcome.is_clean() && !*waited.lock().unwrap());
    sides.home.batch_execute(&format!("select pg_drop_replication_slot('{slot}')")).await.unwrap();
}

#[tokio::test]
async fn a_role_that_may_not_see_the_load_is_refused_where_limits_are_set() {
    let sides = Sides::create(Version::V14, Version::V18, "unseen").await;
    sides.both("create table film (id int primary key)").await;
    let role = format!("loadless_{}", std::process::id());
    sides
        .home
        .batch_execute(&format!("create role {role} login password 'x'; grant select on film to {role}"))
        .await
        .unwrap();
    let home = cleave_pg::Endpoint::parse(&sides.home_url).unwrap().with_user(&role, "x");
    let load = LoadLimits { sessions_max: Some(5), lag_bytes_max: None };
    let spec = |load| VerifySpec {
        home: home.clone(),
        limits: limits(load),
        ..sides.spec(vec![table("film", &["id"], 1)])
    };
    assert_eq!(verify(spec(load), |_| {}).await.unwrap_err().code(), "C0616");
    assert!(verify(spec(LoadLimits::default()), |_| {}).await.unwrap().is_clean());
    sides.home.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
}
