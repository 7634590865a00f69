//! COPY streams: by hand, and written and read back in any cut.

use bytes::{BufMut, Bytes, BytesMut};
use cleave_proto::{
    DecodeError,
    copy::{
        CopyRow,
        binary::{self, BinaryRows},
        text::{self, TextRows},
    },
};
use proptest::{collection::vec, prelude::*};

const ROW_BYTES_MAX: usize = 1 << 20;

type Fields = Vec<Option<Vec<u8>>>;

fn read_binary(chunks: Vec<Bytes>, row_bytes_max: usize) -> Result<Vec<Fields>, DecodeError> {
    let mut rows = BinaryRows::new(row_bytes_max);
    let mut found = Vec::new();
    for chunk in chunks {
        rows.push(chunk);
        while let Some(row) = rows.next_row()? {
            found.push(owned(row));
        }
    }
    rows.finish()?;
    Ok(found)
}

fn read_text(chunks: Vec<Bytes>, row_bytes_max: usize) -> Result<Vec<Fields>, DecodeError> {
    let mut rows = TextRows::new(row_bytes_max);
    let mut found = Vec::new();
    for chunk in chunks {
        rows.push(chunk);
        while let Some(row) = rows.next_row()? {
            found.push(owned(row));
        }
    }
    rows.finish()?;
    Ok(found)
}

fn owned(row: CopyRow) -> Fields {
    row.fields.into_iter().map(|field| field.map(|bytes| bytes.to_vec())).collect()
}

fn borrowed(row: &Fields) -> Vec<Option<&[u8]>> {
    row.iter().map(Option::as_deref).collect()
}

fn cut(stream: &Bytes, sizes: &[usize]) -> Vec<Bytes> {
    let (mut rest, mut chunks) = (stream.clone(), Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        chunks.push(rest.split_to((*size).min(rest.len())));
    }
    chunks
}

fn some(fields: &[&str]) -> Fields {
    fields.iter().map(|field| Some(field.as_bytes().to_vec())).collect()
}

fn text_of(stream: &'static str) -> Result<Vec<Fields>, String> {
    read_text(vec![Bytes::from_static(stream.as_bytes())], ROW_BYTES_MAX).map_err(|error| error.to_string())
}

fn binary_of(parts: &[&[u8]]) -> Result<Vec<Fields>, String> {
    read_binary(vec![Bytes::from(parts.concat())], ROW_BYTES_MAX).map_err(|error| error.to_string())
}

#[test]
fn text_rows_are_split_and_their_escapes_read() {
    assert_eq!(text_of("1\tfilm\n2\t\n"), Ok(vec![some(&["1", "film"]), some(&["2", ""])]));
    assert_eq!(text_of("\\N\ta\n"), Ok(vec![vec![None, Some(b"a".to_vec())]]));
    assert_eq!(text_of("\\\\N\n"), Ok(vec![some(&["\\N"])]));
    assert_eq!(
        text_of("\\b\\f\\n\\r\\t\\v\\\\\\q\n"),
        Ok(vec![some(&["\u{8}\u{c}\n\r\t\u{b}\\q"])]),
        "a letter without a meaning stands for itself"
    );
    assert_eq!(text_of("\\101\\1018\\60\\x41\\x411\\x\\xg\n"), Ok(vec![some(&["AA80AA1xxg"])]));
    assert_eq!(text_of("a\\\tb\tc\\\nd\n"), Ok(vec![some(&["a\tb", "c\nd"])]));
    assert_eq!(text_of("\n"), Ok(vec![some(&[""])]));
    assert_eq!(text_of("1\n\\.\n"), Ok(vec![some(&["1"])]));
    assert_eq!(text_of(""), Ok(vec![]));
}

#[test]
fn text_that_the_server_would_not_write_is_an_error() {
    let error = |stream| text_of(stream).unwrap_err();
    assert_eq!(error("1\t2"), "COPY text at byte 3: the COPY stream stops before its end");
    assert_eq!(error("1\n\\.\n2\n"), "COPY text at byte 5: data follows the end of the COPY stream");
    assert_eq!(error("a\rb\n"), "COPY text at byte 1: a raw carriage return in a COPY text row");
    assert_eq!(error("ok\na\\.\n"), "COPY text at byte 5: an end-of-data marker in a COPY text row");
}

