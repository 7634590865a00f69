//! The files in `deploy/`: judged by schemas, and their scripts run as they are.

use crate::runner::Runner;
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").canonicalize().unwrap()
}

fn skipped(test: &str, reason: &str) {
    if let Some(list) = std::env::var_os("CLEAVE_SKIPPED_FILE") {
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        writeln!(list, "{test}: {reason}").unwrap();
    }
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs `deploy/validate.py` with these files, the last of which may come from standard input.
struct Judge {
    validators: PathBuf,
}

impl Judge {
    fn find(test: &str) -> Option<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/tools/validators");
        let validators = std::env::var_os("CLEAVE_VALIDATORS").map_or(beside, PathBuf::from);
        if validators.join("compose-spec.json").is_file() && is_in_path("python3") {
            return Some(Self { validators });
        }
        skipped(test, "no validators, see `cargo xtask validators`");
        None
    }

    /// The findings, a line each.
    fn judge(&self, kind: &str, text: &str) -> String {
        let mut command = Command::new("python3");
        command.arg(deploy().join("validate.py")).arg(&self.validators).args([kind, "-"]);
        let mut child = command
            .current_dir(deploy().join("compose"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let findings = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!findings.is_empty())), "{findings}");
        findings
    }
}

#[test]
fn the_compose_file_follows_its_schema_and_names_what_is_there() {
    let Some(judge) = Judge::find("the_compose_file_follows_its_schema_and_names_what_is_there") else {
        return;
    };
    let compose = std::fs::read_to_string(deploy().join("compose/compose.yaml")).unwrap();
    assert_eq!(judge.judge("compose", &compose), "");
    for (right, wrong, finding) in [
        ("postgres:14.23-bookworm", "postgres:latest", "image postgres:latest is not pinned"),
        ("restart: on-failure", "restrat: on-failure", "restrat"),
        ("condition: service_completed_successfully", "condition: done", "done"),
        ("./seed.sql:", "./seeds.sql:", "./seeds.sql is not there"),
        ("cleave-engine.sh", "cleave-motor.sh", "cleave-motor.sh is no script"),
        ("secrets: [target_password]", "secrets: [password]", "secret password is not defined"),
    ] {
        let findings = judge.judge("compose", &compose.replacen(right, wrong, 1));
        assert!(findings.contains(finding), "{wrong}: {findings}");
    }
}

