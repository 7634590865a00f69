//! Connections: few, short, and closed after one answer.

use crate::{metrics, probes};
use bytes::Bytes;
use cleave_api::StatusReport;
use cleave_engine::{Pulse, Topology};
use cleave_stream::Cancelled;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, Semaphore},
};

/// Connections that are served at once; more wait in the system's queue.
pub const CONNECTIONS_MAX: usize = 32;
/// From the first byte to the last of a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// A connection, all in all.
const CONNECTION_LIMIT: Duration = Duration::from_secs(20);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 32;
/// How old a status may be that is shown again: collectors that ask at once cost the databases one look.
const STATUS_AGE_MAX: Duration = Duration::from_secs(5);
/// How long the databases may take to say how things stand.
const STATUS_LIMIT: Duration = Duration::from_secs(10);
/// After an accept that failed, as when no descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound address and what is answered there.
pub struct Server {
    listener: TcpListener,
    state: Arc<State>,
}

struct State {
    topology: Topology,
    pulse: Pulse,
    version: String,
    seen: Mutex<Option<(Instant, Option<Arc<StatusReport>>)>>,
}

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    /// The system's, above all that it is in use.
    pub async fn bind(
        address: SocketAddr,
        topology: Topology,
        pulse: Pulse,
        version: &str,
    ) -> io::Result<Self> {
        let state = State { topology, pulse, version: version.to_owned(), seen: Mutex::new(None) };
        Ok(Self { listener: TcpListener::bind(address).await?, state: Arc::new(state) })
    }

    /// Where it listens: the port that was chosen where 0 was asked for.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until told to stop.
    pub async fn serve(self, stop: &Cancelled) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &room) => accepted,
                () = stop.cancelled() => return,
            };
            let Some((stream, permit)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let state = Arc::clone(&self.state);
            tokio::spawn(async move {
                // One that takes too long is closed; nobody else waits for it.
                let _ = tokio::time::timeout(CONNECTION_LIMIT, answer_connection(stream, state)).await;
                drop(permit);
            });
        }
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, permit))
}

async fn answer_connection(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.answer(&request).await) }
    });
    // What a peer does wrong is its own affair: the connection ends.
    let _ = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl State {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        }
        match request.uri().path() {
            "/healthz" => probe(&probes::health(&self.pulse.beat())),
            "/readyz" => probe(&probes::readiness(&self.pulse.beat())),
            "/metrics" => {
                let status = self.status().await;
                let text = metrics::metrics(&self.pulse.beat(), status.as_deref(), &self.version);
                respond(StatusCode::OK, metrics::CONTENT_TYPE, text)
            }
            "/" => plain(StatusCode::OK, "/healthz\n/readyz\n/metrics"),
            _ => plain(StatusCode::NOT_FOUND, "there is /healthz, /readyz and /metrics"),
        }
    }

    /// How the services stand: what was read a moment ago, or read now by one for all who ask.
    async fn status(&self) -> Option<Arc<StatusReport>> {
        let mut seen = self.seen.lock().await;
        if let Some((at, status)) = &*seen
            && at.elapsed() < STATUS_AGE_MAX
        {
            return status.clone();
        }
        let read = tokio::time::timeout(STATUS_LIMIT, cleave_engine::status(&self.topology, None)).await;
        let status = read.ok().and_then(Result::ok).map(Arc::new);
        *seen = Some((Instant::now(), status.clone()));
        status
    }
}

fn probe(answer: &probes::Answer) -> Response<Full<Bytes>> {
    plain(if answer.good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &answer.text)
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
