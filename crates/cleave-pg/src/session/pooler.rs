//! The admin console of PgBouncer (its manual, section "Admin console"): simple queries only, and none of the settings
//! that a session with PostgreSQL gets.

use super::{AsItIs, Prepared, refusal};
use crate::{
    During, Endpoint, PgError,
    transport::{self, Startup, Stream, Target},
};
use std::fmt;
use tokio_postgres::{
    Client, SimpleQueryMessage, SimpleQueryRow,
    config::{SslMode, SslNegotiation},
};

/// A connection to the console. A command that waits (`PAUSE`) goes on at PgBouncer when this is dropped.
pub struct PoolerConsole {
    client: Client,
    server: String,
}

/// A line of `SHOW DATABASES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PooledDatabase {
    /// The name that clients use.
    pub name: String,
    /// `None`: the local socket.
    pub host: Option<String>,
    /// Port.
    pub port: String,
    /// Name at the server.
    pub database: String,
    /// The role that every client becomes, if it is a fixed one.
    pub force_user: Option<String>,
    /// Where the database has no mode of its own, PgBouncer's default.
    pub pool_mode: PoolMode,
    /// True after `PAUSE`.
    pub paused: bool,
}

/// When a server connection goes back into the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// When the client disconnects.
    Session,
    /// When the transaction ends.
    Transaction,
    /// When the statement ends.
    Statement,
}

impl PoolMode {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "session" => Some(Self::Session),
            "transaction" => Some(Self::Transaction),
            "statement" => Some(Self::Statement),
            _ => None,
        }
    }
}

struct ConsoleStartup;

impl Startup for ConsoleStartup {
    type Session = PoolerConsole;

    async fn start(&self, stream: Stream, target: &Target) -> Result<PoolerConsole, PgError> {
        let endpoint = &target.endpoint;
        let mut config = tokio_postgres::Config::new();
        config.user(endpoint.user()).dbname(endpoint.dbname()).application_name("cleave pooler");
        if let Some(password) = endpoint.password() {
            config.password(password);
        }
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        let connected = config.connect_raw(Prepared::new(stream), AsItIs).await;
        let (client, connection) = connected.map_err(|error| refusal(target, &error))?;
        tokio::spawn(async move {
            // An error shows at the client's next command.
            let _ended = connection.await;
        });
        Ok(PoolerConsole { client, server: target.server.clone() })
    }
}

impl PoolerConsole {
    /// Connects to the console; its database is called `pgbouncer`.
    ///
    /// # Errors
    /// Every kind of [`PgError`] that concerns connecting.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, PgError> {
        transport::connect(endpoint, &ConsoleStartup).await
    }

    /// `SHOW DATABASES`.
    ///
    /// # Errors
    /// What PgBouncer says, or a column that this version of it does not have.
    pub async fn databases(&self) -> Result<Vec<PooledDatabase>, PgError> {
        let default = self.default_mode().await?;
        let rows = self.rows("show databases").await?;
        rows.iter().map(|row| self.database(row, default)).collect()
    }

    /// Holds the clients of a database back once what they are at has ended; waits for that. The caller limits the
    /// wait, and resumes where it gives up.
    ///
    /// # Errors
    /// What PgBouncer says.
    pub async fn pause(&self, name: &str) -> Result<(), PgError> {
        self.command(&format!("pause {}", quoted(name))).await
    }

    /// Lets the clients of a database that is paused go on.
    ///
    /// # Errors
    /// What PgBouncer says.
    pub async fn resume(&self, name: &str) -> Result<(), PgError> {
        self.command(&format!("resume {}", quoted(name))).await
    }

    /// Reads the configuration files again. Server connections that lead elsewhere than the file says are closed when
    /// their pool gets them back.
    ///
    /// # Errors
    /// What PgBouncer says.
    pub async fn reload(&self) -> Result<(), PgError> {
        self.command("reload").await
    }

    async fn command(&self, command: &str) -> Result<(), PgError> {
        self.rows(command).await.map(drop)
    }

    async fn rows(&self, command: &str) -> Result<Vec<SimpleQueryRow>, PgError> {
        let what = format!("`{command}` at PgBouncer {}", self.server);
        let messages = self.client.simple_query(command).await.during(&what)?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.collect())
    }

    async fn default_mode(&self) -> Result<PoolMode, PgError> {
        let rows = self.rows("show config").await?;
        let row = rows.iter().find(|row| row.try_get("key").ok().flatten() == Some("pool_mode"));
        let mode = row.and_then(|row| row.try_get("value").ok().flatten());
        mode.and_then(PoolMode::parse).ok_or_else(|| self.unexpected("its configuration has no pool_mode"))
    }

    fn database(&self, row: &SimpleQueryRow, default: PoolMode) -> Result<PooledDatabase, PgError> {
        let text = |column: &str| row.try_get(column).ok().flatten().filter(|text| !text.is_empty());
        let needed = |column: &str| {
            text(column)
                .map(str::to_owned)
                .ok_or_else(|| self.unexpected(&format!("a database without {column}")))
        };
        Ok(PooledDatabase {
            name: needed("name")?,
            host: text("host").map(str::to_owned),
            port: needed("port")?,
            database: needed("database")?,
            force_user: text("force_user").map(str::to_owned),
            pool_mode: text("pool_mode").and_then(PoolMode::parse).unwrap_or(default),
            paused: text("paused").is_some_and(|paused| paused != "0"),
        })
    }

    fn unexpected(&self, reason: &str) -> PgError {
        PgError::Protocol {
            what: format!("talking to PgBouncer {}", self.server),
            reason: format!("{reason}; is it the admin console?"),
        }
    }
}

impl fmt::Debug for PoolerConsole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolerConsole").field("server", &self.server).finish_non_exhaustive()
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
