//! A throw-away PostgreSQL cluster: its folder, its server and its life. Nothing of it outlives its owner.

mod account;
pub(crate) mod installation;
mod options;
mod pooler;
mod server;
mod setup;
mod url;
mod watchdog;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cleave_model::quote_ident;
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

use self::account::Account;
pub use self::options::Options;
pub use self::pooler::Pooler;
pub use self::server::StopMode;
use self::server::{Layout, Server};
use self::watchdog::Watchdog;
use crate::{Error, Version};

/// How long a start or a stop may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the state of a server is looked at while waiting for it.
const GLANCE: Duration = Duration::from_millis(10);

/// A running, throw-away PostgreSQL server. It is stopped and its folder removed when this is dropped, and also when
/// the process that owns it ends in any way.
#[derive(Debug)]
pub struct Cluster {
    version: Version,
    layout: Layout,
    account: Account,
    program: PathBuf,
    port: u16,
    password: Option<String>,
    server: Mutex<Option<Server>>,
    /// Starts and stops come one after another.
    turn: tokio::sync::Mutex<()>,
    /// Dropped last: it removes the folder.
    _watchdog: Watchdog,
}

impl Cluster {
    /// Makes a new cluster, starts it and waits until it accepts connections (1 to 2 s).
    ///
    /// # Errors
    /// When there are no binaries of this version, no user to run them as, or the server does not start; then the end
    /// of its log is part of the message.
    pub async fn start(version: Version, options: &Options) -> Result<Self, Error> {
        let options = options.clone();
        let made = tokio::task::spawn_blocking(move || setup::make(version, &options));
        let mut cluster = match made.await {
            Ok(made) => made?,
            Err(join) => return Err(Error::Control { version, source: join.into() }),
        };
        // Another process may take the port between the moment it was found free and the server's start.
        for _ in 0..setup::PORT_ATTEMPTS {
            match cluster.launch().await {
                Err(Error::Ended { log, .. }) if log.contains("Address already in use") => {
                    cluster.port = setup::free_port()?;
                }
                result => return result.map(|()| cluster),
            }
        }
        Err(Error::NoPort)
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The server's TCP port on 127.0.0.1; it stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database as superuser `postgres` over TCP, with the password if there is one.
    pub fn url(&self, database: &str) -> String {
        url::tcp("postgres", self.password.as_deref(), self.port, database)
    }

    /// The URL of a database as another role over TCP.
    pub fn url_as(&self, role: &str, password: &str, database: &str) -> String {
        url::tcp(role, Some(password), self.port, database)
    }

    /// The URL of a database as superuser over the Unix-domain socket.
    pub fn socket_url(&self, database: &str) -> String {
        url::socket("postgres", &self.layout.sockets(), self.port, database)
    }

    /// The folder of the server's Unix-domain socket.
    pub fn socket_folder(&self) -> PathBuf {
        self.layout.sockets()
    }

    /// The server's data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.layout.data()
    }

    /// The server's log.
    pub fn log_path(&self) -> PathBuf {
        self.layout.log()
    }

    /// The process id of the running server, `None` while it is stopped.
    pub fn server_pid(&self) -> Option<u32> {
        self.lock().as_ref().map(Server::pid)
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// When the server refuses, for example because the database exists.
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        let client = connect(&self.url("postgres")).await?;
        let statement = format!("create database {}", quote_ident(name));
        client.batch_execute(&statement).await.map_err(Error::statement(format!("create database {name}")))
    }

