//! What is fuzzed: plain functions of any bytes. Both the stable tests (`tests/it/fuzz.rs`) and the cargo-fuzz targets
//! beside this file include it.

use bytes::Bytes;
use cleave_proto::{
    copy::{binary::BinaryRows, text::TextRows},
    pgoutput::{Cell, Change, Decoder, Message, ProtocolVersion, Tuple},
    replication::ReplicationMessage,
    transaction::TransactionTracker,
};

/// A connection: the first byte chooses the protocol version, then each message follows its 16-bit length.
pub(crate) fn fuzz_pgoutput(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    let Some((&choice, _)) = data.split_first() else { return };
    let version = version(choice);
    let (mut decoder, mut tracker) = (Decoder::new(version), TransactionTracker::new());
    for message in messages(data.slice(1..)) {
        let range = message.as_ptr_range();
        let Ok(decoded) = decoder.decode(message) else { return };
        for bytes in values(&decoded.message) {
            let slice = bytes.as_ptr_range();
            assert!(
                bytes.is_empty() || (range.start <= slice.start && slice.end <= range.end),
                "a value is a copy"
            );
        }
        if tracker.step(decoded).is_err() {
            return;
        }
    }
}

/// The protocol version that an input asks for.
pub(crate) fn version(choice: u8) -> ProtocolVersion {
    match choice % 4 {
        0 => ProtocolVersion::V2,
        1 => ProtocolVersion::V1,
        2 => ProtocolVersion::V4,
        _ => ProtocolVersion::V3,
    }
}

/// Cuts the input into messages; the last may be shorter than it says.
pub(crate) fn messages(mut data: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        if data.len() < 2 {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([data[0], data[1]]));
        let mut rest = data.split_off(2);
        let message = rest.split_to(length.min(rest.len()));
        data = rest;
        Some(message)
    })
}

fn values(message: &Message) -> Vec<&Bytes> {
    let tuples: Vec<&Tuple> = match message {
        Message::Logical(message) => return vec![&message.content],
        Message::Change { change: Change::Insert { new }, .. } => vec![new],
        Message::Change { change: Change::Update { old, new }, .. } => {
            old.iter().map(|old| old.tuple()).chain([new]).collect()
        }
        Message::Change { change: Change::Delete { old }, .. } => vec![old.tuple()],
        _ => vec![],
    };
    let cells = tuples.into_iter().flat_map(|tuple| &tuple.cells);
    cells
        .filter_map(|cell| match cell {
            Cell::Text(bytes) | Cell::Binary(bytes) => Some(bytes),
            Cell::Null | Cell::Unchanged => None,
        })
        .collect()
}

/// One CopyData payload.
pub(crate) fn fuzz_replication(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    if let Ok(ReplicationMessage::XLogData(log)) = ReplicationMessage::decode(payload) {
        assert_eq!(log.data.len() + 25, data.len());
    }
}

/// A COPY binary stream: whole, and cut as the first byte says; both must agree.
pub(crate) fn fuzz_copy_binary(data: &[u8]) {
    check_cut(data, |chunks| {
        let mut rows = BinaryRows::new(data.len());
        let mut found = Vec::new();
        for chunk in chunks {
            rows.push(chunk);
            loop {
                match rows.next_row() {
                    Ok(Some(row)) => found.push(row),
                    Ok(None) => break,
                    Err(_) => return (found, false),
                }
            }
        }
        let clean = rows.finish().is_ok();
        (found, clean)
    });
}

/// A COPY text stream: whole, and cut as the first byte says; both must agree.
pub(crate) fn fuzz_copy_text(data: &[u8]) {
    check_cut(data, |chunks| {
        let mut rows = TextRows::new(data.len());
        let mut found = Vec::new();
        for chunk in chunks {
            rows.push(chunk);
            loop {
                match rows.next_row() {
                    Ok(Some(row)) => found.push(row),
                    Ok(None) => break,
                    Err(_) => return (found, false),
                }
            }
        }
        let clean = rows.finish().is_ok();
        (found, clean)
    });
}

fn check_cut<T: PartialEq + std::fmt::Debug>(data: &[u8], read: impl Fn(Vec<Bytes>) -> T) {
    let Some((&step, stream)) = data.split_first() else { return };
    let stream = Bytes::copy_from_slice(stream);
    let chunks = stream.chunks(1 + usize::from(step)).map(|chunk| stream.slice_ref(chunk)).collect();
    assert_eq!(read(vec![stream]), read(chunks), "rows depend on how the stream is cut");
}
