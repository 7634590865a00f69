//! Sockets and TLS for both kinds of connection: the only place that dials.
//!
//! - [`stream`]: the byte stream, plain or encrypted.
//! - [`tls`]: certificates and their verification; [`binding`]: what SCRAM binds to the channel.

mod binding;
mod stream;
mod tls;

pub(crate) use stream::Stream;

use crate::{Endpoint, PgError, SslMode, endpoint::Server};
use socket2::{SockRef, TcpKeepalive};
use std::{io, net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};
use tokio_postgres::config::SslNegotiation;

/// A peer that vanished without a word is noticed after a minute at most, on idle connections too; a connection string
/// that says otherwise wins.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
/// The driver's value for `keepalives_idle` when the connection string has none.
const KEEPALIVE_IDLE_UNSET: Duration = Duration::from_secs(2 * 60 * 60);

/// `SSLRequest` (manual 55.7): length and code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// One concrete place to connect to, and whether with TLS: enough to reach the same server again for a cancel
/// request.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    /// As messages name it.
    pub(crate) server: String,
    address: Address,
    encrypted: bool,
}

#[derive(Clone, Debug)]
enum Address {
    Tcp { address: SocketAddr, name: String },
    Unix(PathBuf),
}

/// What is done with a fresh stream to make it a session.
pub(crate) trait Startup: Sync {
    /// The session.
    type Session: Send;

    /// Authenticates and sets up.
    fn start(
        &self,
        stream: Stream,
        target: &Target,
    ) -> impl Future<Output = Result<Self::Session, PgError>> + Send;
}

