//! What the reader hands to the applier, through a channel that is bounded in bytes.

use crate::StreamError;
use cleave_model::{DatabaseName, Epoch, Lsn};
use cleave_proto::{
    Timestamp,
    pgoutput::{Change, Relation, Xid},
};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// A piece of the stream. Between `Begin` and `Commit` come the pieces of one transaction, in order.
#[derive(Debug)]
pub(crate) enum Item {
    /// A transaction that has something for us.
    Begin { commit_lsn: Lsn, xid: Xid },
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

/// Kept beside the bytes of a piece: the enum, a tuple's cells.
const ITEM_OVERHEAD_BYTES: usize = 256;
/// Pieces are gathered to this size while there is more to read.
const PARCEL_BYTES: usize = 64 << 10;

/// Pieces that are handed over together, and the room that they take until the last is taken.
type Parcel = (Vec<Item>, OwnedSemaphorePermit);

/// The reader's end.
pub(crate) struct ItemSender {
    parcels: mpsc::UnboundedSender<Parcel>,
    room: Arc<Semaphore>,
    room_bytes: usize,
    gathered: Vec<Item>,
    gathered_bytes: usize,
}

/// The applier's end.
pub(crate) struct ItemReceiver {
    parcels: mpsc::UnboundedReceiver<Parcel>,
    opened: std::vec::IntoIter<Item>,
    opened_room: Option<OwnedSemaphorePermit>,
    room: Arc<Semaphore>,
}

impl Drop for ItemReceiver {
    /// A reader that waits for room must not wait for ever.
    fn drop(&mut self) {
        self.room.close();
    }
}

/// A channel that holds at most `room_bytes`, or one parcel if that is larger.
pub(crate) fn channel(room_bytes: usize) -> (ItemSender, ItemReceiver) {
    let room_bytes = room_bytes.clamp(2 * PARCEL_BYTES, (u32::MAX >> 3) as usize);
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(room_bytes));
    let opened = Vec::new().into_iter();
    let receiver = ItemReceiver { parcels: receiver, opened, opened_room: None, room: Arc::clone(&room) };
    let sender = ItemSender { parcels: sender, room, room_bytes, gathered: Vec::new(), gathered_bytes: 0 };
    (sender, receiver)
}

impl ItemSender {
    /// Adds a piece of so many bytes to those that are handed over next.
    pub(crate) fn gather(&mut self, item: Item, bytes: usize) {
        self.gathered_bytes += bytes.saturating_add(ITEM_OVERHEAD_BYTES);
        self.gathered.push(item);
    }

    /// True if enough is gathered to be handed over, even if there is more to read.
    pub(crate) fn is_due(&self) -> bool {
        self.gathered_bytes >= PARCEL_BYTES
    }

    /// Waits until there is room for what is gathered, and hands it over. Dropping the future leaves all as it was.
    pub(crate) async fn hand_over(&mut self) -> Result<(), StreamError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let wanted = u32::try_from(self.gathered_bytes.min(self.room_bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(wanted)
            .await
            .map_err(|_| StreamError::Task("the channel between reader and applier was closed".into()))?;
        self.gathered_bytes = 0;
        // An applier that is gone has its own error to tell.
        let _taken = self.parcels.send((std::mem::take(&mut self.gathered), room));
        Ok(())
    }

    /// True if the applier has taken everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.room.available_permits() == self.room_bytes
    }
}

impl ItemReceiver {
    /// The next piece; `None` when the reader is gone and everything was taken.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.opened.next() {
                return Some(item);
            }
            self.opened_room = None;
            let (items, room) = self.parcels.recv().await?;
            self.opened = items.into_iter();
            self.opened_room = Some(room);
        }
    }

    /// True if a piece is waiting.
    pub(crate) fn has_next(&self) -> bool {
        self.opened.len() > 0 || !self.parcels.is_empty()
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
            let (mut sender, mut receiver) = channel(2 * PARCEL_BYTES);
            sender.gather(Item::Idle { lsn: Lsn(1) }, 2 * PARCEL_BYTES - 1000);
            sender.hand_over().await.unwrap();
            sender.gather(Item::Idle { lsn: Lsn(2) }, 1000);
            let brief = std::time::Duration::from_millis(1);
            assert!(tokio::time::timeout(brief, sender.hand_over()).await.is_err());
            assert!(matches!(receiver.next().await, Some(Item::Idle { lsn: Lsn(1) })));
            // The room is given back once the next piece is asked for.
            let (handed_over, next) = tokio::join!(sender.hand_over(), receiver.next());
            assert!(handed_over.is_ok() && matches!(next, Some(Item::Idle { lsn: Lsn(2) })));
        });
    }

    #[test]
    fn a_parcel_larger_than_the_channel_passes_alone() {
        block_on(async {
            let (mut sender, mut receiver) = channel(2 * PARCEL_BYTES);
            assert!(sender.is_empty() && !sender.is_due());
            sender.gather(Item::Idle { lsn: Lsn(1) }, 1 << 30);
            assert!(sender.is_due() && !sender.is_empty());
            sender.hand_over().await.unwrap();
            assert!(!sender.is_empty() && receiver.has_next());
            assert!(receiver.next().await.is_some() && !receiver.has_next());
        });
    }
}
