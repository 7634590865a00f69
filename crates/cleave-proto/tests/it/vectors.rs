//! Messages written by hand from manual 55.9, byte by byte.

use crate::samples::{FILM, by, film, insert, plain, row, text, update};
use bytes::Bytes;
use cleave_model::{Lsn, Oid, QualifiedName};
use cleave_proto::{
    DecodeProblem, Timestamp,
    pgoutput::{
        Aborted, Begin, Cell, Change, Commit, CommitPrepared, Decoded, Decoder, LogicalMessage, Message,
        OldTuple, Origin, Prepared, ProtocolVersion, RollbackPrepared, StreamAbort, StreamCommit,
        StreamStart, Truncate, TypeName, Xid,
    },
};

/// Hex digits with blanks, and texts in single quotes, to bytes.
fn bytes(notation: &str) -> Bytes {
    let mut out = Vec::new();
    for (at, part) in notation.split('\'').enumerate() {
        if at % 2 == 1 {
            out.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<u8> = part.bytes().filter(u8::is_ascii_hexdigit).collect();
        assert_eq!(digits.len() % 2, 0, "half a byte in {notation}");
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        out.extend(digits.chunks(2).map(pair));
    }
    out.into()
}

#[track_caller]
fn check(notation: &str, expected: Message) {
    let decoded = Decoder::new(ProtocolVersion::V1).decode(bytes(notation)).unwrap();
    assert_eq!(decoded, plain(expected));
}

#[track_caller]
fn check_error(version: ProtocolVersion, notation: &str, expected: &str) {
    let error = Decoder::new(version).decode(bytes(notation)).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn the_frame_of_a_transaction_is_read() {
    check(
        "'B' 0000000001a2b3c8 0002c5a1d0e0f001 000002ee",
        Message::Begin(Begin {
            final_lsn: Lsn(0x1a2_b3c8),
            commit_time: Timestamp(0x2_c5a1_d0e0_f001),
            xid: Xid(750),
        }),
    );
    check(
        "'C' 00 0000000001a2b3c8 0000000001a2b3f8 ffffffffffffffff",
        Message::Commit(Commit {
            commit_lsn: Lsn(0x1a2_b3c8),
            end_lsn: Lsn(0x1a2_b3f8),
            commit_time: Timestamp(-1),
        }),
    );
    check(
        "'O' 0000000000000010 'cleave_films_forward' 00",
        Message::Origin(Origin { commit_lsn: Lsn(16), name: "cleave_films_forward".into() }),
    );
}

#[test]
fn a_relation_names_its_columns_and_its_key() {
    check(
        "'R' 00004011 'public' 00 'film' 00 'd' 0002  01 'id' 00 00000017 ffffffff  00 'title' 00 00000019 ffffffff",
        film(2),
    );
}

#[test]
fn a_type_in_pg_catalog_comes_without_its_schema() {
    let name = QualifiedName::new("pg_catalog", "int4");
    check("'Y' 00004020 00 'int4' 00", Message::Type(TypeName { oid: Oid(0x4020), name }));
    let name = QualifiedName::new("public", "rating");
    check("'Y' 00004020 'public' 00 'rating' 00", Message::Type(TypeName { oid: Oid(0x4020), name }));
}

#[test]
fn every_kind_of_cell_is_read() {
    check(
        "'I' 00004011 'N' 0004 't' 00000001 '7' 'n' 'b' 00000002 0007 't' 00000000",
        insert(&[text("7"), Cell::Null, Cell::Binary(Bytes::from_static(&[0, 7])), text("")]),
    );
    check("'U' 00004011 'N' 0002 't' 00000001 '7' 'u'", update(None, &[text("7"), Cell::Unchanged]));
}

#[test]
fn an_old_row_is_a_key_or_the_whole() {
    let key = row(&[text("7"), Cell::Null]);
    check(
        "'U' 00004011 'K' 0002 't' 00000001 '7' 'n' 'N' 0002 't' 00000001 '8' 'n'",
        update(Some(OldTuple::Key(key.clone())), &[text("8"), Cell::Null]),
    );
    check(
        "'U' 00004011 'O' 0002 't' 00000001 '7' 'n' 'N' 0002 't' 00000001 '8' 'n'",
        update(Some(OldTuple::Full(key.clone())), &[text("8"), Cell::Null]),
    );
    let deleted = |old| Message::Change { relation: FILM, change: Change::Delete { old } };
    check("'D' 00004011 'K' 0002 't' 00000001 '7' 'n'", deleted(OldTuple::Key(key.clone())));
    check("'D' 00004011 'O' 0002 't' 00000001 '7' 'n'", deleted(OldTuple::Full(key)));
}

#[test]
fn truncate_and_logical_messages_are_read() {
    let relations = vec![FILM, Oid(0x4012)];
    check(
        "'T' 00000002 03 00004011 00004012",
        Message::Truncate(Truncate { cascade: true, restart_identity: true, relations }),
    );
    check(
        "'M' 01 0000000001a2b3c8 'cleave' 00 00000002 'hi'",
        Message::Logical(LogicalMessage {
            transactional: true,
            lsn: Lsn(0x1a2_b3c8),
            prefix: "cleave".into(),
            content: Bytes::from_static(b"hi"),
        }),
    );
}

#[test]
fn only_messages_in_a_stream_block_carry_a_transaction_id() {
    let mut decoder = Decoder::new(ProtocolVersion::V2);
    let mut read = |notation: &str| -> Decoded { decoder.decode(bytes(notation)).unwrap() };
    let bare = insert(&[]);
    let start = Message::StreamStart(StreamStart { xid: Xid(750), first_segment: true });
    let origin = Message::Origin(Origin { commit_lsn: Lsn(0), name: "o".into() });
    let commit = Commit { commit_lsn: Lsn(16), end_lsn: Lsn(32), commit_time: Timestamp(5) };
    assert_eq!(read("'I' 00004011 'N' 0000"), plain(bare.clone()));
    assert_eq!(read("'S' 000002ee 01"), plain(start));
    assert_eq!(read("'O' 0000000000000000 'o' 00"), plain(origin));
    assert_eq!(read("'I' 000002ef 00004011 'N' 0000"), by(751, bare.clone()));
    assert_eq!(read("'E'"), plain(Message::StreamStop));
    assert_eq!(read("'I' 00004011 'N' 0000"), plain(bare));
    assert_eq!(
        read("'c' 000002ee 00 0000000000000010 0000000000000020 0000000000000005"),
        plain(Message::StreamCommit(StreamCommit { xid: Xid(750), commit }))
    );
    assert_eq!(
        read("'A' 000002ee 000002ef"),
        plain(Message::StreamAbort(StreamAbort { xid: Xid(750), subxid: Xid(751), aborted: None }))
    );
}

#[test]
fn prepared_transactions_and_aborts_with_their_place() {
    let mut decoder = Decoder::new(ProtocolVersion::V4);
    let mut read = |notation: &str| decoder.decode(bytes(notation)).unwrap();
    let prepared = Prepared {
        prepare_lsn: Lsn(0x10),
        end_lsn: Lsn(0x20),
        prepare_time: Timestamp(5),
        xid: Xid(750),
        gid: "g".into(),
    };
    let record = "0000000000000010 0000000000000020 0000000000000005 000002ee 'g' 00";
    assert_eq!(read(&format!("'b' {record}")), plain(Message::BeginPrepare(prepared.clone())));
    assert_eq!(read(&format!("'P' 00 {record}")), plain(Message::Prepare(prepared.clone())));
    assert_eq!(read(&format!("'p' 00 {record}")), plain(Message::StreamPrepare(prepared)));
    let commit = Commit { commit_lsn: Lsn(0x10), end_lsn: Lsn(0x20), commit_time: Timestamp(5) };
    let committed = CommitPrepared { commit, xid: Xid(750), gid: "g".into() };
    assert_eq!(read(&format!("'K' 00 {record}")), plain(Message::CommitPrepared(committed)));
    assert_eq!(
        read("'r' 00 0000000000000010 0000000000000020 0000000000000005 0000000000000006 000002ee 'g' 00"),
        plain(Message::RollbackPrepared(RollbackPrepared {
            prepare_end_lsn: Lsn(0x10),
            rollback_end_lsn: Lsn(0x20),
            prepare_time: Timestamp(5),
            rollback_time: Timestamp(6),
            xid: Xid(750),
            gid: "g".into(),
        }))
    );
    let aborted = Some(Aborted { lsn: Lsn(0x10), time: Timestamp(5) });
    assert_eq!(
        read("'A' 000002ee 000002ef 0000000000000010 0000000000000005"),
        plain(Message::StreamAbort(StreamAbort { xid: Xid(750), subxid: Xid(751), aborted }))
    );
}

#[test]
fn an_error_says_which_message_where_and_what() {
    let v1 = |notation, expected| check_error(ProtocolVersion::V1, notation, expected);
    v1("", "pgoutput message at byte 0: needs 1 more bytes, 0 are left");
    v1("'?'", "pgoutput message at byte 0: 0x3f starts no known message");
    v1("'B' 0000", "Begin at byte 1: needs 8 more bytes, 2 are left");
    v1(
        "'B' 0000000000000000 0000000000000000 00000001",
        "Begin at byte 1: final LSN is 0, which is out of range",
    );
    v1(
        "'C' 01 0000000000000010 0000000000000020 0000000000000005",
        "Commit at byte 1: commit flags is 0x01, which has no meaning",
    );
    v1("'O' 0000000000000010 'cleave'", "Origin at byte 9: a text has no end");
    v1("'O' 0000000000000010 ff00", "Origin at byte 9: a name is not UTF-8");
    v1("'O' 0000000000000010 'o' 00 00", "Origin at byte 11: 1 bytes are left after the last field");
    v1("'R' 00004011 00 00 'x' 0000", "Relation at byte 7: replica identity is 0x78, which has no meaning");
    v1("'R' 00004011 00 00 'd' 0001 00000000", "Relation at byte 10: 1 columns cannot stand in 4 bytes");
    v1("'I' 00004011 'K' 0000", "Insert at byte 5: tuple kind is 0x4b, which has no meaning");
    v1("'I' 00004011 'N' ffff 'nnn'", "Insert at byte 8: 65535 cells cannot stand in 3 bytes");
    v1("'I' 00004011 'N' 0001 'x'", "Insert at byte 8: cell kind is 0x78, which has no meaning");
    v1(
        "'I' 00004011 'N' 0001 't' 80000000",
        "Insert at byte 9: cell length is -2147483648, which is out of range",
    );
    v1("'I' 00004011 'N' 0001 't' 00000005 'abcd'", "Insert at byte 13: needs 5 more bytes, 4 are left");
    v1("'D' 00004011 'N' 0000", "Delete at byte 5: tuple kind is 0x4e, which has no meaning");
    v1("'T' ffffffff 00 00004011", "Truncate at byte 6: 4294967295 relations cannot stand in 4 bytes");
    v1("'M' 02", "Message at byte 1: message flags is 0x02, which has no meaning");
    v1("'S' 000002ee 01", "Stream Start at byte 0: the message does not belong to protocol version 1");
    let v2 = |notation, expected| check_error(ProtocolVersion::V2, notation, expected);
    v2("'b'", "Begin Prepare at byte 0: the message does not belong to protocol version 2");
    let v3 = |notation, expected| check_error(ProtocolVersion::V3, notation, expected);
    v3("'P' 01", "Prepare at byte 1: prepare flags is 0x01, which has no meaning");
    let v4 = |notation, expected| check_error(ProtocolVersion::V4, notation, expected);
    v4("'A' 000002ee 000002ef", "Stream Abort at byte 9: needs 8 more bytes, 0 are left");
    v2("'E'", "Stream Stop at byte 0: a stream block starts inside another or ends outside one");
    v2("'S' 00000000 01", "Stream Start at byte 1: transaction id is 0, which is out of range");
}

#[test]
fn a_message_that_fails_does_not_open_a_stream_block() {
    let mut decoder = Decoder::new(ProtocolVersion::V2);
    assert!(decoder.decode(bytes("'S' 000002ee 01 00")).is_err());
    let error = decoder.decode(bytes("'E'")).unwrap_err();
    assert_eq!(error.problem, DecodeProblem::StreamNesting);
}

#[test]
fn no_row_value_is_shown_in_debug_output() {
    let decoded =
        Decoder::new(ProtocolVersion::V1).decode(bytes("'I' 00004011 'N' 0001 't' 00000006 'secret'"));
    let shown = format!("{decoded:?}");
    assert!(shown.contains("Text(6 bytes)") && !shown.contains("secret"), "{shown}");
}
