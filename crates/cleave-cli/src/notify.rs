//! What a service tells the supervisor that has started it, as `sd_notify` does: ready, alive, stopping.

use cleave_engine::Pulse;
use cleave_server::{health, readiness};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How often it says that it is alive; a supervisor waits for several of these.
const BEAT: Duration = Duration::from_secs(2);

/// The supervisor's socket, if there is one.
pub struct Supervisor(Option<(UnixDatagram, SocketAddr)>);

impl Supervisor {
    /// The one that `NOTIFY_SOCKET` names. Without it, telling does nothing.
    pub fn from_environment() -> Self {
        let name = std::env::var("NOTIFY_SOCKET").ok().filter(|name| !name.is_empty());
        Self(name.and_then(|name| {
            let address = match name.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(&name),
            };
            let socket = UnixDatagram::unbound().ok()?;
            // A supervisor that does not read must not keep the engine from working.
            socket.set_nonblocking(true).ok()?;
            Some((socket, address.ok()?))
        }))
    }

    /// It listens and works.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// It ends its work.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Says how it is now and then, and that it is alive as long as the engine is.
    pub async fn keep_telling(&self, pulse: &Pulse) {
        if self.0.is_none() {
            std::future::pending::<()>().await;
        }
        loop {
            let beat = pulse.beat();
            let alive = if health(&beat).good { "WATCHDOG=1\n" } else { "" };
            let how = readiness(&beat).text;
            let how = if how == "ok" { beat.phase.as_str() } else { how.as_str() };
            self.tell(&format!("{alive}STATUS={}", how.replace('\n', " ")));
            tokio::time::sleep(BEAT).await;
        }
    }

    fn tell(&self, text: &str) {
        if let Some((socket, address)) = &self.0 {
            // Who is gone needs no news.
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}
