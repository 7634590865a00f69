//! What has come of transactions in progress, kept until they commit: in memory up to a limit, then in files without a
//! name, which the system removes with the process. `docs/design/apply.md`, "Transactions in progress", says why what is
//! kept is exact.

use crate::StreamError;
use bytes::{Buf, Bytes, BytesMut};
use cleave_proto::pgoutput::Xid;
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::Arc,
};

/// Read from a file at once.
const PIECE_BYTES: usize = 256 << 10;
/// Before each message.
const LENGTH_BYTES: usize = 4;
/// What is remembered of a subtransaction, roughly.
const PART_BYTES: usize = 48;

/// How much may be kept, of all transactions of a stream together.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpoolLimits {
    pub(super) memory_bytes: usize,
    pub(super) file_bytes: u64,
}

/// All transactions in progress of one connection.
#[derive(Debug)]
pub(super) struct Spools {
    limits: SpoolLimits,
    /// Whose block is open.
    open: Option<Xid>,
    by_xid: HashMap<Xid, Spool>,
}

/// What has come of one transaction.
#[derive(Debug, Default)]
pub(super) struct Spool {
    /// Where the first message of each subtransaction begins, in the order of their beginnings. What follows a
    /// subtransaction's first message until it is rolled back was written inside it.
    parts: Vec<(Xid, u64)>,
    /// Those of `parts`.
    known: HashSet<Xid>,
    file: Option<Arc<File>>,
    /// Bytes that are in the file.
    filed: u64,
    /// Bytes that are not.
    tail: BytesMut,
    /// It is not for us: replayed on the source by our own other direction.
    dropped: bool,
}

impl Spools {
    pub(super) fn new(limits: SpoolLimits) -> Self {
        Self { limits, open: None, by_xid: HashMap::new() }
    }

    pub(super) fn start(&mut self, xid: Xid) {
        self.by_xid.entry(xid).or_default();
        self.open = Some(xid);
    }

    pub(super) fn stop(&mut self) {
        self.open = None;
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Keeps a message of the open block: all but Origin begin with a tag and the id of their (sub)transaction.
    pub(super) fn keep(&mut self, message: &[u8]) -> Result<(), StreamError> {
        let Some((xid, spool)) = self.open.and_then(|xid| Some((xid, self.by_xid.get_mut(&xid)?))) else {
            return Ok(());
        };
        let id = message.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let (Some(id), Ok(length)) = (id, u32::try_from(message.len())) else {
            let problem = "a message of a transaction in progress that is too short or too long".to_owned();
            return Err(StreamError::Protocol { problem });
        };
        if spool.dropped {
            return Ok(());
        }
        let part = Xid(id);
        if part != xid && spool.known.insert(part) {
            spool.parts.push((part, spool.bytes()));
        }
        spool.tail.extend_from_slice(&length.to_be_bytes());
        spool.tail.extend_from_slice(message);
        Ok(())
    }

    /// The open block's transaction is not for us.
    pub(super) fn drop_open(&mut self) {
        if let Some(spool) = self.open.and_then(|xid| self.by_xid.get_mut(&xid)) {
            *spool = Spool { dropped: true, ..Spool::default() };
        }
    }

    /// Takes back what a subtransaction has written, or forgets the whole.
    pub(super) fn abort(&mut self, xid: Xid, part: Xid) {
        if part == xid {
            self.by_xid.remove(&xid);
        } else if let Some(spool) = self.by_xid.get_mut(&xid) {
            spool.take_back(part);
        }
    }

    /// Hands out what has come of a transaction that has committed, if there is anything.
    pub(super) fn take(&mut self, xid: Xid) -> Option<Spool> {
        self.by_xid.remove(&xid).filter(|spool| spool.bytes() > 0)
    }

    /// Transactions in progress, and bytes kept of them.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.by_xid.len(), self.by_xid.values().map(Spool::bytes).sum())
    }

    fn memory_bytes(&self) -> usize {
        self.by_xid.values().map(|spool| spool.tail.len() + spool.parts.len() * PART_BYTES).sum()
    }

    /// True if more is in memory than may be.
    pub(super) fn is_due(&self) -> bool {
        self.memory_bytes() > self.limits.memory_bytes
    }

    /// Writes the largest to their files until half of the memory is free.
    pub(super) async fn settle(&mut self) -> Result<(), StreamError> {
        while self.memory_bytes() > self.limits.memory_bytes / 2 {
            let filed: u64 = self.by_xid.values().map(|spool| spool.filed).sum();
            let largest = self.by_xid.values_mut().max_by_key(|spool| spool.tail.len());
            let Some(largest) = largest.filter(|spool| !spool.tail.is_empty()) else {
                let reason = "they have too many subtransactions".to_owned();
                return Err(StreamError::SpoolFull { reason });
            };
            if filed + largest.tail.len() as u64 > self.limits.file_bytes {
                let reason = format!("they may take {} bytes of disk", self.limits.file_bytes);
                return Err(StreamError::SpoolFull { reason });
            }
            largest.file_tail().await?;
        }
        Ok(())
    }
}

