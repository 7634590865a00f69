//! A TCP proxy that misbehaves as networks do: it delays, cuts, refuses, or holds everything and says nothing.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Chunks on their way in one direction of one connection; more make the sender wait.
const CHUNKS_MAX: usize = 64;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Forwards each chunk after this time.
    Forward { delay: Duration },
    /// Keeps every connection, accepts new ones, forwards nothing either way.
    BlackHole,
    /// Ends every connection, and new ones at once.
    Refuse,
}

/// A proxy on a port of its own in front of one server. Dropping it ends all connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// Starts to forward connections to the address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (mode, seen) = watch::channel(Mode::Forward { delay: Duration::ZERO });
        let acceptor = tokio::spawn(accept(listener, target, seen));
        Ok(Self { address, mode, acceptor })
    }

    /// Where to connect instead of to the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port on 127.0.0.1 to connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL with host and port replaced by the proxy's; `None` if the URL names no port.
    pub fn url(&self, url: &str) -> Option<String> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, place) = authority.rsplit_once('@').map_or(("", authority), |(user, place)| (user, place));
        place.rsplit_once(':')?;
        let at = if user.is_empty() { "" } else { "@" };
        Some(format!("{scheme}://{user}{at}{}{path}", self.address))
    }

    /// From now on every byte arrives this much later, in both directions; existing connections included.
    pub fn delay(&self, delay: Duration) {
        self.mode.send_replace(Mode::Forward { delay });
    }

    /// Resets all connections, and new ones as soon as they are made, until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Refuse);
    }

    /// Holds all connections, accepts new ones, and forwards nothing either way, until [`heal`](Self::heal). What was
    /// sent in the meantime then arrives, as after a network's outage.
    pub fn black_hole(&self) {
        self.mode.send_replace(Mode::BlackHole);
    }

    /// Forwards everything at once again.
    pub fn heal(&self) {
        self.delay(Duration::ZERO);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.mode.send_replace(Mode::Refuse);
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, mode: watch::Receiver<Mode>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(serve(client, target, mode.clone()))),
            // A connection that was gone before it was accepted, or no file descriptor: the next one may do better.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// One connection, until either side or the mode ends it.
async fn serve(mut client: TcpStream, target: SocketAddr, mode: watch::Receiver<Mode>) {
    let mut server = None;
    let mut watched = mode.clone();
    tokio::select! {
        // An error means that the proxy is gone, which ends its connections too.
        _ = watched.wait_for(|mode| *mode == Mode::Refuse) => {}
        // Ended by its two sides. An error is such an end as well.
        _ = forward(&mut client, &mut server, target, mode) => return,
    }
    // Without lingering, closing is a reset: what a cut looks like to both sides. Only here: it also throws away what
    // has not been sent yet.
    for stream in [Some(client), server].into_iter().flatten() {
        drop(stream.set_zero_linger());
    }
}

async fn forward(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    target: SocketAddr,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    passable(&mut mode).await?;
    let server = server.insert(TcpStream::connect(target).await?);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(one_way(from_client, to_server, mode.clone()), one_way(from_server, to_client, mode))?;
    Ok(())
}

/// Forwards one direction. Reading and writing are apart, so that a delay is latency and not a limit of throughput.
async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let (mut reader_mode, mut writer_mode) = (mode.clone(), mode);
    let read = async move {
        loop {
            passable(&mut reader_mode).await?;
            let mut chunk = vec![0; CHUNK_BYTES];
            let length = from.read(&mut chunk).await?;
            if length == 0 {
                // The writer closes its side when all chunks before are through.
                return Ok(());
            }
            chunk.truncate(length);
            let delay = passable(&mut reader_mode).await?;
            if sender.send((Instant::now() + delay, chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = chunks.recv().await {
            sleep_until(due).await;
            passable(&mut writer_mode).await?;
            to.write_all(&chunk).await?;
        }
        passable(&mut writer_mode).await?;
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|_: ((), ())| ())
}

/// Waits until the network forwards, and returns its delay.
async fn passable(mode: &mut watch::Receiver<Mode>) -> io::Result<Duration> {
    let forwards = mode.wait_for(|mode| matches!(mode, Mode::Forward { .. })).await;
    match forwards.map(|mode| *mode) {
        Ok(Mode::Forward { delay }) => Ok(delay),
        Ok(_) | Err(_) => Err(io::ErrorKind::ConnectionReset.into()),
    }
}
