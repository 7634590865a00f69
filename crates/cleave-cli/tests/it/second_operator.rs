//! Two processes at the same service: the second hands its verb to the first, or is told who works.

use crate::store::Store;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

/// A process that is the engine until it is told to stop.
struct Engine {
    child: Child,
    events: BufReader<std::process::ChildStdout>,
}

impl Engine {
    /// Starts the binary with these arguments and JSON lines.
    fn start(store: &Store, arguments: &[&str]) -> Self {
        let mut command = store.command(arguments);
        command.args(["--format", "jsonl"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        Self { child, events }
    }

    /// Reads events until a note contains this text.
    fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while self.events.read_line(&mut line).unwrap() > 0 {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["data"]["message"].as_str().is_some_and(|message| message.contains(text)) {
                return;
            }
            line.clear();
        }
        panic!("the engine ended before it said {text:?}");
    }

    /// Sends SIGINT; returns exit code and last line.
    fn interrupt(mut self) -> (Option<i32>, Value) {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let lines: Vec<String> = self.events.by_ref().lines().map(Result::unwrap).collect();
        let exit = self.child.wait().unwrap().code();
        (exit, serde_json::from_str(lines.last().unwrap()).unwrap())
    }
}

const FOLLOWS: &str = "until Ctrl-C";

#[tokio::test(flavor = "multi_thread")]
async fn verbs_are_executed_by_the_process_that_follows_and_shown_like_local_ones() {
    let store = Store::to_move().await;
    let mut engine = Engine::start(&store, &["apply"]);
    engine.wait_for(FOLLOWS);
    let verified = store.json(0, &["verify"]).await;
    assert_eq!((&verified["kind"], &verified["data"]["rows"]), (&"verify".into(), &600.into()));
    let rehearsed = store.json(0, &["cutover", "--dry-run"]).await;
    assert_eq!(rehearsed["data"]["outcome"], "rehearsed");
    let switched = store.json(0, &["cutover", "--yes"]).await;
    assert_eq!(
        (&switched["data"]["outcome"], &switched["data"]["home"]),
        (&"switched".into(), &"products".into())
    );
    assert_eq!(switched["next_steps"][0]["argv"][1], "complete", "{switched}");
    let refused = store.json(4, &["cancel", "--yes"]).await;
    assert_eq!(refused["problems"][0]["code"], "C0421");
    let back = store.json(0, &["rollback", "--yes"]).await;
    assert_eq!((&back["data"]["direction"], &back["data"]["epoch"]), (&"rollback".into(), &2.into()));
    let status = store.json(0, &["status"]).await;
    assert!(status["data"]["engine"].as_str().unwrap().starts_with("cleave on "), "{status}");
    let (exit, last) = engine.interrupt();
    assert_eq!(
        (exit, &last["kind"], &last["data"]["state"]),
        (Some(130), &"change".into(), &"following".into())
    );
    let status = store.json(0, &["status"]).await;
    assert!(status["data"]["engine"].is_null(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_runs_until_it_is_told_to_stop_and_a_second_one_is_told_who_works() {
    let store = Store::to_move().await;
    insta::assert_snapshot!("run_without_a_move", store.run(&["run"]).await);
    store.expect(0, &["apply", "--until", "following"]).await;
    let mut engine = Engine::start(&store, &["run"]);
    engine.wait_for(FOLLOWS);
    let busy = store.json(8, &["run"]).await;
    assert_eq!(busy["problems"][0]["code"], "C0401");
    let paused = store.json(0, &["pause"]).await;
    assert_eq!((&paused["kind"], &paused["next_steps"][0]["argv"][1]), (&"change".into(), &"resume".into()));
    store.expect(4, &["verify"]).await;
    store.expect(0, &["resume"]).await;
    store.expect(0, &["verify"]).await;
    let (exit, last) = engine.interrupt();
    assert_eq!((exit, &last["kind"]), (Some(0), &"status".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_on_when_the_process_that_should_execute_it_has_died() {
    let store = Store::to_move().await;
    let mut engine = Engine::start(&store, &["apply"]);
    engine.wait_for(FOLLOWS);
    engine.child.kill().unwrap();
    engine.child.wait().unwrap();
    // Its leases live on for some seconds, and nobody serves what is asked of it.
    let verified = store.json(0, &["verify"]).await;
    assert_eq!(verified["data"]["state"], "clean");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_in_the_file_also_where_another_process_compares() {
    let store = Store::to_move().await;
    let mut engine = Engine::start(&store, &["apply"]);
    engine.wait_for(FOLLOWS);
    let origin = "cleave_films_copy_9";
    store
        .on_n(&format!(
            "select pg_replication_origin_create('{origin}'); select pg_replication_origin_session_setup('{origin}'); \
             set session_replication_role = replica; update films.film_part set label = 'broken'"
        ))
        .await;
    let report =
        store.json(5, &["verify", "-o", "diff.jsonl", "--max-lag", "1TB", "--max-sessions", "5000"]).await;
    let text = std::fs::read_to_string(store.runner.path().join("diff.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 400, "more than the hundred that a report has by itself");
    assert_eq!(report["data"]["tables"][1]["entries"], 400, "{report}");
    engine.interrupt();
    store.on_n(&format!("select pg_replication_origin_drop('{origin}')")).await;
}
