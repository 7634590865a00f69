//! The messages around the plugin's (manual 55.4).

use bytes::{BufMut, Bytes, BytesMut};
use cleave_model::Lsn;
use cleave_proto::{
    Timestamp,
    replication::{PrimaryKeepalive, ReplicationMessage, StandbyStatusUpdate, XLogData},
};

fn payload(tag: u8, numbers: &[u64], rest: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(tag);
    numbers.iter().for_each(|&number| out.put_u64(number));
    out.put_slice(rest);
    out.freeze()
}

#[test]
fn log_data_is_handed_on_without_a_copy() {
    let payload = payload(b'w', &[16, 32, 5], b"data");
    let data = payload.slice(25..);
    let decoded = ReplicationMessage::decode(payload).unwrap();
    let ReplicationMessage::XLogData(log) = &decoded else { panic!("{decoded:?}") };
    assert_eq!(log.data.as_ptr(), data.as_ptr());
    let expected = XLogData { wal_start: Lsn(16), wal_end: Lsn(32), clock: Timestamp(5), data };
    assert_eq!(log, &expected);
}

#[test]
fn a_keepalive_tells_whether_it_wants_a_reply() {
    for (byte, reply_requested) in [(0, false), (1, true)] {
        let decoded = ReplicationMessage::decode(payload(b'k', &[32, 5], &[byte])).unwrap();
        let expected = PrimaryKeepalive { wal_end: Lsn(32), clock: Timestamp(5), reply_requested };
        assert_eq!(decoded, ReplicationMessage::PrimaryKeepalive(expected));
    }
}

#[test]
fn bytes_that_are_no_replication_message_are_errors() {
    let error = |payload| ReplicationMessage::decode(payload).unwrap_err().to_string();
    assert_eq!(error(Bytes::new()), "replication message at byte 0: needs 1 more bytes, 0 are left");
    assert_eq!(error(payload(b'z', &[], b"")), "replication message at byte 0: 0x7a starts no known message");
    assert_eq!(error(payload(b'w', &[16], b"")), "XLogData at byte 9: needs 8 more bytes, 0 are left");
    assert_eq!(
        error(payload(b'k', &[16, 5], &[2])),
        "Primary keepalive at byte 17: reply requested is 0x02, which has no meaning"
    );
    assert_eq!(
        error(payload(b'k', &[16, 5], &[1, 0])),
        "Primary keepalive at byte 18: 1 bytes are left after the last field"
    );
}

#[test]
fn a_status_update_has_the_manuals_layout() {
    let update = StandbyStatusUpdate {
        written: Lsn(0x0102),
        flushed: Lsn(0x0304),
        applied: Lsn(0x0506),
        clock: Timestamp(-2),
        reply_requested: true,
    };
    assert_eq!(update.encode(), payload(b'r', &[0x0102, 0x0304, 0x0506, u64::MAX - 1], &[1]));
}