    /// Drops a database, ending whoever uses it, replication slots included. One that does not exist is no error.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        let client = connect(&self.url("postgres")).await?;
        let statement = format!("drop database if exists {} with (force)", quote_ident(name));
        let end_readers = "select pg_terminate_backend(active_pid) from pg_replication_slots \
                           where database = $1 and active_pid is not null";
        let deadline = Instant::now() + PATIENCE;
        loop {
            // `force` does not reach the readers of logical slots, and their slot is active until they are gone.
            client
                .execute(end_readers, &[&name])
                .await
                .map_err(Error::statement(format!("end the readers of slots in database {name}")))?;
            match client.batch_execute(&statement).await {
                Ok(()) => return Ok(()),
                Err(error) if is_object_in_use(&error) && Instant::now() < deadline => sleep(GLANCE).await,
                Err(error) => return Err(Error::statement(format!("drop database {name}"))(error)),
            }
        }
    }

    /// Appends settings to `postgresql.conf`; they count from the next [`reload`](Self::reload) or
    /// [`restart`](Self::restart), depending on the parameter.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, settings: &[(&str, &str)]) -> Result<(), Error> {
        setup::append_settings(&self.layout, settings)
    }

    /// Makes the running server read its configuration files again.
    ///
    /// # Errors
    /// When the server cannot be signalled.
    pub fn reload(&self) -> Result<(), Error> {
        match self.lock().as_ref() {
            Some(server) => server.reload().map_err(|source| self.control(source)),
            None => Ok(()),
        }
    }

    /// Stops the server and keeps its data. A server that is stopped already stays so.
    ///
    /// # Errors
    /// When it has not stopped after 60 s: with [`StopMode::Smart`], because a client stays connected.
    pub async fn stop(&self, mode: StopMode) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        self.halt(mode).await
    }

    /// Stops the server if it runs, as with [`StopMode::Fast`], and starts it with the same data and port.
    ///
    /// # Errors
    /// When it does not stop or does not start.
    pub async fn restart(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        self.halt(StopMode::Fast).await?;
        self.launch().await
    }

    async fn halt(&self, mode: StopMode) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        if let Some(server) = self.lock().as_ref() {
            server.signal(mode).map_err(|source| self.control(source))?;
        }
        while self.is_running()? {
            if Instant::now() > deadline {
                return Err(Error::NotStopped { version: self.version, seconds: PATIENCE.as_secs() });
            }
            sleep(GLANCE).await;
        }
        Ok(())
    }

    /// Starts the server's process and waits until it lets us in.
    async fn launch(&self) -> Result<(), Error> {
        let server = Server::spawn(&self.layout, &self.account, &self.program, self.port)?;
        *self.lock() = Some(server);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(error) = connect(&self.socket_url("postgres")).await else { return Ok(()) };
            if let Some(status) = self.reap()? {
                let log = self.layout.log_tail();
                return Err(Error::Ended { version: self.version, status, log });
            }
            if Instant::now() > deadline {
                let log = self.layout.log_tail();
                let seconds = PATIENCE.as_secs();
                return Err(Error::NotReady { version: self.version, seconds, log, source: Box::new(error) });
            }
            sleep(GLANCE).await;
        }
    }

    fn is_running(&self) -> Result<bool, Error> {
        Ok(self.reap()?.is_none() && self.lock().is_some())
    }

    /// Takes note of the server's end: how it ended, if it has since the last time.
    fn reap(&self) -> Result<Option<std::process::ExitStatus>, Error> {
        let mut running = self.lock();
        let Some(server) = running.as_mut() else { return Ok(None) };
        let status = server.ended().map_err(|source| self.control(source))?;
        if status.is_some() {
            *running = None;
            self.layout.forget_pid();
        }
        Ok(status)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self, source: std::io::Error) -> Error {
        Error::Control { version: self.version, source }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(mut server) = self.lock().take() else { return };
        let deadline = Instant::now() + Duration::from_secs(10);
        // An immediate stop frees the server's shared memory, which SIGKILL would leave behind.
        if server.signal(StopMode::Immediate).is_ok() {
            while matches!(server.ended(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        server.kill();
        self.layout.forget_pid();
    }
}

/// Connects to a database without TLS. The connection runs on the current Tokio runtime and ends with the client.
///
/// # Errors
/// When the URL is malformed or the server does not let us in.
pub async fn connect(url: &str) -> Result<Client, Error> {
    let failed = |source| Error::Connect { place: url::without_password(url), source };
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(failed)?;
    // The client reports the end of its connection by itself.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

fn is_object_in_use(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&tokio_postgres::error::SqlState::OBJECT_IN_USE)
}