/// Connects to the first host of the endpoint that answers. A host that answers with a refusal (a wrong password, no
/// such database) ends the search, as in libpq (manual 34.1.1.3); one that is not ready or not of the wanted kind does
/// not.
pub(crate) async fn connect<S: Startup>(endpoint: &Endpoint, startup: &S) -> Result<S::Session, PgError> {
    let mut failure = None;
    for server in &endpoint.servers {
        for address in addresses(server, endpoint.connect_timeout()).await.unwrap_or_else(|error| {
            failure.get_or_insert(error);
            Vec::new()
        }) {
            let target =
                Target { endpoint: endpoint.clone(), server: server.to_string(), address, encrypted: false };
            match attempt(target, startup).await {
                Ok(session) => return Ok(session),
                Err(error) if error.is_connection_lost() => {
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Err(failure.unwrap_or_else(|| PgError::Unreachable {
        server: endpoint.display(),
        source: io::Error::new(io::ErrorKind::NotFound, "the host name has no address"),
    }))
}

async fn addresses(server: &Server, limit: Duration) -> Result<Vec<Address>, PgError> {
    match server {
        Server::Unix { socket } => Ok(vec![Address::Unix(socket.clone())]),
        Server::Tcp { name, address: Some(address), port } => {
            Ok(vec![Address::Tcp { address: SocketAddr::new(*address, *port), name: name.clone() }])
        }
        Server::Tcp { name, port, .. } => {
            let found = within(limit, &format!("looking up {name}"), async {
                lookup_host((name.as_str(), *port)).await.map_err(|source| unreachable_at(server, source))
            })
            .await?;
            Ok(found.map(|address| Address::Tcp { address, name: name.clone() }).collect())
        }
    }
}

fn unreachable_at(server: &impl ToString, source: io::Error) -> PgError {
    PgError::Unreachable { server: server.to_string(), source }
}

/// One address: with TLS if the mode says so, and for `prefer` without it where that is what fails (manual 34.19.3).
async fn attempt<S: Startup>(mut target: Target, startup: &S) -> Result<S::Session, PgError> {
    let mode = match target.address {
        // sslmode is ignored on Unix sockets.
        Address::Unix(_) => SslMode::Disable,
        Address::Tcp { .. } => target.endpoint.tls.mode,
    };
    target.encrypted = mode != SslMode::Disable;
    let first = attempt_once(&target, startup).await;
    match first {
        Err(PgError::Tls { .. } | PgError::NotAdmitted { .. }) if mode == SslMode::Prefer => {
            target.encrypted = false;
            attempt_once(&target, startup).await
        }
        first => first,
    }
}

async fn attempt_once<S: Startup>(target: &Target, startup: &S) -> Result<S::Session, PgError> {
    let what = format!("connecting to {}", target.server);
    within(target.endpoint.connect_timeout(), &what, async {
        let stream = target.open().await?;
        startup.start(stream, target).await
    })
    .await
}

/// Runs something for at most `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, PgError>>,
) -> Result<T, PgError> {
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let late = |_| PgError::Timeout { what: what.to_owned(), limit_ms };
    timeout(limit, work).await.map_err(late)?
}

impl Target {
    /// Dials and, if this target is encrypted, shakes hands.
    pub(crate) async fn open(&self) -> Result<Stream, PgError> {
        let unreachable = |source| unreachable_at(&self.server, source);
        let (tcp, name) = match &self.address {
            Address::Unix(socket) => {
                return Ok(Stream::unix(UnixStream::connect(socket).await.map_err(unreachable)?));
            }
            Address::Tcp { address, name } => (TcpStream::connect(address).await.map_err(unreachable)?, name),
        };
        self.tune(&tcp).map_err(unreachable)?;
        if self.encrypted { self.encrypt(tcp, name).await } else { Ok(Stream::tcp(tcp)) }
    }

    fn tune(&self, tcp: &TcpStream) -> io::Result<()> {
        let config = &self.endpoint.config;
        tcp.set_nodelay(true)?;
        let socket = SockRef::from(tcp);
        if config.get_keepalives() {
            let idle = Some(config.get_keepalives_idle()).filter(|idle| *idle != KEEPALIVE_IDLE_UNSET);
            let keepalive = TcpKeepalive::new()
                .with_time(idle.unwrap_or(KEEPALIVE_IDLE))
                .with_interval(config.get_keepalives_interval().unwrap_or(KEEPALIVE_INTERVAL))
                .with_retries(config.get_keepalives_retries().unwrap_or(KEEPALIVE_RETRIES));
            socket.set_tcp_keepalive(&keepalive)?;
        }
        #[cfg(target_os = "linux")]
        {
            // Keepalives are not sent while sent data waits for its acknowledgement: this limits that wait.
            let unacknowledged = KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_RETRIES;
            let limit = config.get_tcp_user_timeout().copied().unwrap_or(unacknowledged);
            socket.set_tcp_user_timeout(Some(limit))?;
        }
        Ok(())
    }

    async fn encrypt(&self, mut tcp: TcpStream, name: &str) -> Result<Stream, PgError> {
        let config = &self.endpoint.config;
        let mode = self.endpoint.tls.mode;
        if config.get_ssl_negotiation() == SslNegotiation::Postgres {
            let lost = |error: io::Error| unreachable_at(&self.server, error);
            tcp.write_all(&SSL_REQUEST).await.map_err(lost)?;
            // Exactly one byte: whatever a man in the middle put behind it is read by TLS, and fails there.
            let answer = tcp.read_u8().await.map_err(lost)?;
            match answer {
                b'S' => {}
                b'N' if mode == SslMode::Prefer => return Ok(Stream::tcp(tcp)),
                b'N' => return Err(self.tls_error("the server has TLS switched off (ssl = off)")),
                _ => return Err(self.tls_error("the server does not know how to negotiate TLS")),
            }
        }
        tls::handshake(tcp, name, &self.endpoint.tls).await.map_err(|reason| self.tls_error(reason))
    }

    fn tls_error(&self, reason: impl Into<String>) -> PgError {
        PgError::Tls { server: self.server.clone(), reason: reason.into() }
    }
}
