//! No server and no folder outlives its owner, however the owner ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cleave_sandbox::{Cluster, Options, Version};

/// Set in the process that plays the owner: how it shall end.
const END: &str = "CLEAVE_SANDBOX_TEST_OWNER_ENDS";

/// Plays the owner of a cluster for the other tests, in a process of its own.
#[test]
#[ignore = "played by the tests of this module, in a process of its own"]
fn owner() {
    let Ok(end) = std::env::var(END) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = Options::new();
    let start = Cluster::start(Version::V16, &options);
    if end == "during the start" {
        println!("\nowner: ready");
    }
    let cluster = runtime.block_on(start).unwrap();
    println!("\nowner: {} {}", cluster.server_pid().unwrap(), cluster.data_dir().display());
    match end.as_str() {
        "by panic" => panic!("the owner panics"),
        // As the clusters that tests share: nobody drops them.
        "by exit" => std::process::exit(0),
        _ => std::thread::sleep(Duration::from_secs(600)),
    }
}

struct Owner {
    process: Child,
    /// Where the owner's clusters are: nobody else's.
    folder: PathBuf,
    line: String,
}

fn start_owner(end: &str) -> Owner {
    let folder = std::env::temp_dir().join(format!("cleave-owner-{}", fastrand::u64(..)));
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "orphans::owner", "--ignored", "--nocapture"])
        .env(END, end)
        .env("TMPDIR", &folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("owner: ").map(str::to_owned));
    Owner { process, folder, line: line.expect("the owner said nothing") }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not in 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the process runs; one that nobody has reaped yet does not.
fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

fn check_nothing_is_left(mut owner: Owner, kill: bool) {
    let (pid, data) = owner.line.split_once(' ').unwrap();
    let (pid, data) = (pid.parse().unwrap(), Path::new(data));
    if kill {
        assert!(is_running(pid) && data.exists());
        owner.process.kill().unwrap();
    }
    owner.process.wait().unwrap();
    eventually("the server has ended", || !is_running(pid));
    eventually("the folder is empty", || std::fs::read_dir(&owner.folder).unwrap().count() == 0);
    std::fs::remove_dir(&owner.folder).unwrap();
}

#[test]
fn a_killed_owner_leaves_no_server_and_no_folder() {
    check_nothing_is_left(start_owner("by SIGKILL"), true);
}

#[test]
fn a_panicking_owner_leaves_no_server_and_no_folder() {
    check_nothing_is_left(start_owner("by panic"), false);
}

#[test]
fn an_exiting_owner_leaves_no_server_and_no_folder() {
    check_nothing_is_left(start_owner("by exit"), false);
}

#[test]
fn an_owner_killed_during_the_start_leaves_no_folder() {
    // Killed at moments spread over the start, which takes 1 to 2 s.
    for delay_ms in [0, 30, 150, 400, 800, 1200] {
        let mut owner = start_owner("during the start");
        std::thread::sleep(Duration::from_millis(delay_ms));
        owner.process.kill().unwrap();
        owner.process.wait().unwrap();
        eventually("the folder is empty", || std::fs::read_dir(&owner.folder).unwrap().count() == 0);
        let user = owner.folder.display().to_string();
        eventually("no process works there", || !some_process_names(&user));
        std::fs::remove_dir(&owner.folder).unwrap();
    }
}

/// Whether a running process has the folder in its command line.
fn some_process_names(folder: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(folder))
}