#[test]
fn every_overlay_and_step_for_kubernetes_follows_its_schemas_and_the_restricted_level() {
    let test = "every_overlay_and_step_for_kubernetes_follows_its_schemas_and_the_restricted_level";
    let Some(judge) = Judge::find(test) else { return };
    if !is_in_path("kubectl") {
        return skipped(test, "no kubectl in PATH");
    }
    let kubernetes = deploy().join("kubernetes");
    let demo = kubernetes.join("overlays/demo");
    let made = Command::new("sh").arg(demo.join("secrets.sh")).status().unwrap();
    assert!(made.success());
    let build = |folder: &str| {
        let output = Command::new("kubectl").arg("kustomize").arg(kubernetes.join(folder)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let folders = ["overlays/demo", "overlays/production", "steps/upgrade", "steps/verify", "steps/cutover"]
        .map(|folder| (folder, build(folder)));
    for (folder, manifests) in &folders {
        assert_eq!(judge.judge("kubernetes", manifests), "", "{folder}");
    }
    let (_, manifests) = &folders[0];
    for (right, wrong, finding) in [
        ("runAsNonRoot: true", "runAsNonRoot: false", "may run as root"),
        ("replicas: 1", "replica: 1", "replica"),
        ("          drop:\n            - ALL", "          drop: []", "keeps capabilities"),
        ("image: cleave:local", "image: cleave", "is not pinned"),
        ("containerPort: 9732", "containerPort: many", "many"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "may write to its image"),
    ] {
        let findings = judge.judge("kubernetes", &manifests.replacen(right, wrong, 1));
        assert!(findings.contains(finding), "{wrong}: {findings}");
    }
}

#[test]
fn scripts_of_deployments_are_shell_that_parses() {
    for entry in std::fs::read_dir(deploy().join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        let shell =
            if std::fs::read_to_string(&path).unwrap().starts_with("#!/bin/bash") { "bash" } else { "sh" };
        assert!(Command::new(shell).arg("-n").arg(&path).status().unwrap().success(), "{}", path.display());
    }
}

#[test]
fn the_unit_for_systemd_has_nothing_that_systemd_does_not_know() {
    if !is_in_path("systemd-analyze") {
        return skipped(
            "the_unit_for_systemd_has_nothing_that_systemd_does_not_know",
            "no systemd-analyze in PATH",
        );
    }
    let runner = Runner::new();
    let unit = std::fs::read_to_string(deploy().join("systemd/cleave.service")).unwrap();
    // The program is where this machine has it; all else is as it is given away.
    let unit = unit.replace("/usr/local/bin/cleave", env!("CARGO_BIN_EXE_cleave"));
    let path = runner.path().join("cleave.service");
    let verify = |unit: &str| {
        std::fs::write(&path, unit).unwrap();
        let output =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines()
            .filter(|line| line.contains("cleave.service"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    assert_eq!(verify(&unit), "");
    assert!(verify(&unit.replace("WatchdogSec", "WatchdogSeconds")).contains("WatchdogSeconds"));
}

/// The scripts with what containers would give them: the program in the path, a configuration, addresses.
struct Stage {
    runner: Runner,
    environment: Vec<(String, String)>,
}

impl Stage {
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(deploy().join("scripts").join(script));
        let program = Path::new(env!("CARGO_BIN_EXE_cleave")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        command.env_clear().env("PATH", path).current_dir(self.runner.path()).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    async fn output(&self, script: &str) -> Output {
        let mut command = self.command(script);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

/// Ended when dropped.
struct Running(Child);

impl Running {
    fn terminate(mut self) -> Option<i32> {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_of_the_containers_run_an_upgrade_up_to_the_cutover() {
    let test = "the_scripts_of_the_containers_run_an_upgrade_up_to_the_cutover";
    let knows_upgrade = Runner::new().command(&["upgrade", "--help"]).output().unwrap().status.success();
    if !knows_upgrade || !is_in_path("psql") {
        return skipped(test, "no `cleave upgrade` or no psql");
    }
    let source = TestDatabase::create(Version::V14, "deploy_source").await.unwrap();
    let target = TestDatabase::create(Version::V16, "deploy_target").await.unwrap();
    let seed = std::fs::read_to_string(deploy().join("compose/seed.sql")).unwrap();
    let session = source.connect().await.unwrap();
    session
        .batch_execute(
            "do $$ begin if not exists (select from pg_roles where rolname = 'app') then create role app; end if; end $$; \
             alter role app login password 'for the load'",
        )
        .await
        .unwrap();
    session.batch_execute(&seed).await.unwrap();
    let config = std::fs::read_to_string(deploy().join("compose/cleave.toml")).unwrap();
    let config = config.replace("/run/secrets/", "");
    // The pooler is another test's.
    let config: String = config
        .lines()
        .filter(|line| !line.starts_with("pgbouncer"))
        .map(|line| format!("{line}\n"))
        .collect();
    let runner = Runner::with_config(&config);
    let write = |name: &str, text: &str| std::fs::write(runner.path().join(name), text).unwrap();
    write("old_url", &source.url());
    write("new_url", &target.url());
    write("app_password", "for the load\n");
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let environment = [
        ("CLEAVE_CONFIG", "cleave.toml".to_owned()),
        ("CLEAVE_LISTEN", listen.clone()),
        ("CLEAVE_PROBE", listen),
        ("PGHOST", "127.0.0.1".to_owned()),
        ("PGPORT", source.cluster().port().to_string()),
        ("PGUSER", "app".to_owned()),
        ("PGDATABASE", source.name().to_owned()),
        ("LOAD_PASSWORD_FILE", "app_password".to_owned()),
    ];
    let stage =
        Stage { runner, environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec() };

    let load = Running(stage.command("cleave-load.sh").stdout(Stdio::null()).spawn().unwrap());
    let upgraded = stage.output("cleave-upgrade.sh").await;
    assert!(upgraded.status.success(), "{}", stage.runner.show(&upgraded));
    let engine = Running(
        stage.command("cleave-engine.sh").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
    );
    while !stage.output("cleave-probe.sh").await.status.success() {
        tokio::task::yield_now().await;
    }
    let mut cutover = stage.runner.command(&["cutover", "upgrade", "--yes"]);
    let switched = tokio::task::spawn_blocking(move || cutover.output().unwrap()).await.unwrap();
    assert!(switched.status.success(), "{}", stage.runner.show(&switched));
    drop(load);
    // All that was written before the switch is there, and the old server takes no more.
    let count = "select count(*)::text from shop_order";
    let counted = |database: TestDatabase| async move {
        let row = database.connect().await.unwrap().query_one(count, &[]).await.unwrap();
        row.get::<_, String>(0)
    };
    let refused = session.batch_execute("insert into shop_order (customer_id, amount) values (1, 1)").await;
    assert!(refused.is_err(), "the old server takes writes after the cutover");
    assert_eq!(counted(source).await, counted(target).await);
    assert_eq!(engine.terminate(), Some(0));
}
