//! Servers that stop or cannot be reached in the middle: what is said, and the same command going on afterwards.

use super::stage::{House, LIMIT, SCHEMA, Stage, aborted, switched};
use cleave_api::VerificationState;
use cleave_engine::{Answer, EngineError, Verb};
use cleave_failpoint::{Action, set_here};
use cleave_sandbox::{Cluster, Options, StopMode, Version};
use cleave_testkit::{Proxy, TestDatabase};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

/// A source of its own that can be stopped, and a target on the shared servers.
struct Fragile {
    cluster: Cluster,
    stage: Stage,
    _n: TestDatabase,
}

impl Fragile {
    async fn new(hint: &str) -> Self {
        let cluster = Cluster::start(Version::V16, &Options::new()).await.unwrap();
        cluster.create_database("shop").await.unwrap();
        let n = TestDatabase::create(Version::V18, hint).await.unwrap();
        let stage = Stage::new(&cluster.url("shop"), &n.url());
        stage.on_m(SCHEMA).await;
        Self { cluster, stage, _n: n }
    }

    async fn crash(&self) {
        self.cluster.stop(StopMode::Immediate).await.unwrap();
        self.cluster.restart().await.unwrap();
    }
}

/// Runs a verb, and something else while the verb is held at a failpoint.
pub(super) async fn held_at<T>(
    point: &'static str,
    verb: impl Future<Output = T>,
    meanwhile: impl Future<Output = ()>,
) -> T {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let reached = &std::env::temp_dir().join(format!("cleave_held_{}_{number}", std::process::id()));
    let armed = set_here(
        point,
        cleave_failpoint::Trigger { action: Action::Pause(reached.clone()), only_at: Some(1) },
    );
    let done = std::cell::Cell::new(false);
    let verb = async {
        let result = verb.await;
        done.set(true);
        result
    };
    let other = async {
        while !reached.exists() {
            if done.get() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        meanwhile.await;
        std::fs::remove_file(reached).unwrap();
    };
    let result = tokio::select! {
        (result, ()) = async { tokio::join!(verb, other) } => result,
        () = tokio::time::sleep(LIMIT * 3) => panic!("{point} was not passed, or the verb does not end"),
    };
    drop(armed);
    result
}

pub(super) async fn verified(stage: &Stage) {
    match stage.verb(Verb::Verify).await.unwrap() {
        Answer::Verification(report) => assert_eq!(report.state, VerificationState::Clean, "{report:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_source_that_stops_during_the_copy_is_named_and_the_same_command_goes_on() {
    let house = Fragile::new("copy_crash").await;
    for point in ["slot.made", "copy.before", "copy.record.before", "finish.before", "way_back.made"] {
        let result = held_at(point, house.stage.apply(), house.crash()).await;
        // What was read before the crash may be enough to go on with.
        if let Err(error) = result {
            let said = house.stage.say(&error.problem());
            assert!(said.contains("exit 1"), "{point}: {said}");
            assert!(
                said.contains("the connection was lost") || said.contains("the connection is closed"),
                "{point}: {said}"
            );
            assert!(said.contains("run the same command: it goes on from here"), "{point}: {said}");
        }
    }
    house.stage.apply().await.unwrap();
    verified(&house.stage).await;
}

/// Makes the source drop the log that a slot needs.
async fn lose_slots(source: &str) {
    let client = cleave_sandbox::connect(source).await.unwrap();
    let until = async |sql: &str| {
        while !client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    until("select exists (select from pg_stat_progress_copy where command = 'COPY FROM')").await;
    client.batch_execute("alter system set max_slot_wal_keep_size = '1MB'").await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    until("select current_setting('max_slot_wal_keep_size') = '1MB'").await;
    for _ in 0..4 {
        client.batch_execute("create table filler as select 1; drop table filler").await.unwrap();
        client.batch_execute("select pg_switch_wal()").await.unwrap();
    }
    client.batch_execute("checkpoint").await.unwrap();
    until("select bool_and(wal_status = 'lost') from pg_replication_slots").await;
}

#[tokio::test]
async fn a_slot_that_is_lost_while_tables_are_copied_ends_the_copy_at_once() {
    // Both sides on a server of its own: on a shared one the open transaction would hold up others' slots.
    let cluster = Cluster::start(Version::V16, &Options::new()).await.unwrap();
    cluster.create_database("shop").await.unwrap();
    cluster.create_database("films").await.unwrap();
    let source = cluster.url("shop");
    // It would take minutes.
    let stage = Stage::new(&source, &cluster.url("films")).with("[limits]", "[limits]\ncopy_rate = \"1kB\"");
    stage.on_m(SCHEMA).await;
    stage.on_m("insert into film (title) select repeat('t', 200) from generate_series(1, 2000)").await;
    let both = async { tokio::join!(stage.apply(), lose_slots(&source)) };
    let (result, ()) = tokio::time::timeout(LIMIT, both).await.expect("the copy does not end");
    assert_eq!(result.unwrap_err().problem().code, "C0502");
}

#[tokio::test]
async fn a_source_that_stops_while_it_is_followed_is_waited_for() {
    let house = Fragile::new("follow_crash").await;
    house.stage.apply().await.unwrap();
    let running = house.stage.run();
    let workload = house.stage.writers().await;
    assert!(workload.wait_for(50, LIMIT).await);
    house.crash().await;
    assert!(workload.wait_for(50, LIMIT).await, "writers go on after the restart");
    let record = workload.stop().await.unwrap();
    match house.stage.verb(Verb::Verify).await.unwrap() {
        Answer::Elsewhere(exit, value) => assert_eq!(exit.code(), 0, "{value}"),
        other => panic!("{other:?}"),
    }
    house.stage.check(&record, false).await;
    running.stop().await;
}

#[tokio::test]
async fn a_source_that_stops_during_a_cutover_stays_the_home_and_the_same_command_switches() {
    let house = Fragile::new("cutover_crash").await;
    house.stage.apply().await.unwrap();
    verified(&house.stage).await;
    let workload = house.stage.writers().await;
    for point in ["cutover.fence.after", "cutover.half_open.after", "switch.commit.before"] {
        let stage = house.stage.with("write_pause = \"3s\"", "write_pause = \"20s\"");
        let result = held_at(point, stage.cutover(), house.crash()).await;
        let said = match result {
            Err(error) => house.stage.say(&error.problem()),
            Ok(_) => aborted(result),
        };
        assert!(said.contains("the connection was lost"), "{point}: {said}");
        assert!(workload.wait_for(20, LIMIT).await, "writers go on at the old home after {point}");
        assert_eq!(house.stage.home().await, "monolith");
    }
    switched(house.stage.cutover().await);
    assert!(workload.wait_for(50, LIMIT).await);
    let record = workload.stop().await.unwrap();
    house.stage.check(&record, true).await;
    verified(&house.stage).await;
}

/// The target behind a proxy, for the engine and for the bridge.
async fn far_target(hint: &str) -> (House, Stage, Proxy) {
    let house = House::new(hint).await;
    let address = ([127, 0, 0, 1], house.n.cluster().port()).into();
    let proxy = Proxy::start(address).await.unwrap();
    let url = proxy.url(&house.n.url()).unwrap();
    let stage = house.stage.with(&format!("{:?}", house.n.url()), &format!("{url:?}"));
    (house, stage, proxy)
}

const UNREACHABLE: &str = "C0101 exit 1: database products: cannot reach 127.0.0.1:PORT: Connection reset by peer \
    (os error 104)\nhint: when the server answers again, run the same command: it goes on from here\n\
    next: cleave doctor";

fn said(stage: &Stage, result: Result<Answer, EngineError>, proxy: &Proxy) -> String {
    stage.said(result).replace(&proxy.port().to_string(), "PORT")
}

#[tokio::test]
async fn a_target_that_is_cut_off_during_the_copy_is_named_and_the_same_command_goes_on() {
    let (_house, stage, proxy) = far_target("copy_cut").await;
    let result = held_at("copy.record.before", stage.apply(), async { proxy.cut() }).await;
    assert_eq!(
        said(&stage, result, &proxy),
        "C0405 exit 1: could not check the lease\ncause: the connection was lost: the connection is closed\n\
         hint: when the server answers again, run the same command: it goes on from here"
    );
    let result = stage.apply().await;
    assert_eq!(said(&stage, result, &proxy), UNREACHABLE);
    proxy.heal();
    stage.apply().await.unwrap();
    verified(&stage).await;
}

#[tokio::test]
async fn a_target_that_is_cut_off_while_it_follows_is_waited_for() {
    let (house, stage, proxy) = far_target("follow_cut").await;
    stage.apply().await.unwrap();
    let running = stage.run();
    house.stage.on_m("insert into film (title) values ('before')").await;
    stage.until(&house.n.url(), "select count(*) = 1 from films.film where title = 'before'").await;
    proxy.cut();
    house.stage.on_m("insert into film (title) values ('while')").await;
    let status = cleave_engine::status(&stage.topology(), Some(&stage.service())).await.unwrap();
    let problems: Vec<String> =
        status.services[0].problems.iter().map(|problem| stage.say(problem)).collect();
    assert_eq!(problems.join("\n").replace(&proxy.port().to_string(), "PORT"), UNREACHABLE);
    proxy.heal();
    stage.until(&house.n.url(), "select count(*) = 1 from films.film where title = 'while'").await;
    running.stop().await;
}
