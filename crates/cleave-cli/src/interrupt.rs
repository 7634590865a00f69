//! Ctrl-C and SIGTERM: the first asks for a stop at the next safe point, the second stops at once.

use crate::output::Output;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How often the user asked to stop. Clones watch the same count.
#[derive(Clone, Debug)]
pub struct Interrupt {
    asked: watch::Receiver<u32>,
    ready: watch::Receiver<bool>,
}

impl Interrupt {
    /// Starts to listen. Must be called inside a runtime.
    pub fn listen(output: Output) -> Self {
        let (count, asked) = watch::channel(0);
        let (listening, ready) = watch::channel(false);
        tokio::spawn(async move {
            // Without signals nobody can ask; waiting then never ends.
            let Ok(mut signals) = Signals::new() else { return };
            listening.send_replace(true);
            while signals.next().await {
                count.send_modify(|count| *count += 1);
                if *count.borrow() == 1 {
                    output.note("stopping at the next safe point; Ctrl-C again stops at once");
                }
            }
        });
        Self { asked, ready }
    }

    /// Waits until signals are received here instead of ending the process.
    pub async fn ready(&mut self) {
        if self.ready.wait_for(|ready| *ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// True once a stop was asked for.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow() > 0
    }

    /// Waits until a stop is asked for. A verb that runs long selects on this, brings its work to a safe point and
    /// returns [`cleave_api::ExitCode::Interrupted`].
    pub async fn asked(&mut self) {
        self.count(1).await;
    }

    /// Waits until a stop was asked for twice.
    pub async fn insisted(&mut self) {
        self.count(2).await;
    }

    async fn count(&mut self, wanted: u32) {
        if self.asked.wait_for(|count| *count >= wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// One listener for the whole run: a new one per signal could miss the second of two.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one signal; false if there will be none any more.
    async fn next(&mut self) -> bool {
        tokio::select! {
            received = self.interrupt.recv() => received.is_some(),
            received = self.terminate.recv() => received.is_some(),
        }
    }
}