impl Spool {
    fn bytes(&self) -> u64 {
        self.filed + self.tail.len() as u64
    }

    fn take_back(&mut self, part: Xid) {
        if !self.known.contains(&part) {
            return;
        }
        let mut begin = self.bytes();
        while let Some((undone, at)) = self.parts.pop() {
            self.known.remove(&undone);
            begin = at;
            if undone == part {
                break;
            }
        }
        let kept = begin.saturating_sub(self.filed);
        self.tail.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        self.filed = self.filed.min(begin);
    }

    async fn file_tail(&mut self) -> Result<(), StreamError> {
        let (file, tail, at) = (self.file.clone(), self.tail.split().freeze(), self.filed);
        let length = tail.len() as u64;
        let written = off_thread(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(tempfile::tempfile()?),
            };
            file.write_all_at(&tail, at)?;
            Ok(file)
        });
        self.file = Some(written.await?);
        self.filed += length;
        Ok(())
    }

    /// The messages in their order.
    pub(super) fn into_messages(self) -> Messages {
        Messages { file: self.file, read: 0, filed: self.filed, tail: self.tail, bytes: BytesMut::new() }
    }
}

/// Reads a spool from its beginning.
#[derive(Debug)]
pub(super) struct Messages {
    file: Option<Arc<File>>,
    read: u64,
    filed: u64,
    tail: BytesMut,
    /// Read but not handed out.
    bytes: BytesMut,
}

