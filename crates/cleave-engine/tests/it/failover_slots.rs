//! Slots that survive the promotion of a standby, where cleave.toml wants them.

use crate::trouble::stage::{House, Stage};
use cleave_sandbox::Version;

fn with_failover_slots(stage: &Stage) -> Stage {
    let on = |stage: &Stage, name: &str| {
        stage.with(&format!("{name} = {{ url"), &format!("{name} = {{ failover_slots = \"on\", url"))
    };
    on(&on(stage, "monolith"), "products")
}

#[tokio::test]
async fn slots_of_both_directions_are_made_for_standbys_to_keep() {
    let house = House::between(Version::V17, Version::V18, "kept_slots").await;
    let stage = with_failover_slots(&house.stage);
    stage.apply().await.unwrap();
    for url in [&stage.m, &stage.n] {
        let made = "select bool_and(failover and not temporary) and count(*) = 1
                    from pg_replication_slots where database = current_database()";
        stage.until(url, made).await;
    }
}

#[tokio::test]
async fn a_server_before_17_is_refused_before_anything_is_made() {
    for (from, to, named) in
        [(Version::V16, Version::V18, "monolith"), (Version::V18, Version::V14, "products")]
    {
        let house = House::between(from, to, "no_kept_slots").await;
        let stage = with_failover_slots(&house.stage);
        let said = stage.said(stage.apply().await);
        let expected = format!("C0534 exit 4: database {named} has failover_slots = \"on\"");
        assert!(said.starts_with(&expected), "{said}");
        stage.until(&stage.n, "select to_regnamespace('films') is null").await;
        stage.until(&stage.m, "select not exists (select from pg_publication)").await;
    }
}