#[test]
fn binary_rows_are_framed_by_count_and_lengths() {
    let rows = binary_of(&[
        &binary::HEADER,
        &[0, 2, 0, 0, 0, 1, 7, 0xff, 0xff, 0xff, 0xff],
        &[0, 0],
        &[0, 1, 0, 0, 0, 0],
        &binary::TRAILER,
    ]);
    assert_eq!(rows, Ok(vec![vec![Some(vec![7]), None], vec![], vec![Some(vec![])]]));
}

#[test]
fn a_binary_header_may_have_an_extension_and_harmless_flags() {
    let header = b"PGCOPY\n\xff\r\n\0\0\0\0\x01\0\0\0\x03abc";
    assert_eq!(binary_of(&[header, &binary::TRAILER]), Ok(vec![]));
}

#[test]
fn binary_framing_that_cannot_be_is_an_error() {
    let error = |parts: &[&[u8]]| binary_of(parts).unwrap_err();
    assert_eq!(error(&[b"PGCOPX"]), "COPY binary at byte 0: the COPY binary signature is missing");
    assert_eq!(
        error(&[b"PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0"]),
        "COPY binary at byte 11: the critical flags 0x00010000 of the COPY header are not known"
    );
    assert_eq!(
        error(&[b"PGCOPY\n\xff\r\n\0\0\0\0\0\xff\xff\xff\xff"]),
        "COPY binary at byte 15: header extension length is -1, which is out of range"
    );
    let header = &binary::HEADER;
    assert_eq!(
        error(&[header, &[0xff, 0xfe]]),
        "COPY binary at byte 19: field count is -2, which is out of range"
    );
    assert_eq!(
        error(&[header, &[0, 1, 0xff, 0xff, 0xff, 0xfe]]),
        "COPY binary at byte 21: field length is -2, which is out of range"
    );
    assert_eq!(error(&[header]), "COPY binary at byte 19: the COPY stream stops before its end");
    assert_eq!(
        error(&[header, &binary::TRAILER, &[0]]),
        "COPY binary at byte 21: data follows the end of the COPY stream"
    );
    assert_eq!(
        error(&[header, &[0, 1, 0x7f, 0xff, 0xff, 0xff]]),
        "COPY binary at byte 19: a row is longer than the limit of 1048576 bytes"
    );
}

#[test]
fn a_row_over_the_limit_is_refused_before_it_is_buffered() {
    let mut rows = TextRows::new(8);
    rows.push(Bytes::from_static(b"12345678\n123456789"));
    assert_eq!(rows.next_row().unwrap().map(|row| row.fields.len()), Some(1));
    assert_eq!(
        rows.next_row().unwrap_err().to_string(),
        "COPY text at byte 9: a row is longer than the limit of 8 bytes"
    );
}

#[test]
fn a_row_that_binary_cannot_say_is_not_written() {
    let mut out = BytesMut::new();
    assert!(!binary::put_row(&mut out, &vec![None; 32_768]));
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn rows_come_back_however_the_stream_is_cut(
        rows in vec(vec(proptest::option::of(vec(any::<u8>(), 0..12)), 1..5), 0..6),
        sizes in vec(1_usize..40, 1..5),
    ) {
        let (mut as_binary, mut as_text) = (BytesMut::from(&binary::HEADER[..]), BytesMut::new());
        for row in &rows {
            prop_assert!(binary::put_row(&mut as_binary, &borrowed(row)));
            text::put_row(&mut as_text, &borrowed(row));
        }
        as_binary.put_slice(&binary::TRAILER);
        prop_assert_eq!(&read_binary(cut(&as_binary.freeze(), &sizes), ROW_BYTES_MAX).unwrap(), &rows);
        prop_assert_eq!(&read_text(cut(&as_text.freeze(), &sizes), ROW_BYTES_MAX).unwrap(), &rows);
    }
}
