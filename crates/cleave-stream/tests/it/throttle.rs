//! A copy waits while a server has too much to do, and goes on by itself.

use crate::{
    pair::{PATIENCE, Pair, Place},
    standby::{until, with_standby},
};
use cleave_sandbox::{Cluster, Options, Version, connect};
use cleave_stream::{
    Busy, CopyProgress, CopySpec, LoadLimits, SnapshotSource, StreamError, cancellation, copy_tables,
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

const FILM: &str = "create table film (id int primary key, title text)";
const MB: u64 = 1 << 20;

struct Copying {
    task: JoinHandle<Result<usize, StreamError>>,
    progress: watch::Receiver<CopyProgress>,
}

impl Copying {
    fn start(spec: CopySpec) -> Self {
        let (tell, progress) = watch::channel(CopyProgress::default());
        let task = tokio::spawn(async move {
            let copied = copy_tables(spec, move |now| {
                tell.send_replace(now);
            });
            copied.await.map(|tables| tables.len())
        });
        Self { task, progress }
    }

    async fn until_it_waits(&mut self) -> Busy {
        let waits = self.progress.wait_for(|now| now.waits.is_some());
        timeout(PATIENCE, waits).await.unwrap().unwrap().waits.unwrap()
    }

    async fn tables(self) -> usize {
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap()
    }
}

async fn spec(pair: &Pair, load: LoadLimits) -> CopySpec {
    let (keep, cancelled) = cancellation();
    std::mem::forget(keep);
    let slot = format!("cleave_throttle_{}_{}", pair.service, std::process::id());
    CopySpec { load, ..pair.copy_spec(SnapshotSource::TemporarySlot { name: slot }, cancelled).await }
}

async fn fill(place: &Place, rows: u32) {
    place
        .run(&format!("insert into film select i, repeat('t', 100) from generate_series(1, {rows}) i"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_waits_for_a_standby_of_the_source_and_goes_on_when_it_has_caught_up() {
    let (source, standby) = with_standby(Version::V16, &[], &[]).await;
    standby.restart().await.unwrap();
    let (target, n) = (Cluster::start(Version::V18, &Options::new()).await.unwrap(), "n");
    target.create_database(n).await.unwrap();
    let pair =
        Pair::of(Place::at("m", &source.url("m")).await, Place::at("n", &target.url(n)).await, FILM).await;
    let follower = connect(&standby.url("m")).await.unwrap();
    until(&pair.m.client, "select exists (select from pg_stat_replication where state = 'streaming')").await;
    follower.batch_execute("select pg_wal_replay_pause()").await.unwrap();
    fill(&pair.m, 30_000).await;
    let load = LoadLimits { lag_bytes_max: Some(MB), ..LoadLimits::default() };
    let mut copying = Copying::start(spec(&pair, load).await);
    assert!(matches!(copying.until_it_waits().await, Busy::Lag(bytes) if bytes > MB));
    assert_eq!(pair.n.count("select count(*) from film").await, 0);
    follower.batch_execute("select pg_wal_replay_resume()").await.unwrap();
    assert_eq!(copying.tables().await, 1);
    pair.assert_same().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_waits_for_working_sessions_of_the_source() {
    let source = Cluster::start(Version::V14, &Options::new()).await.unwrap();
    source.create_database("m").await.unwrap();
    source.create_database("n").await.unwrap();
    let pair =
        Pair::of(Place::at("m", &source.url("m")).await, Place::at("n", &source.url("n")).await, FILM).await;
    fill(&pair.m, 100).await;
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let session = connect(&source.url("m")).await.unwrap();
        working.spawn(async move { session.batch_execute("select pg_sleep(600)").await });
    }
    until(&pair.m.client, "select count(*) = 3 from pg_stat_activity where query like '%pg_sleep(600)%' and state = 'active' and pid <> pg_backend_pid()").await;
    let load = LoadLimits { sessions_max: Some(2), ..LoadLimits::default() };
    let mut copying = Copying::start(spec(&pair, load).await);
    assert_eq!(copying.until_it_waits().await, Busy::Sessions(3));
    assert_eq!(pair.n.count("select count(*) from film").await, 0);
    pair.m
        .run("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()")
        .await;
    assert_eq!(copying.tables().await, 1);
    pair.assert_same().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_waits_inside_a_table_for_the_log_that_the_target_keeps() {
    let cluster = Cluster::start(Version::V17, &Options::new()).await.unwrap();
    cluster.create_database("m").await.unwrap();
    let target = Cluster::start(Version::V18, &Options::new()).await.unwrap();
    target.create_database("n").await.unwrap();
    let pair =
        Pair::of(Place::at("m", &cluster.url("m")).await, Place::at("n", &target.url("n")).await, FILM).await;
    // The copy itself writes the log that is too much: the slot keeps it.
    fill(&pair.m, 200_000).await;
    pair.n.run("select pg_create_physical_replication_slot('standby', true)").await;
    let load = LoadLimits { target_log_bytes_max: Some(2 * MB), ..LoadLimits::default() };
    let mut slow = spec(&pair, load).await;
    // So slow that the first look falls into the table.
    slow.bytes_per_second_max = Some(8 * MB);
    let mut copying = Copying::start(slow);
    assert!(matches!(copying.until_it_waits().await, Busy::TargetLog(bytes) if bytes > 2 * MB));
    assert_eq!(copying.progress.borrow().tables_done, 0);
    pair.n.run("select pg_drop_replication_slot('standby')").await;
    assert_eq!(copying.tables().await, 1);
    pair.assert_same().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_waits_for_an_archive_that_does_not_keep_up() {
    let options = Options::new().setting("archive_mode", "on").setting("archive_command", "false");
    let target = Cluster::start(Version::V14, &options).await.unwrap();
    target.create_database("m").await.unwrap();
    target.create_database("n").await.unwrap();
    let pair =
        Pair::of(Place::at("m", &target.url("m")).await, Place::at("n", &target.url("n")).await, FILM).await;
    fill(&pair.m, 100).await;
    pair.n.run("select pg_switch_wal()").await;
    let load = LoadLimits { target_log_bytes_max: Some(MB), ..LoadLimits::default() };
    let mut copying = Copying::start(spec(&pair, load).await);
    assert!(matches!(copying.until_it_waits().await, Busy::TargetLog(bytes) if bytes >= 16 * MB));
    target.configure(&[("archive_command", "true")]).unwrap();
    target.reload().unwrap();
    assert_eq!(copying.tables().await, 1);
    pair.assert_same().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_waits_can_be_cancelled() {
    let cluster = Cluster::start(Version::V18, &Options::new()).await.unwrap();
    cluster.create_database("m").await.unwrap();
    cluster.create_database("n").await.unwrap();
    let pair =
        Pair::of(Place::at("m", &cluster.url("m")).await, Place::at("n", &cluster.url("n")).await, FILM)
            .await;
    fill(&pair.m, 100).await;
    pair.n.run("select pg_create_physical_replication_slot('standby', true)").await;
    fill(&pair.m, 0).await;
    let load = LoadLimits { target_log_bytes_max: Some(0), ..LoadLimits::default() };
    let (canceller, cancelled) = cancellation();
    let mut copying = Copying::start(CopySpec { cancelled, ..spec(&pair, load).await });
    copying.until_it_waits().await;
    canceller.cancel();
    let ended = timeout(PATIENCE, copying.task).await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().code(), "C0517");
    assert_eq!(pair.n.count("select count(*) from film").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_see_the_load_is_refused_where_limits_are_set() {
    let pair = Pair::new(Version::V18, Version::V14, "unseen_load", FILM).await;
    let role = format!("copies_unseen_{}", std::process::id());
    for place in [&pair.m, &pair.n] {
        place.run(&format!("create role {role} login password 'x'")).await;
    }
    pair.n.run(&format!("grant usage on schema cleave to {role}; grant select on all tables in schema cleave to {role}; grant update on cleave.lease to {role}")).await;
    let limits = [
        (LoadLimits { sessions_max: Some(5), ..LoadLimits::default() }, "source"),
        (LoadLimits { lag_bytes_max: Some(1 << 40), ..LoadLimits::default() }, "source"),
        (LoadLimits { target_log_bytes_max: Some(1 << 40), ..LoadLimits::default() }, "target"),
    ];
    for (load, side) in limits {
        let mut spec = spec(&pair, load).await;
        match side {
            "source" => spec.source = spec.source.with_user(&role, "x"),
            _ => spec.target = spec.target.with_user(&role, "x"),
        }
        let error = copy_tables(spec, |_| {}).await.unwrap_err();
        assert_eq!(error.code(), "C0531", "{error:?}");
        assert!(error.to_string().contains(side), "{error}");
    }
    for place in [&pair.m, &pair.n] {
        place.run(&format!("drop owned by {role}; drop role {role}")).await;
    }
}
