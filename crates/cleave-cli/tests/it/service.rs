//! The engine as a service: probes, metrics, a supervisor, and going on by itself.

use crate::store::Store;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStdout, Stdio};

/// `cleave run --wait`, whose events are read as they come. Ended when dropped.
struct Service {
    child: Child,
    events: BufReader<ChildStdout>,
}

impl Service {
    fn start(store: &Store, environment: &[(&str, &str)]) -> Self {
        let mut command = store.command(&["run", "--wait", "--listen", "127.0.0.1:0", "--format", "jsonl"]);
        command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        Self { child, events }
    }

    /// Reads events until one contains this text; returns it.
    fn wait_for(&mut self, text: &str) -> String {
        let mut line = String::new();
        while self.events.read_line(&mut line).unwrap() > 0 {
            if line.contains(text) {
                return line;
            }
            line.clear();
        }
        panic!("the engine ended before it said {text:?}");
    }

    /// The address that it says it answers at.
    fn address(&mut self) -> String {
        let said = self.wait_for("answers /healthz");
        said.split("http://").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    fn terminate(mut self) -> (Option<i32>, Value) {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let lines: Vec<String> = self.events.by_ref().lines().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code(), serde_json::from_str(lines.last().unwrap()).unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: here\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of a metric with these labels.
fn metric(address: &str, name: &str) -> Option<f64> {
    let page = get(address, "/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.map(|value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_waits_for_a_move_then_follows_answers_probes_and_drains_when_told_to_end() {
    let store = Store::to_move().await;
    let mut service = Service::start(&store, &[]);
    service.wait_for("waits for one");
    store.expect(0, &["apply", "--until", "following"]).await;
    let address = service.address();
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200 "));
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200 "));
    assert_eq!(metric(&address, "cleave_engine_phase{phase=\"running\"}"), Some(1.0));
    assert_eq!(metric(&address, "cleave_lease_held{database=\"monolith\"}"), Some(1.0));
    assert_eq!(metric(&address, "cleave_service_state{service=\"films\",state=\"following\"}"), Some(1.0));
    // A command from another shell goes through the journal to the service.
    store.expect(0, &["verify", "films"]).await;
    store.on_m("insert into film (title, year) values ('while it runs', 2001)").await;
    let rows = "cleave_stream_rows_total{service=\"films\",direction=\"forward\"}";
    while metric(&address, rows).is_none_or(|rows| rows < 1.0) {
        tokio::task::yield_now().await;
    }
    let (exit, last) = service.terminate();
    assert_eq!((exit, &last["kind"]), (Some(0), &"status".into()));
    assert_eq!(last["data"]["engine"], Value::Null, "the lease is given back: {last}");
    let arrived = "select count(*)::text from films.film where title = 'while it runs'";
    assert_eq!(Store::text_of(&store.n, arrived).await, "1");
    let applied = "select lsn::text from cleave.position where stream = 'films/forward'";
    let applied = Store::text_of(&store.n, applied).await;
    // What was applied is confirmed: nobody reads the slot any more, and it keeps nothing from before the last position.
    let confirmed = format!(
        "select (active_pid is null and confirmed_flush_lsn >= '{applied}')::text from pg_replication_slots \
         where slot_name like 'cleave\\_films\\_forward%'"
    );
    assert_eq!(Store::text_of(&store.m, &confirmed).await, "true");
    store.expect(0, &["cancel", "films", "--yes"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_lease_another_engine_holds_stands_by_and_takes_over() {
    let store = Store::to_move().await;
    store.expect(0, &["apply", "--until", "following"]).await;
    let mut first = Service::start(&store, &[]);
    first.address();
    let mut second = Service::start(&store, &[]);
    second.wait_for("C0401");
    let (exit, _) = first.terminate();
    assert_eq!(exit, Some(0));
    let address = second.address();
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200 "));
    assert!(metric(&address, "cleave_engine_restarts_total").is_some_and(|restarts| restarts >= 1.0));
    assert_eq!(second.terminate().0, Some(0));
    store.expect(0, &["cancel", "films", "--yes"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_is_told_ready_alive_and_stopping() {
    let store = Store::new().await;
    let path = store.runner.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut service = Service::start(&store, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    service.wait_for("waits for one");
    let told = || {
        let mut bytes = [0; 512];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    assert_eq!(told(), "READY=1");
    assert!(told().starts_with("WATCHDOG=1\nSTATUS="));
    while !told().ends_with("STATUS=ok: no service has an open move") {}
    assert_eq!(service.terminate().0, Some(0));
    while told() != "STOPPING=1" {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_said_before_anything_is_begun() {
    let store = Store::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let document = store.json(1, &["run", "--listen", &address]).await;
    assert_eq!(document["problems"][0]["code"], "C0930");
    store.expect(2, &["run", "--listen", "somewhere"]).await;
    store.expect(4, &["run", "--listen", "off"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_does_not_mend_ends_a_service_at_once() {
    let mut store = Store::new().await;
    store.unset("PRODUCTS_URL");
    store.unset("MONOLITH_URL");
    let document = store.json(2, &["run", "--wait", "--listen", "off"]).await;
    assert_eq!(document["problems"][0]["code"], "C0422");
}
