//! SQL connections: the driver's client over our transport, with settings pinned and a task that drives it.

mod driver;
mod pooler;
mod settings;

pub use driver::{Notice, Notification};
pub use pooler::{PoolMode, PooledDatabase, PoolerConsole};
pub(crate) use settings::startup_options;

use crate::{
    During, Endpoint, PgError,
    transport::{self, Startup, Stream, Target},
};
use driver::{Driver, Inbox};
use std::{
    convert::Infallible,
    fmt,
    future::{self, Ready},
    ops::{Deref, DerefMut},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{broadcast, oneshot},
};
use tokio_postgres::{
    CancelToken, Client, Config, SimpleQueryMessage,
    config::{SslMode, SslNegotiation},
    tls::{ChannelBinding, TlsConnect, TlsStream},
};

/// Limit for a cancel request: it goes over a connection of its own.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// A SQL connection. Dereferences to the driver's client; [`During`] turns the driver's errors into ours.
///
/// Dropped while a statement runs, it cancels the statement and closes the connection after a second, so that nothing
/// goes on at the server that nobody waits for.
pub struct Session {
    client: Client,
    canceller: Canceller,
    inbox: Arc<Inbox>,
    backend_pid: i32,
    server_version_num: u32,
    _closing: oneshot::Sender<Infallible>,
}

/// Opens a SQL connection: `application_name` becomes `cleave <purpose>`, and everything that changes how values read
/// or names resolve is pinned (see `settings`). Time limits of the server are off: each user of a session sets its own.
///
/// # Errors
/// Every kind of [`PgError`] that concerns connecting.
pub async fn connect(endpoint: &Endpoint, purpose: &str) -> Result<Session, PgError> {
    transport::connect(endpoint, &SqlStartup { purpose }).await
}

struct SqlStartup<'a> {
    purpose: &'a str,
}

impl Startup for SqlStartup<'_> {
    type Session = Session;

    async fn start(&self, stream: Stream, target: &Target) -> Result<Session, PgError> {
        let session = open(stream, target, self.purpose).await?;
        let what = format!("preparing a session on {}", target.server);
        session.batch_execute(&settings::statements(session.server_version_num)).await.during(&what)?;
        // Not prepared: this much works through a pooler that shares processes, so that it can be recognised.
        let sql = "select pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery()";
        let messages = session.simple_query(sql).await.during(&what)?;
        let values = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0)?.parse().ok()?, row.get(1)? == "t")),
            _ => None,
        });
        let Some((backend_pid, in_recovery)) = values else {
            return Err(PgError::protocol(what, "no process id"));
        };
        if target.endpoint.wants_writable() == Some(in_recovery) {
            return Err(PgError::other_kind(what));
        }
        Ok(Session { backend_pid, ..session })
    }
}

async fn open(stream: Stream, target: &Target, purpose: &str) -> Result<Session, PgError> {
    let endpoint = &target.endpoint;
    let mut config: Config = endpoint.config.clone();
    config.application_name(format!("cleave {purpose}"));
    // The stream is as encrypted as it will be; `Direct` makes the driver ask it for its channel binding at once.
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let (client, connection) =
        config.connect_raw(Prepared::new(stream), AsItIs).await.map_err(|error| refusal(target, &error))?;
    let server_version_num =
        connection.parameter("server_version").and_then(settings::version_num).unwrap_or_default();
    let canceller = Canceller { token: client.cancel_token(), target: target.clone() };
    let inbox = Arc::new(Inbox::default());
    let (closing, closed) = oneshot::channel();
    let driver = Driver { connection, inbox: Arc::clone(&inbox), canceller: canceller.clone() };
    tokio::spawn(driver.run(closed));
    Ok(Session { client, canceller, inbox, backend_pid: 0, server_version_num, _closing: closing })
}

fn refusal(target: &Target, error: &tokio_postgres::Error) -> PgError {
    let (server, user) = (target.server.as_str(), target.endpoint.user());
    if let Some(report) = error.as_db_error() {
        return PgError::from_startup(server, user, crate::ServerError::from_db_error(report));
    }
    match PgError::from_driver(&format!("connecting to {server}"), error) {
        PgError::Protocol { .. } if target.endpoint.password().is_none() => {
            PgError::no_password(server, user)
        }
        error => error,
    }
}

impl Session {
    /// The process at the server, as `pg_stat_activity` and `pg_locks` name it.
    pub fn backend_pid(&self) -> i32 {
        self.backend_pid
    }

    /// `server_version_num`: 140000 to 189999 for the versions served.
    pub fn server_version_num(&self) -> u32 {
        self.server_version_num
    }

    /// Asks the server to stop the statement that is running, over a connection of its own. No answer tells whether
    /// there was one: the statement fails with 57014, or ends as it would have.
    ///
    /// # Errors
    /// The server cannot be reached for the request.
    pub async fn cancel(&self) -> Result<(), PgError> {
        self.canceller.cancel().await
    }

    /// A handle that cancels while the session is borrowed.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Takes the notices and warnings that came since the last call: the newest 100.
    pub fn notices(&self) -> Vec<Notice> {
        self.inbox.take_notices()
    }

    /// Notifications of the channels that this session listens on, from now on. A reader that lags by more than 256
    /// is told that it missed some.
    pub fn notifications(&self) -> broadcast::Receiver<Notification> {
        self.inbox.subscribe()
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = &self.canceller.target.endpoint;
        f.debug_struct("Session").field("endpoint", endpoint).field("backend_pid", &self.backend_pid).finish()
    }
}

/// Cancels what a session runs.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    target: Target,
}

impl Canceller {
    /// See [`Session::cancel`]. Returns when the server has closed the request's connection: it signals a session more than
    /// once, and a signal that comes late would end the session's next statement.
    ///
    /// # Errors
    /// The server cannot be reached for the request.
    pub async fn cancel(&self) -> Result<(), PgError> {
        let what = format!("sending a cancel request to {}", self.target.server);
        transport::within(CANCEL_LIMIT, &what, async {
            let stream = self.target.open().await?;
            let request = Prepared { waits_for_end: true, ..Prepared::new(stream) };
            self.token.cancel_query_raw(request, AsItIs).await.during(&what)
        })
        .await
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("endpoint", &self.target.endpoint).finish_non_exhaustive()
    }
}

/// "TLS" for the driver: the stream is ready, nothing is to be done.
struct AsItIs;

impl TlsConnect<Prepared> for AsItIs {
    type Stream = Prepared;
    type Error = Infallible;
    type Future = Ready<Result<Prepared, Infallible>>;

    fn connect(self, stream: Prepared) -> Self::Future {
        future::ready(Ok(stream))
    }
}

/// Our stream as the driver wants it.
struct Prepared {
    stream: Stream,
    /// A shutdown of this side ends only when the server has closed the other one.
    waits_for_end: bool,
}

impl Prepared {
    const fn new(stream: Stream) -> Self {
        Self { stream, waits_for_end: false }
    }
}

impl TlsStream for Prepared {
    fn channel_binding(&self) -> ChannelBinding {
        let binding = self.stream.channel_binding().map(<[u8]>::to_vec);
        binding.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl AsyncRead for Prepared {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Prepared {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        while self.waits_for_end {
            let mut bytes = [0; 64];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            self.waits_for_end = read.is_ok() && !buffer.filled().is_empty();
        }
        Poll::Ready(Ok(()))
    }
}
