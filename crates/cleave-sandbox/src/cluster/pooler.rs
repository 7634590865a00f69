//! A throw-away PgBouncer before throw-away clusters.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::account::Account;
use super::connect;
use super::installation::folders;
use super::server::Layout;
use super::setup::{claim_folder, free_port};
use super::watchdog::Watchdog;
use crate::Error;

/// How long PgBouncer may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running PgBouncer that trusts everybody on this machine; it is gone when this is dropped, and also when the
/// process that owns it ends in any way. Its databases stand in an included file, as a tool that changes them likes it.
#[derive(Debug)]
pub struct Pooler {
    layout: Layout,
    port: u16,
    process: Child,
    /// Dropped last: it removes the folder.
    _watchdog: Watchdog,
}

impl Pooler {
    /// True where PgBouncer is installed, or was fetched by `cargo xtask servers`.
    pub fn is_there() -> bool {
        program().is_some()
    }

    /// Starts one. `databases` are lines of its section `[databases]`, `pool_mode` is its default mode.
    ///
    /// # Errors
    /// When there is no PgBouncer, no user to run it as, or it does not answer; then its log is part of the message.
    pub async fn start(databases: &[String], pool_mode: &str) -> Result<Self, Error> {
        let (program, libraries) = program().ok_or(Error::NoPooler)?;
        let account = Account::choose()?;
        let parent = std::env::temp_dir();
        account.demand_entry(&parent, "set TMPDIR to a folder that all users can enter")?;
        let (layout, watchdog) = claim_folder(&parent, &account)?;
        let port = free_port()?;
        let file = |name: &str| layout.folder.join(name);
        let main = format!(
            "%include {}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\nadmin_users = postgres\npool_mode = {pool_mode}\n\
             max_client_conn = 200\nignore_startup_parameters = extra_float_digits,options\n\
             server_login_retry = 1\n",
            file("databases.ini").display(),
            file("users.txt").display()
        );
        write(&file("users.txt"), "\"postgres\" \"\"\n", &account)?;
        write(&file("databases.ini"), &format!("[databases]\n{}\n", databases.join("\n")), &account)?;
        write(&file("pgbouncer.ini"), &main, &account)?;
        let log_path = layout.log();
        let log = File::create(&log_path).map_err(Error::file("create", &log_path))?;
        let errors = log.try_clone().map_err(Error::file("open", &log_path))?;
        let mut command = layout.command(&account, &program);
        command.env("LD_LIBRARY_PATH", libraries).arg(file("pgbouncer.ini")).stdout(log).stderr(errors);
        let process = command.spawn().map_err(|source| Error::Program { program, source })?;
        let pooler = Self { layout, port, process, _watchdog: watchdog };
        pooler.wait().await?;
        Ok(pooler)
    }

    /// The file with the lines of its databases.
    pub fn databases_file(&self) -> PathBuf {
        self.layout.folder.join("databases.ini")
    }

    /// The end of its log, for messages of tests that fail.
    pub fn log_tail(&self) -> String {
        self.layout.log_tail()
    }

    /// The URL of its console.
    pub fn console_url(&self) -> String {
        self.url("pgbouncer")
    }

    /// The URL of one of its databases.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    async fn wait(&self) -> Result<(), Error> {
        let began = Instant::now();
        // The console takes simple queries only; being let in is answer enough.
        while let Err(error) = connect(&self.console_url()).await {
            if began.elapsed() > PATIENCE {
                let log = self.layout.log_tail();
                return Err(Error::PoolerNotReady { log, source: Box::new(error) });
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // Both fail only if the process has been reaped already.
        drop(self.process.kill());
        drop(self.process.wait());
        self.layout.forget_pid();
    }
}

fn write(path: &Path, text: &str, account: &Account) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::file("write", path))?;
    account.give(path)
}

/// The program, and the folder with libraries that were fetched with it.
fn program() -> Option<(PathBuf, PathBuf)> {
    let fetched = folders().into_iter().map(|folder| folder.join("pgbouncer"));
    let found =
        fetched.filter_map(|home| Some((home.join("sbin/pgbouncer").canonicalize().ok()?, home.join("lib"))));
    let installed = PathBuf::from("/usr/sbin/pgbouncer");
    found.chain(installed.is_file().then(|| (installed, PathBuf::new()))).next()
}
