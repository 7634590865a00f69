//! Two operators: one at a time changes something, and one that was stopped and wakes late changes nothing.

use super::servers::verified;
use super::stage::{House, LIMIT, Stage, switched};
use cleave_engine::{Answer, Verb};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[tokio::test]
async fn the_operator_that_holds_a_service_executes_what_another_asks_for() {
    let house = House::new("two_operators").await;
    let stage = &house.stage;
    stage.apply().await.unwrap();
    let running = stage.run();
    stage.until(&stage.m, "select expires_at > clock_timestamp() from cleave.lease").await;
    let Answer::Elsewhere(exit, value) = stage.verb(Verb::Verify).await.unwrap() else { panic!() };
    assert_eq!((exit.code(), &value["verification"]["state"]), (0, &"clean".into()));
    let Answer::Elsewhere(exit, value) = stage.rollback().await.unwrap() else { panic!() };
    assert_eq!((exit.code(), &value["problem"]["code"]), (4, &"C0421".into()), "{value}");
    let Answer::Elsewhere(exit, value) = stage.cutover().await.unwrap() else { panic!() };
    assert_eq!((exit.code(), &value["switch"]["home"]), (0, &"products".into()), "{value}");
    running.stop().await;
}

#[tokio::test]
async fn an_operator_whose_lease_was_taken_over_stops_and_changes_nothing() {
    let house = House::verified("taken_over").await;
    let stage = &house.stage;
    let (mut old, _canceller) = stage.engine();
    old.take(&stage.service()).await.unwrap();
    expire(stage).await;
    let (mut new, _canceller) = stage.engine();
    new.take(&stage.service()).await.unwrap();
    for verb in [Verb::Cutover { dry_run: false }, Verb::Cancel] {
        let said = stage.said(old.execute(&stage.service(), verb).await);
        assert!(said.starts_with("C0402 exit 8: this operator's lease (epoch "), "{said}");
        assert!(said.contains(") has been taken over by another; nothing was changed\nhint: "), "{said}");
    }
    assert_eq!(stage.home().await, "monolith");
    switched(new.execute(&stage.service(), Verb::Cutover { dry_run: false }).await);
    old.close().await;
    let said = new.execute(&stage.service(), Verb::Verify).await;
    assert!(said.is_ok(), "the one that was late has not given back the other's lease: {said:?}");
    new.close().await;
}

async fn expire(stage: &Stage) {
    for url in [&stage.m, &stage.n] {
        super::stage::on(url, "update cleave.lease set expires_at = clock_timestamp() - interval '1 second'")
            .await;
    }
}

const TEXT: &str = "CLEAVE_TEST_OPERATOR";

/// An operator in a process of its own.
struct Operator(Child);

impl Operator {
    fn start(stage: &Stage) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "trouble::operators::an_operator_of_its_own", "--ignored", "--nocapture"])
            .env(TEXT, &stage.text)
            .env("CLEAVE_TEST_SERVICE", stage.service().as_str())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What [`Operator`] runs; by itself it has nothing to do.
#[tokio::test]
#[ignore = "it is the other process of a test"]
async fn an_operator_of_its_own() {
    let (Ok(text), Ok(_)) = (std::env::var(TEXT), std::env::var("CLEAVE_TEST_SERVICE")) else { return };
    let config = cleave_config::Config::parse(&text, "cleave.toml").unwrap();
    let topology = cleave_engine::Topology::new(config, &text, std::path::Path::new("/"));
    let (_canceller, cancelled) = cleave_stream::cancellation();
    let error =
        cleave_engine::run(&topology, &cleave_engine::Events::silent(), &cancelled).await.unwrap_err();
    std::process::exit(error.problem().exit.code().into());
}

#[tokio::test]
async fn an_operator_that_was_stopped_and_wakes_after_another_took_over_changes_nothing() {
    let house = House::verified("sleeper").await;
    let stage = &house.stage;
    let mut sleeper = Operator::start(stage);
    stage.until(&stage.m, "select expires_at > clock_timestamp() from cleave.lease").await;
    stage.on_m("insert into film (title) values ('first')").await;
    stage.until(&stage.n, "select count(*) = 1 from films.film where title = 'first'").await;
    sleeper.signal("-STOP");
    expire(stage).await;
    // Its sessions are still there, with the slot and the origin in use.
    let workload = stage.writers().await;
    switched(stage.cutover().await);
    sleeper.signal("-CONT");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = sleeper.0.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < LIMIT, "it does not notice");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(8));
    assert!(workload.wait_for(20, LIMIT).await);
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    verified(stage).await;
    stage.check(&record, true).await;
    assert_eq!(stage.home().await, "products");
}
