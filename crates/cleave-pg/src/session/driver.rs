//! The task that moves a SQL session's bytes, and what the server says unasked.

use super::{Canceller, Prepared};
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{broadcast, oneshot},
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Connection};

/// The newest notices are kept, so that a noisy function cannot fill memory.
const NOTICES_MAX: usize = 100;
const NOTIFICATIONS_MAX: usize = 256;
/// How long a dropped session may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(1);

/// A notice or warning of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, ...
    pub severity: String,
    /// Five characters.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
}

/// A `NOTIFY` on a channel that the session listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The channel.
    pub channel: String,
    /// The payload.
    pub payload: String,
}

/// What came unasked.
pub(super) struct Inbox {
    notices: Mutex<VecDeque<Notice>>,
    notifications: broadcast::Sender<Notification>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { notices: Mutex::default(), notifications: broadcast::Sender::new(NOTIFICATIONS_MAX) }
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Notice>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_notices(&self) -> Vec<Notice> {
        self.lock().drain(..).collect()
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Notification> {
        self.notifications.subscribe()
    }

    fn receive(&self, message: AsyncMessage) {
        match message {
            AsyncMessage::Notice(notice) => {
                let (severity, sqlstate) = (notice.severity().to_owned(), notice.code().code().to_owned());
                let mut notices = self.lock();
                if notices.len() == NOTICES_MAX {
                    notices.pop_front();
                }
                notices.push_back(Notice { severity, sqlstate, message: notice.message().to_owned() });
            }
            AsyncMessage::Notification(notification) => {
                let (channel, payload) =
                    (notification.channel().to_owned(), notification.payload().to_owned());
                // Nobody listening is no error.
                let _nobody = self.notifications.send(Notification { channel, payload });
            }
            _ => {}
        }
    }
}

/// Owns the connection of one session.
pub(super) struct Driver {
    pub(super) connection: Connection<Prepared, Prepared>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) canceller: Canceller,
}

impl Driver {
    /// Runs until the connection ends. Errors reach the session through its own calls.
    pub(super) async fn run(mut self, closed: oneshot::Receiver<Infallible>) {
        tokio::select! {
            () = poll_fn(|context| self.poll(context)) => return,
            _ = closed => {}
        }
        // The session is gone: an idle connection says good-bye, a busy one is made to end.
        if timeout(FAREWELL, poll_fn(|context| self.poll(context))).await.is_err() {
            let Self { connection, canceller, .. } = self;
            let _unreachable = canceller.cancel().await;
            drop(connection);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.connection.poll_message(context) {
                Poll::Ready(Some(Ok(message))) => self.inbox.receive(message),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