impl Messages {
    /// The next messages, some hundred kilobytes of them or one if that is larger; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, StreamError> {
        loop {
            let messages = self.cut();
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    fn cut(&mut self) -> Vec<Bytes> {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while bytes < PIECE_BYTES {
            let Some(length) = self.bytes.first_chunk::<LENGTH_BYTES>() else { break };
            let length = u32::from_be_bytes(*length) as usize;
            if self.bytes.len() - LENGTH_BYTES < length {
                break;
            }
            self.bytes.advance(LENGTH_BYTES);
            messages.push(self.bytes.split_to(length).freeze());
            bytes += length;
        }
        messages
    }

    /// Reads more; false if there is no more.
    async fn fill(&mut self) -> Result<bool, StreamError> {
        if self.read == self.filed {
            // All of the file is read: what never left the memory follows.
            let more = !self.tail.is_empty();
            let tail = self.tail.split();
            if self.bytes.is_empty() {
                self.bytes = tail
            } else {
                self.bytes.extend_from_slice(&tail)
            }
            return Ok(more);
        }
        let Some(file) = self.file.clone() else { return Ok(false) };
        let left = usize::try_from(self.filed - self.read).unwrap_or(usize::MAX);
        let (at, mut piece) = (self.read, vec![0; left.min(PIECE_BYTES)]);
        let piece = off_thread(move || file.read_exact_at(&mut piece, at).map(|()| piece)).await?;
        self.read += piece.len() as u64;
        self.bytes.extend_from_slice(&piece);
        Ok(true)
    }
}

/// Runs what may wait for a disk where it holds nobody up.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StreamError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| StreamError::Task(error.to_string()))?;
    done.map_err(|error| StreamError::SpoolFull { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: Xid = Xid(7);

    fn message(part: u32, text: &str) -> Vec<u8> {
        let mut message = vec![b'I'];
        message.extend_from_slice(&part.to_be_bytes());
        message.extend_from_slice(text.as_bytes());
        message
    }

    fn spools(memory_bytes: usize) -> Spools {
        let mut spools = Spools::new(SpoolLimits { memory_bytes, file_bytes: 1 << 20 });
        spools.start(TOP);
        spools
    }

    async fn texts(spool: Option<Spool>) -> Vec<String> {
        let Some(spool) = spool else { return Vec::new() };
        let (mut messages, mut texts) = (spool.into_messages(), Vec::new());
        while let Some(some) = messages.next().await.unwrap() {
            texts.extend(some.iter().map(|message| String::from_utf8(message[5..].to_vec()).unwrap()));
        }
        texts
    }

    /// A small script: `7 a` keeps a message of (sub)transaction 7, `-8` rolls 8 back, `.` moves all to the file.
    async fn run(script: &[&str]) -> Vec<String> {
        let mut spools = spools(1 << 20);
        for step in script {
            match step.split_once(' ') {
                Some((part, text)) => spools.keep(&message(part.parse().unwrap(), text)).unwrap(),
                None if *step == "." => {
                    spools.by_xid.get_mut(&TOP).unwrap().file_tail().await.unwrap();
                }
                None => spools.abort(TOP, Xid(step[1..].parse().unwrap())),
            }
        }
        texts(spools.take(TOP)).await
    }

    #[tokio::test]
    async fn messages_come_back_in_their_order_from_file_and_memory() {
        assert_eq!(run(&["7 a", "8 b", "7 c"]).await, ["a", "b", "c"]);
        assert_eq!(run(&["7 a", ".", "8 b", ".", "7 c", "7 d"]).await, ["a", "b", "c", "d"]);
        assert_eq!(run(&["7 a", "."]).await, ["a"]);
        assert!(run(&[]).await.is_empty());
    }

    #[tokio::test]
    async fn a_part_that_is_rolled_back_is_gone_with_all_inside_it() {
        assert_eq!(run(&["7 a", "8 b", "-8", "7 c"]).await, ["a", "c"]);
        // 9 was released inside 8.
        assert_eq!(run(&["7 a", "8 b", "9 c", "8 d", "-9", "-8", "7 e"]).await, ["a", "e"]);
        // 8 wrote nothing before 9 did, and is rolled back with it.
        assert_eq!(run(&["7 a", "9 b", "8 c", "-9", "-8", "7 d"]).await, ["a", "d"]);
        assert_eq!(run(&["7 a", "8 b", "-99", "10 c"]).await, ["a", "b", "c"]);
        assert_eq!(run(&["8 a", "-8"]).await, [""; 0]);
    }

    #[tokio::test]
    async fn a_part_is_taken_back_from_the_file_too() {
        assert_eq!(run(&["7 a", "8 b", ".", "8 c", "-8", "7 d", ".", "7 e"]).await, ["a", "d", "e"]);
        assert_eq!(run(&["7 a", ".", "7 b", "8 c", "-8", "7 d"]).await, ["a", "b", "d"]);
        assert_eq!(run(&["7 a", "8 b", ".", "-8", "."]).await, ["a"]);
    }

    #[tokio::test]
    async fn memory_is_bounded_and_the_largest_goes_first() {
        let mut spools = spools(1000);
        spools.keep(&message(7, "small")).unwrap();
        spools.stop();
        spools.start(Xid(70));
        let mut expected = Vec::new();
        for n in 0..100 {
            let text = format!("{n} {}", "x".repeat(50));
            spools.keep(&message(70, &text)).unwrap();
            expected.push(text);
            if spools.is_due() {
                spools.settle().await.unwrap();
            }
            assert!(spools.memory_bytes() <= 1000 + 64);
        }
        assert_eq!((spools.by_xid[&TOP].filed, spools.size().0), (0, 2));
        assert_eq!(texts(spools.take(Xid(70))).await, expected);
        assert_eq!(texts(spools.take(TOP)).await, ["small"]);
    }

    #[tokio::test]
    async fn messages_longer_than_a_piece_are_read_whole() {
        let long = "y".repeat(3 * PIECE_BYTES);
        assert_eq!(run(&[&format!("7 {long}"), ".", "7 b"]).await, [long.as_str(), "b"]);
        assert_eq!(run(&[&format!("7 {long}"), "7 b"]).await, [long.as_str(), "b"]);
    }

    #[tokio::test]
    async fn more_than_the_files_may_hold_is_an_error() {
        let mut spools = Spools::new(SpoolLimits { memory_bytes: 10, file_bytes: 100 });
        spools.start(TOP);
        spools.keep(&message(7, &"x".repeat(80))).unwrap();
        spools.settle().await.unwrap();
        spools.keep(&message(7, &"x".repeat(80))).unwrap();
        let error = spools.settle().await.unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), ("C0530", true));
    }

    #[tokio::test]
    async fn more_subtransactions_than_can_be_remembered_are_an_error() {
        let mut spools = Spools::new(SpoolLimits { memory_bytes: 1000, file_bytes: 1 << 20 });
        spools.start(TOP);
        (8..100).for_each(|part| spools.keep(&message(part, "a")).unwrap());
        assert!(spools.is_due());
        assert_eq!(spools.settle().await.unwrap_err().code(), "C0530");
    }

    #[tokio::test]
    async fn nothing_is_kept_of_what_is_not_for_us() {
        let mut spools = spools(1000);
        spools.drop_open();
        spools.keep(&message(7, "a")).unwrap();
        assert_eq!(spools.size(), (1, 0));
        assert!(spools.take(TOP).is_none());
        assert!(spools.keep(b"I").is_ok(), "no block is kept any more");
    }
}
