//! A copy that pauses because a server has too much to do.

use crate::trouble::stage::{SCHEMA, Stage};
use cleave_sandbox::{Cluster, Options, Version, connect};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const WORKS: &str =
    "select count(*) = 3 from pg_stat_activity where state = 'active' and query like 'select pg_sleep(6%'";

async fn waits(stage: &Stage) -> Option<String> {
    let report = cleave_engine::status(&stage.topology(), None).await.unwrap();
    report.services.into_iter().find_map(|service| service.copy?.waits)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_pauses_says_why_in_status_and_goes_on_by_itself() {
    // Sessions of other tests would be counted on a shared server.
    let cluster = Cluster::start(Version::V17, &Options::new()).await.unwrap();
    cluster.create_database("shop").await.unwrap();
    cluster.create_database("films").await.unwrap();
    let stage = Stage::new(&cluster.url("shop"), &cluster.url("films"))
        .with("[limits]", "[limits]\ncopy_max_sessions = 2");
    stage.on_m(SCHEMA).await;
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let session = connect(&cluster.url("shop")).await.unwrap();
        working.spawn(async move { session.batch_execute("select pg_sleep(600)").await });
    }
    stage.until(&stage.m, WORKS).await;
    let applying = tokio::spawn({
        let stage = stage.clone();
        async move { stage.apply().await.map(drop) }
    });
    let said = tokio::time::timeout(LIMIT, async {
        loop {
            if let Some(said) = waits(&stage).await {
                return said;
            }
        }
    });
    assert_eq!(said.await.expect("it does not wait"), "3 sessions work on the source");
    assert!(!applying.is_finished());
    working.shutdown().await;
    stage
        .on_m("select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(6%'")
        .await;
    tokio::time::timeout(LIMIT, applying).await.expect("it does not go on").unwrap().unwrap();
    assert_eq!(waits(&stage).await, None);
    stage
        .until(
            &stage.m,
            "select array_agg(detail ->> 'waits' order by id) = array['3 sessions work on the source', null]
             from cleave.journal where step = 'copy' and event = 'note'",
        )
        .await;
}
