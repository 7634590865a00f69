//! A source that is not the one it was: restored from a backup, or promoted. Nothing is guessed then.

use super::servers::verified;
use super::stage::{SCHEMA, Stage, on};
use cleave_engine::Verb;
use cleave_sandbox::{Cluster, Options, StopMode, Version};
use cleave_testkit::TestDatabase;
use std::path::{Path, PathBuf};

struct Old {
    cluster: Cluster,
    stage: Stage,
    _other: TestDatabase,
}

/// A move that follows, from a server of its own.
async fn following(hint: &str) -> Old {
    let cluster = Cluster::start(Version::V16, &Options::new()).await.unwrap();
    cluster.create_database("shop").await.unwrap();
    let n = TestDatabase::create(Version::V18, hint).await.unwrap();
    let stage = Stage::new(&cluster.url("shop"), &n.url());
    stage.on_m(SCHEMA).await;
    stage.apply().await.unwrap();
    Old { cluster, stage, _other: n }
}

/// The same with the target on a server of its own.
async fn followed(hint: &str) -> Old {
    let cluster = Cluster::start(Version::V17, &Options::new()).await.unwrap();
    cluster.create_database("shop").await.unwrap();
    let m = TestDatabase::create(Version::V15, hint).await.unwrap();
    let stage = Stage::new(&m.url(), &cluster.url("shop"));
    stage.on_m(SCHEMA).await;
    stage.apply().await.unwrap();
    Old { cluster, stage, _other: m }
}

/// A copy of a server's folder, as a backup is.
async fn backed_up(cluster: &Cluster) -> PathBuf {
    cluster.stop(StopMode::Fast).await.unwrap();
    let backup = cluster.data_dir().with_file_name("backup");
    copy(&cluster.data_dir(), &backup);
    cluster.restart().await.unwrap();
    backup
}

async fn restored(cluster: &Cluster, backup: &Path) {
    cluster.stop(StopMode::Immediate).await.unwrap();
    std::fs::remove_dir_all(cluster.data_dir()).unwrap();
    std::fs::rename(backup, cluster.data_dir()).unwrap();
    cluster.restart().await.unwrap();
}

/// The server goes on as a standby that was promoted, on a new timeline. Nothing that was acknowledged is lost, as with a
/// synchronous one.
async fn promoted(cluster: &Cluster, stage: &Stage, url: &str) {
    cluster.stop(StopMode::Fast).await.unwrap();
    std::fs::write(cluster.data_dir().join("standby.signal"), "").unwrap();
    cluster.restart().await.unwrap();
    on(url, "select pg_promote()").await;
    stage.until(url, "select not pg_is_in_recovery()").await;
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
    let Old { cluster, stage, _other } = following("restored").await;
    let backup = backed_up(&cluster).await;
    stage.on_m("insert into film (title) select 'after the backup' from generate_series(1, 200)").await;
    verified(&stage).await;
    restored(&cluster, &backup).await;
    // What a restored source writes stands at positions that the target believes to have.
    stage.on_m("insert into film (title) values ('another history')").await;
    let said = stage.said(stage.verb(Verb::Verify).await);
    stops_and_says(&stage, &said, "has been set back: its log ends at ").await;
}

#[tokio::test]
async fn a_promoted_source_stops_the_stream_and_says_so() {
    let Old { cluster, stage, _other } = following("promoted").await;
    verified(&stage).await;
    promoted(&cluster, &stage, &stage.m).await;
    stage.on_m("insert into film (title) values ('on the new timeline')").await;
    let said = stage.said(stage.verb(Verb::Verify).await);
    stops_and_says(&stage, &said, "on timeline 2, but the stream's position belongs to system ").await;
}

/// As a target is that was promoted from an asynchronous standby: the slot was confirmed for what it no longer has.
#[tokio::test]
async fn a_target_restored_from_a_backup_stops_the_stream_before_a_change_is_left_out() {
    let Old { cluster, stage, _other } = followed("target_restored").await;
    verified(&stage).await;
    let backup = backed_up(&cluster).await;
    stage.on_m("insert into film (title) select 'after the backup' from generate_series(1, 200)").await;
    verified(&stage).await;
    // The source has heard of it, and forgets its log.
    let heard = "select confirmed_flush_lsn > restart_lsn and confirmed_flush_lsn >= pg_current_wal_insert_lsn() - 100000
                 from pg_replication_slots where slot_name ~ '_forward_' and database = current_database()";
    stage.until(&stage.m, heard).await;
    restored(&cluster, &backup).await;
    stage.on_m("insert into film (title) values ('after the restore')").await;
    let said = stage.said(stage.verb(Verb::Verify).await);
    assert!(said.contains("but the target has applied only up to"), "{said}");
    let said = stage.said(stage.cutover().await);
    assert!(said.contains("but the target has applied only up to"), "{said}");
    assert_eq!(stage.home().await, "monolith");
}

/// From a synchronous standby, which has all that was confirmed: the copy goes on, and the way back, which read the old
/// timeline, does not.
#[tokio::test]
async fn a_target_promoted_from_a_standby_is_noticed_and_not_switched_to_without_a_way_back() {
    let Old { cluster, stage, _other } = followed("target_promoted").await;
    verified(&stage).await;
    promoted(&cluster, &stage, &stage.n).await;
    let said = stage.said(stage.cutover().await);
    let expected = "C0708 exit 4: the back stream has stopped: the source of SERVICE/back is system ";
    assert!(said.starts_with(expected) && said.contains(" on timeline 2, but "), "{said}");
    assert!(said.contains("`cleave cancel SERVICE`, then `cleave apply SERVICE` copies anew"), "{said}");
    assert_eq!(stage.home().await, "monolith");
}

/// Commits that the new home acknowledged are gone with it. Nobody can bring them back; nobody overlooks it either.
#[tokio::test]
async fn a_new_home_restored_from_a_backup_is_noticed_and_not_rolled_back_from() {
    let Old { cluster, stage, _other } = followed("home_restored").await;
    verified(&stage).await;
    super::stage::switched(stage.cutover().await);
    let backup = backed_up(&cluster).await;
    on(&stage.n, "insert into films.film (title) select 'after the backup' from generate_series(1, 200)")
        .await;
    verified(&stage).await;
    restored(&cluster, &backup).await;
    let said = stage.said(stage.rollback().await);
    assert!(said.contains("has been set back: its log ends at "), "{said}");
    assert_eq!(stage.home().await, "products");
}

#[tokio::test]
async fn a_new_home_promoted_from_a_standby_is_noticed_and_not_rolled_back_from() {
    let Old { cluster, stage, _other } = followed("home_promoted").await;
    verified(&stage).await;
    super::stage::switched(stage.cutover().await);
    promoted(&cluster, &stage, &stage.n).await;
    let said = stage.said(stage.rollback().await);
    assert!(said.contains("on timeline 2, but the stream's position belongs to system "), "{said}");
    assert_eq!(stage.home().await, "products");
}
