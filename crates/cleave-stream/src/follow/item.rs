//! What the reader hands to the applier, through a channel that is bounded in bytes.

use crate::StreamError;
use cleave_model::{DatabaseName, Epoch, Lsn};
use cleave_proto::{
    Timestamp,
    pgoutput::{Change, Relation},
};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// A piece of the stream. Between `Begin` and `Commit` come the pieces of one transaction, in order.
#[derive(Debug)]
pub(crate) enum Item {
    /// A transaction that has something for us.
    Begin { commit_lsn: Lsn },
    /// A row has changed.
    Change { relation: Arc<Relation>, change: Change },
    /// Tables were emptied by one statement.
    Truncate { relations: Vec<Arc<Relation>>, restart_identity: bool },
    /// A marker was written.
    Marker(String),
    /// The service's home was switched by this transaction.
    Switch(Switch),
    /// The transaction is complete.
    Commit { end_lsn: Lsn, commit_time: Timestamp },
    /// Nothing before this is for us that has not been handed over.
    Idle { lsn: Lsn },
}

/// Content of `cleave.switch`: the service's home from this transaction on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) home: DatabaseName,
    pub(crate) epoch: Epoch,
}

/// Kept beside the bytes of a piece: the enum, the channel's slot, a cell's pointer.
const ITEM_OVERHEAD_BYTES: usize = 256;

/// The reader's end.
pub(crate) struct ItemSender {
    items: mpsc::UnboundedSender<(Item, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    room_bytes: usize,
}

/// The applier's end.
pub(crate) struct ItemReceiver {
    items: mpsc::UnboundedReceiver<(Item, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
}

impl Drop for ItemReceiver {
    /// A reader that waits for room must not wait for ever.
    fn drop(&mut self) {
        self.room.close();
    }
}

/// A channel that holds at most `room_bytes`, or one item if that is larger.
pub(crate) fn channel(room_bytes: usize) -> (ItemSender, ItemReceiver) {
    let room_bytes = room_bytes.clamp(64 << 10, (u32::MAX >> 3) as usize);
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(room_bytes));
    let receiver = ItemReceiver { items: receiver, room: Arc::clone(&room) };
    (ItemSender { items: sender, room, room_bytes }, receiver)
}

impl ItemSender {
    /// Waits until there is room for a piece of `bytes`. Dropping the future gives its place in the queue back.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, StreamError> {
        let wanted = bytes.saturating_add(ITEM_OVERHEAD_BYTES).min(self.room_bytes);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        Arc::clone(&self.room)
            .acquire_many_owned(wanted)
            .await
            .map_err(|_| StreamError::Task("the channel between reader and applier was closed".into()))
    }

    /// Hands a piece over. Returns false if the applier is gone.
    pub(crate) fn send(&self, item: Item, permit: OwnedSemaphorePermit) -> bool {
        self.items.send((item, permit)).is_ok()
    }

    /// True if the applier has taken everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.room.available_permits() == self.room_bytes
    }
}

impl ItemReceiver {
    /// The next piece; `None` when the reader is gone and everything was taken.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        self.items.recv().await.map(|(item, _room)| item)
    }

    /// True if a piece is waiting.
    pub(crate) fn has_next(&self) -> bool {
        !self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_full_channel_takes_nothing_until_the_applier_has_taken_something() {
        block_on(async {
            let (sender, mut receiver) = channel(64 << 10);
            let permit = sender.reserve(60 << 10).await.unwrap();
            assert!(sender.send(Item::Idle { lsn: Lsn(1) }, permit));
            let mut waiting = Box::pin(sender.reserve(60 << 10));
            assert!(tokio::time::timeout(std::time::Duration::from_millis(1), &mut waiting).await.is_err());
            assert!(matches!(receiver.next().await, Some(Item::Idle { lsn: Lsn(1) })));
            assert!(waiting.await.is_ok());
        });
    }

    #[test]
    fn an_item_larger_than_the_channel_passes_alone() {
        block_on(async {
            let (sender, _receiver) = channel(64 << 10);
            assert!(sender.is_empty());
            let permit = sender.reserve(1 << 30).await.unwrap();
            assert!(!sender.is_empty());
            drop(permit);
            assert!(sender.is_empty());
        });
    }
}
