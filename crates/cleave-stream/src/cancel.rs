//! Telling work to stop at its next safe point.

use tokio::sync::watch;

/// Tells every [`Cancelled`] made with it to stop. Dropping it tells nothing.
#[derive(Clone, Debug)]
pub struct Canceller(watch::Sender<bool>);

/// Asked by work at its safe points.
#[derive(Clone, Debug)]
pub struct Cancelled(watch::Receiver<bool>);

/// A pair of who tells and who is told.
pub fn cancellation() -> (Canceller, Cancelled) {
    let (sender, receiver) = watch::channel(false);
    (Canceller(sender), Cancelled(receiver))
}

impl Canceller {
    /// Asks to stop; stays asked.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Cancelled {
    /// True once asked.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once asked; never if nobody will ask any more.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
