//! Where and as whom to connect: a parsed URL or connection string.
//!
//! Hosts, credentials and timeouts are parsed by `tokio_postgres::Config`; TLS is ours (see [`crate::transport`]).

mod conninfo;
mod libpq;
mod tls;

pub use tls::{RootCertificates, SslMode, TlsSettings};

use crate::PgError;
use std::{error::Error, fmt, net::IpAddr, path::PathBuf, time::Duration};
use tokio_postgres::config::{ChannelBinding, Host, LoadBalanceHosts, TargetSessionAttrs};

/// Limit for one attempt to connect, when the connection string has no `connect_timeout`: a server that is not there
/// should not hold a command for the minutes that TCP would.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database to connect to. Neither `Debug` nor `Display` shows the password.
#[derive(Clone)]
pub struct Endpoint {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: TlsSettings,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) servers: Vec<Server>,
}

/// One host of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// A name to resolve, unless `address` is given (`hostaddr`); the name is what a certificate must carry.
    Tcp { name: String, address: Option<IpAddr>, port: u16 },
    /// The socket itself, `.s.PGSQL.5432` included.
    Unix { socket: PathBuf },
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port, .. } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp { name, port, .. } => write!(f, "{name}:{port}"),
            Self::Unix { socket } => write!(f, "{}", socket.display()),
        }
    }
}

impl Endpoint {
    /// Reads a `postgres://` URL or `keyword=value` pairs (manual 34.1.1). A user and a host must be in it; the
    /// database defaults to the user's name.
    ///
    /// # Errors
    /// [`PgError::InvalidEndpoint`]; it never repeats the text.
    pub fn parse(text: &str) -> Result<Self, PgError> {
        let invalid = |reason: String| PgError::InvalidEndpoint { reason };
        let split = conninfo::split(text)?;
        let tls = TlsSettings::from_options(&split.ours)?;
        let config: tokio_postgres::Config =
            split.rest.parse().map_err(|error| invalid(parse_failure(&error)))?;
        if config.get_load_balance_hosts() != LoadBalanceHosts::Disable {
            return Err(invalid(
                "load_balance_hosts is not supported: hosts are tried in their order".into(),
            ));
        }
        let user = config.get_user().filter(|user| !user.is_empty()).map(str::to_owned);
        let user =
            user.ok_or_else(|| invalid("it names no user: write postgres://user@host/database".into()))?;
        let database = config.get_dbname().filter(|name| !name.is_empty()).unwrap_or(&user).to_owned();
        let servers = servers(&config)?;
        let mut endpoint = Self { config, tls, user, database, servers };
        endpoint.config.dbname(endpoint.database.as_str());
        Ok(endpoint)
    }

    /// `postgres://films_svc@db1:5432/products`, for messages.
    pub fn display(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(Server::to_string).collect();
        format!("postgres://{}@{}/{}", self.user, servers.join(","), self.database)
    }

    /// The first host: a name, an address, or the directory of a socket.
    pub fn host(&self) -> String {
        match self.servers.first() {
            Some(Server::Tcp { name, .. }) => name.clone(),
            Some(Server::Unix { socket }) => {
                socket.parent().map(|folder| folder.display().to_string()).unwrap_or_default()
            }
            None => String::new(),
        }
    }

    /// The first host's port.
    pub fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(5432)
    }

    /// The role to log in as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database's name on its server.
    pub fn dbname(&self) -> &str {
        &self.database
    }

    /// How the connection is encrypted.
    pub fn tls(&self) -> &TlsSettings {
        &self.tls
    }

    /// The same server, another `application_name`.
    #[must_use]
    pub fn with_application_name(mut self, name: &str) -> Self {
        self.config.application_name(name);
        self
    }

    /// The same server and role, another database.
    #[must_use]
    pub fn with_dbname(mut self, database: &str) -> Self {
        self.database = database.to_owned();
        self.config.dbname(database);
        self
    }

    /// The same server and database, another role.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        self.user = user.to_owned();
        self.config.user(user).password(password);
        self
    }

    pub(crate) fn password(&self) -> Option<&[u8]> {
        self.config.get_password()
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT)
    }

    pub(crate) fn wants_writable(&self) -> Option<bool> {
        match self.config.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => Some(true),
            TargetSessionAttrs::ReadOnly => Some(false),
            _ => None,
        }
    }

    pub(crate) fn channel_binding(&self) -> ChannelBinding {
        self.config.get_channel_binding()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.display())
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// The driver's words, but an unknown option only where it is one of libpq's: a password with a blank in it would
/// otherwise be read as an option and be shown.
fn parse_failure(error: &tokio_postgres::Error) -> String {
    const NOT_SUPPORTED: [&str; 14] = [
        "passfile",
        "service",
        "sslcrl",
        "sslcrldir",
        "sslpassword",
        "sslcertmode",
        "sslsni",
        "sslcompression",
        "krbsrvname",
        "gsslib",
        "requirepeer",
        "require_auth",
        "replication",
        "client_encoding",
    ];
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    match cause.strip_prefix("unknown option `").and_then(|rest| rest.strip_suffix('`')) {
        Some(option) if NOT_SUPPORTED.contains(&option) => format!("the option {option} is not supported"),
        Some(_) => {
            "it has an option that is not supported (or a value with a blank that is not quoted)".into()
        }
        None => cause,
    }
}

fn servers(config: &tokio_postgres::Config) -> Result<Vec<Server>, PgError> {
    let invalid = |reason: &str| PgError::InvalidEndpoint { reason: reason.to_owned() };
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(invalid("it names no host: write postgres://user@host/database"));
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(invalid("host and hostaddr have different counts"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(invalid("there are several ports, but not one for each host"));
    }
    let server = |at: usize| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let address = addresses.get(at).copied();
        match hosts.get(at) {
            Some(Host::Unix(folder)) => Server::Unix { socket: folder.join(format!(".s.PGSQL.{port}")) },
            Some(Host::Tcp(name)) => Server::Tcp { name: name.clone(), address, port },
            None => Server::Tcp { name: address.map(|a| a.to_string()).unwrap_or_default(), address, port },
        }
    };
    let servers: Vec<Server> = (0..count).map(server).collect();
    for server in &servers {
        if let Server::Tcp { name, .. } = server {
            // What stands behind an unescaped `@` is the rest of a password: refuse it before it shows as a host.
            if name.contains('@') {
                return Err(invalid("the user or password has an `@` that must be written as %40"));
            }
            if name.is_empty() {
                return Err(invalid("it names no host: write postgres://user@host/database"));
            }
        }
    }
    Ok(servers)
}

#[cfg(test)]
mod tests;
