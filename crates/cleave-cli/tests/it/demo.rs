//! The demonstration from its start to its proof, small: on real servers, as a user runs it.

use crate::runner::Runner;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the project keeps its servers; the tests run in folders of their own.
fn servers() -> String {
    match std::env::var("CLEAVE_SERVERS") {
        Ok(folder) if !folder.is_empty() => folder,
        _ => {
            let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/servers");
            let system = Path::new("/var/cache/cleave/servers");
            let found = if project.join("18").exists() { project.as_path() } else { system };
            found.display().to_string()
        }
    }
}

fn demo(runner: &Runner, arguments: &[&str]) -> Command {
    let mut command = runner.command(&[&["demo"], arguments].concat());
    command.env("CLEAVE_SERVERS", servers()).env("PATH", "/usr/bin:/bin");
    command
}

#[test]
fn the_demonstration_ends_with_a_proof_that_holds_and_a_report() {
    let runner = Runner::new();
    std::fs::create_dir(runner.path().join("target")).unwrap();
    let output = demo(&runner, &["--scale", "0.01", "--rounds", "1", "--rate", "100"]).output().unwrap();
    let shown = runner.show(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains("Proof holds"), "{shown}");

    let text = std::fs::read_to_string(runner.path().join("target/demo/report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let number =
        |key: &str| report.get(key).and_then(Value::as_f64).unwrap_or_else(|| panic!("{key} in {text}"));
    for key in ["lost", "duplicated", "refused"] {
        assert_eq!(number(key), 0.0, "{key} in {text}");
    }
    assert_eq!(number("found"), number("acknowledged"), "{text}");
    assert!(number("acknowledged") > 300.0, "{text}");
    assert_eq!((number("rounds"), number("unknown")), (1.0, 0.0), "{text}");
    assert!(number("rows_moved") > 1000.0 && number("seconds") > 1.0 && number("retried") >= 0.0, "{text}");
    let pause = |key: &str| report["pause_ms"][key].as_u64().unwrap_or_else(|| panic!("{key} in {text}"));
    assert!(0 < pause("p50") && pause("p50") <= pause("p95") && pause("p95") <= pause("max"), "{text}");
}

#[test]
fn an_interrupted_demonstration_leaves_no_server_and_no_folder() {
    let runner = Runner::new();
    let folder = runner.path().join("temporary");
    std::fs::create_dir(&folder).unwrap();
    // The servers run as another user, who has to get in.
    let open = std::os::unix::fs::PermissionsExt::from_mode;
    for path in [runner.path(), &folder] {
        std::fs::set_permissions(path, open(0o755)).unwrap();
    }
    let mut command = demo(&runner, &["--scale", "0.01"]);
    let child = command.env("TMPDIR", &folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let clusters = || std::fs::read_dir(&folder).unwrap().count();
    wait_until("the servers' folders", || clusters() > 0);
    assert_eq!(interrupt(child), Some(130));
    wait_until("the folders' end", || clusters() == 0);
}

fn interrupt(mut child: Child) -> Option<i32> {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    child.wait().unwrap().code()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn without_servers_the_next_command_is_named() {
    let runner = Runner::new();
    let folder = runner.path().join("nothing");
    let output = demo(&runner, &[]).env("CLEAVE_SERVERS", &folder).output().unwrap();
    let shown = runner.show(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("error[C0920]") && shown.contains("cargo xtask servers"), "{shown}");
}
