//! A source that is not the one it was: restored from a backup, or promoted. Nothing is guessed then.

use super::servers::verified;
use super::stage::{SCHEMA, Stage, on};
use cleave_engine::Verb;
use cleave_sandbox::{Cluster, Options, StopMode, Version};
use cleave_testkit::TestDatabase;
use std::path::Path;

struct Old {
    cluster: Cluster,
    stage: Stage,
    _n: TestDatabase,
}

/// A move that follows, from a server of its own.
async fn following(hint: &str) -> Old {
    let cluster = Cluster::start(Version::V16, &Options::new()).await.unwrap();
    cluster.create_database("shop").await.unwrap();
    let n = TestDatabase::create(Version::V18, hint).await.unwrap();
    let stage = Stage::new(&cluster.url("shop"), &n.url());
    stage.on_m(SCHEMA).await;
    stage.apply().await.unwrap();
    Old { cluster, stage, _n: n }
}

/// Copies a folder as it is: owners, modes and all.
fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// The stream is not followed any more, what was proven is withdrawn, and no cutover goes past it.
async fn stops_and_says(stage: &Stage, said: &str, expected: &str) {
    let kept = "C0605 exit 1: the follower is not being kept current: the source of SERVICE/forward ";
    assert!(said.starts_with(kept) && said.contains(expected), "{said}");
    stage.until(&stage.m, "select verification is null and problem is not null from cleave.move").await;
    let said = stage.said(stage.cutover().await);
    assert!(
        said.starts_with("C0708 exit 4: the forward stream has stopped: the source of SERVICE/forward "),
        "{said}"
    );
    assert!(
        said.contains(expected) && said.contains("hint: nothing was applied; `cleave cancel SERVICE`"),
        "{said}"
    );
}

#[tokio::test]
async fn a_source_restored_from_a_backup_stops_the_stream_and_the_verification_is_withdrawn() {
    let Old { cluster, stage, _n } = following("restored").await;
    cluster.stop(StopMode::Fast).await.unwrap();
    let data = cluster.data_dir();
    let backup = data.with_file_name("backup");
    copy(&data, &backup);
    cluster.restart().await.unwrap();
    stage.on_m("insert into film (title) select 'after the backup' from generate_series(1, 200)").await;
    verified(&stage).await;
    cluster.stop(StopMode::Immediate).await.unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&backup, &data).unwrap();
    cluster.restart().await.unwrap();
    // What a restored source writes stands at positions that the target believes to have.
    stage.on_m("insert into film (title) values ('another history')").await;
    let said = stage.said(stage.verb(Verb::Verify).await);
    stops_and_says(&stage, &said, "has been set back: its log ends at ").await;
}

#[tokio::test]
async fn a_promoted_source_stops_the_stream_and_says_so() {
    let Old { cluster, stage, _n } = following("promoted").await;
    verified(&stage).await;
    cluster.stop(StopMode::Fast).await.unwrap();
    let signal = cluster.data_dir().join("standby.signal");
    std::fs::write(&signal, "").unwrap();
    cluster.restart().await.unwrap();
    on(&stage.m, "select pg_promote()").await;
    stage.until(&stage.m, "select not pg_is_in_recovery()").await;
    stage.on_m("insert into film (title) values ('on the new timeline')").await;
    let said = stage.said(stage.verb(Verb::Verify).await);
    stops_and_says(&stage, &said, "on timeline 2, but the stream's position belongs to system ").await;
}
