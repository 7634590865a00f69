//! What people clone a database with. One that is not on this machine is left out, with the reason.

use super::JOBS;
use super::data::{KEYS, Source, TABLES, expect_same};
use crate::arena::Failure;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(900);
const PIPES: &str = "the limit, pipes of binary COPY by hand";

/// A way to clone.
#[derive(Clone, Debug)]
pub(super) enum Rival {
    /// `create subscription` into tables with all their indexes.
    Native,
    /// `pg_dump -Fd -j` and `pg_restore -j`, by version.
    Dump(String),
    /// What two cores could do at best by hand: a `psql` pipe of binary COPY per table, then two indexes at a time.
    Pipes,
    /// By version.
    Pgcopydb { name: String, program: String },
    /// It is not there.
    Missing { name: &'static str, reason: String },
}

/// All of them.
pub(super) async fn all() -> Vec<Rival> {
    let program = std::env::var("PGCOPYDB").unwrap_or_else(|_| "pgcopydb".to_owned());
    let pgcopydb = match version(&program).await {
        Some(version) => {
            let number = version.split_whitespace().last().unwrap_or_default();
            Rival::Pgcopydb { name: format!("pgcopydb {number}"), program }
        }
        None => Rival::Missing { name: "pgcopydb", reason: format!("{program} is not there") },
    };
    let dump = match version("pg_dump").await {
        Some(version) if version.contains(") 15") => Rival::Dump(format!("pg_dump and pg_restore -j{JOBS}")),
        Some(version) => {
            Rival::Missing { name: "pg_dump", reason: format!("{version} is not of version 15") }
        }
        None => Rival::Missing { name: "pg_dump", reason: "pg_dump is not there".to_owned() },
    };
    let pipes = match version("psql").await {
        Some(_) => Rival::Pipes,
        None => Rival::Missing { name: PIPES, reason: "psql is not there".to_owned() },
    };
    vec![Rival::Native, pgcopydb, dump, pipes]
}

async fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().filter(|_| output.status.success()).map(str::to_owned)
}

impl Rival {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Native => "native subscription with all indexes",
            Self::Pipes => PIPES,
            Self::Dump(name) | Self::Pgcopydb { name, .. } => name,
            Self::Missing { name, .. } => name,
        }
    }

    /// Seconds, or why there are none.
    pub(super) async fn clone(&self, source: &Source, target: &str) -> Result<Result<f64, String>, Failure> {
        let folder = std::env::temp_dir().join(format!("cleave-bench-{}", std::process::id()));
        let _absent = std::fs::remove_dir_all(&folder);
        let (from, directory) = (source.url.as_str(), folder.display().to_string());
        let jobs = JOBS.to_string();
        let began = Instant::now();
        let outcome = match self {
            Self::Missing { reason, .. } => return Ok(Err(reason.clone())),
            Self::Native => subscribe(from, target).await?,
            Self::Pipes => pipe(from, target).await?,
            Self::Pgcopydb { program, .. } => {
                let arguments = ["clone", "--source", from, "--target", target, "--dir", &directory];
                let jobs = ["--table-jobs", &jobs, "--index-jobs", &jobs];
                run(program, &[&arguments[..], &jobs[..]].concat()).await?
            }
            Self::Dump(_) => {
                let dump = ["-Fd", "-j", &jobs, "-f", &directory, "-d", from];
                match run("pg_dump", &dump).await? {
                    Ok(()) => run("pg_restore", &["-j", &jobs, "-d", target, &directory]).await?,
                    failed => failed,
                }
            }
        };
        let took = began.elapsed().as_secs_f64();
        let _absent = std::fs::remove_dir_all(&folder);
        if outcome.is_ok() {
            expect_same(target, source, "public").await?;
        }
        if matches!(self, Self::Native) {
            unsubscribe(from, target).await?;
        }
        Ok(outcome.map(|()| took))
    }
}

/// Tables, rows, indexes, statistics, as somebody would do it who needs it once and watches over it.
async fn pipe(from: &str, target: &str) -> Result<Result<(), String>, Failure> {
    let client = cleave_sandbox::connect(target).await?;
    client.batch_execute(TABLES).await?;
    let rows = |table: &str| {
        format!(
            "psql -qXd '{from}' -c 'copy {table} to stdout (format binary)' | \
             psql -qXd '{target}' -c 'copy {table} from stdin (format binary)'"
        )
    };
    let [one, two] =
        ["accounts", "orders"].map(|table| async move { run("sh", &["-c", &rows(table)]).await });
    let (one, two) = tokio::try_join!(one, two)?;
    if let Err(reason) = one.and(two) {
        return Ok(Err(reason));
    }
    let keys: Vec<&str> = KEYS.split_terminator(';').map(str::trim).filter(|sql| !sql.is_empty()).collect();
    let build = format!(
        "printf '%s\\n' \"$@\" | PGOPTIONS='-c maintenance_work_mem=1GB' xargs -d '\\n' -n 1 -P {JOBS} psql -qXd '{target}' -c"
    );
    if let Err(reason) = run("sh", &[&["-c", &build, "sh"], &keys[..]].concat()).await? {
        return Ok(Err(reason));
    }
    client.batch_execute("analyze accounts, orders").await?;
    Ok(Ok(()))
}

/// Runs a program; what it says last is the reason if it fails.
async fn run(program: &str, arguments: &[&str]) -> Result<Result<(), String>, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await??;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Err(format!("{program} failed: {}", text.lines().last().unwrap_or_default())))
}

pub(super) async fn subscribe(source: &str, target: &str) -> Result<Result<(), String>, Failure> {
    let client = cleave_sandbox::connect(target).await?;
    client.batch_execute(TABLES).await?;
    client.batch_execute(KEYS).await?;
    let publisher = cleave_sandbox::connect(source).await?;
    publisher.batch_execute("create publication clone for table accounts, orders").await?;
    let began = Instant::now();
    client
        .batch_execute(&format!("create subscription clone connection '{source}' publication clone"))
        .await?;
    let ready = "select count(*) filter (where srsubstate in ('s', 'r')) = 2 from pg_subscription_rel";
    while !client.query_one(ready, &[]).await?.get::<_, bool>(0) {
        if began.elapsed() > LIMIT {
            return Ok(Err("the subscription did not copy in time".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(Ok(()))
}

pub(super) async fn unsubscribe(source: &str, target: &str) -> Result<(), Failure> {
    cleave_sandbox::connect(target).await?.batch_execute("drop subscription clone").await?;
    Ok(cleave_sandbox::connect(source).await?.batch_execute("drop publication clone").await?)
}
