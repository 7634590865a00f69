//! Points told by the environment, on a process of their own.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use cleave_failpoint::{hit, try_hit};

/// Passes two points three times each, in a process of its own.
#[tokio::test]
#[ignore = "played by the tests of this module, in a process of its own"]
async fn walker() {
    for _ in 0..3 {
        hit("walk.first");
        if let Err(error) = try_hit("walk.second").await {
            println!("\nwalker: {error}");
        }
    }
    println!("\nwalker: arrived");
}

fn walk(triggers: &str, log: Option<&std::path::Path>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "outside::walker", "--ignored", "--nocapture"]);
    command.env("CLEAVE_FAILPOINTS", triggers).env_remove("CLEAVE_FAILPOINTS_LOG");
    command.envs(log.map(|log| ("CLEAVE_FAILPOINTS_LOG", log)));
    command.output().unwrap()
}

#[test]
fn a_clean_run_logs_every_passing_and_a_killed_one_ends_with_the_deadly_point() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("points");
    let clean = walk("", Some(&log));
    assert!(clean.status.success());
    let points = std::fs::read_to_string(&log).unwrap();
    assert_eq!(points, "walk.first\nwalk.second\n".repeat(3));

    std::fs::remove_file(&log).unwrap();
    let killed = walk("walk.first=2*exit", Some(&log));
    assert_eq!(killed.status.signal(), Some(9));
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "walk.first\nwalk.second\nwalk.first\n");
}

#[test]
fn an_error_from_outside_reaches_the_code() {
    let output = walk("walk.second=3*error", None);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("walker: failpoint walk.second was told to fail\n"), "{text}");
    assert_eq!(text.matches("was told to fail").count(), 1);
    assert!(text.contains("walker: arrived"), "{text}");
}

#[test]
fn a_mistake_in_the_variable_is_no_clean_run() {
    let output = walk("walk.first=explode", None);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("`explode` is no failpoint action"), "{text}");
}
