//! Positions of streams and start positions of tables.

use crate::journal::{Journal, on_every_version, pid};
use cleave_journal::{
    Copied, CopiedRow, Copying, Division, Ends, JournalError, StreamPosition, advance_position, begin_chunks,
    begin_ranges, copied_rows, copied_tables, delete_stream, finish_chunk, finish_range, insert_position,
    is_partly_copied, key_ranges, position, record_copied, record_rows, tables_in_chunks,
};
use cleave_model::{Lsn, Oid, Position};

on_every_version!(
    a_position_comes_back_as_it_was_written,
    a_position_moves_only_from_where_the_applier_thinks_it_is,
    of_two_appliers_at_once_the_second_fails,
    a_new_slot_starts_without_the_old_one_s_marker,
    a_position_that_rolled_back_has_not_moved,
    copied_tables_are_recorded_once_each,
    ranges_of_a_giant_are_recorded_once_and_the_last_makes_it_copied,
    ranges_of_a_table_that_was_copied_whole_are_forgotten,
    rows_read_by_themselves_raise_the_start_of_their_table,
    a_table_is_copied_with_its_last_chunk,
    a_chunk_of_an_earlier_snapshot_is_refused,
    a_forgotten_stream_leaves_the_others_alone,
);

const STREAM: &str = "films/forward";

fn at(lsn: u64) -> Position {
    Position { system_identifier: u64::MAX - 1, timeline: 3, lsn: Lsn(lsn) }
}

async fn start(journal: &Journal, lsn: u64) {
    insert_position(&journal.client, STREAM, "cleave_films_forward_1", at(lsn)).await.unwrap();
}

async fn read(journal: &Journal) -> StreamPosition {
    position(&journal.client, STREAM).await.unwrap().unwrap()
}

async fn a_position_comes_back_as_it_was_written(journal: Journal) {
    assert_eq!(position(&journal.client, STREAM).await.unwrap(), None);
    start(&journal, 0x16_B374_D848).await;
    let expected =
        StreamPosition { slot: "cleave_films_forward_1".into(), position: at(0x16_B374_D848), marker: None };
    assert_eq!(read(&journal).await, expected);
}

async fn a_position_moves_only_from_where_the_applier_thinks_it_is(journal: Journal) {
    let client = &journal.client;
    start(&journal, 100).await;
    advance_position(client, STREAM, Lsn(100), Lsn(200), Some("marker 1")).await.unwrap();
    advance_position(client, STREAM, Lsn(200), Lsn(300), None).await.unwrap();
    let error = advance_position(client, STREAM, Lsn(200), Lsn(400), None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the journal is inconsistent: the position of films/forward is not 0/C8: another applier has moved it"
    );
    let read = read(&journal).await;
    assert_eq!((read.position.lsn, read.marker.as_deref()), (Lsn(300), Some("marker 1")), "a marker stays");

    assert!(advance_position(client, "films/back", Lsn(0), Lsn(1), None).await.is_err(), "no such stream");
}

async fn of_two_appliers_at_once_the_second_fails(journal: Journal) {
    start(&journal, 100).await;
    let (mut one, mut two) = (journal.connect().await, journal.connect().await);
    let first = one.transaction().await.unwrap();
    advance_position(&first, STREAM, Lsn(100), Lsn(200), None).await.unwrap();

    let pid_two = pid(&two).await;
    let second = tokio::spawn(async move {
        let transaction = two.transaction().await.unwrap();
        advance_position(&transaction, STREAM, Lsn(100), Lsn(200), None).await
    });
    journal.wait_until_blocked(pid_two).await;
    first.commit().await.unwrap();
    let error = second.await.unwrap().unwrap_err();
    assert!(matches!(error, JournalError::Inconsistent { .. }), "{error}");
    assert_eq!(read(&journal).await.position.lsn, Lsn(200));
}

async fn a_new_slot_starts_without_the_old_one_s_marker(journal: Journal) {
    start(&journal, 100).await;
    advance_position(&journal.client, STREAM, Lsn(100), Lsn(500), Some("marker 1")).await.unwrap();
    let fresh = Position { system_identifier: 7, timeline: 1, lsn: Lsn(50) };
    insert_position(&journal.client, STREAM, "cleave_films_forward_2", fresh).await.unwrap();
    let expected = StreamPosition { slot: "cleave_films_forward_2".into(), position: fresh, marker: None };
    assert_eq!(read(&journal).await, expected);
}

async fn a_position_that_rolled_back_has_not_moved(mut journal: Journal) {
    start(&journal, 100).await;
    let batch = journal.client.transaction().await.unwrap();
    advance_position(&batch, STREAM, Lsn(100), Lsn(200), None).await.unwrap();
    batch.rollback().await.unwrap();
    assert_eq!(read(&journal).await.position.lsn, Lsn(100));
}

async fn copied_tables_are_recorded_once_each(journal: Journal) {
    let client = &journal.client;
    let first = Copied { source_oid: Oid(16_385), start: Lsn(100), rows: 10, bytes: 1000 };
    let large = Copied { source_oid: Oid(u32::MAX), start: Lsn(100), rows: 5_000_000_000, bytes: 1 << 42 };
    // After a crash a table is read again in a later snapshot.
    let again = Copied { start: Lsn(900), rows: 12, ..first };
    for copied in [first, large, again] {
        record_copied(client, STREAM, copied).await.unwrap();
    }
    record_copied(client, "customers/forward", first).await.unwrap();
    let mut read = copied_tables(client, STREAM).await.unwrap();
    read.sort_by_key(|copied| copied.source_oid);
    assert_eq!(read, [again, large]);
}

const GIANT: Oid = Oid(16_390);

fn division() -> Division {
    Division { source_oid: GIANT, target_oid: Oid(17_000), key_column: "id".into(), key_type: "int8".into() }
}

fn three_ranges() -> [Ends; 3] {
    let end = |text: &str| Some(text.to_owned());
    [
        Ends { lower: None, upper: end("-7") },
        Ends { lower: end("-7"), upper: end("it's") },
        Ends { lower: end("it's"), upper: None },
    ]
}

async fn ranges_of_a_giant_are_recorded_once_and_the_last_makes_it_copied(journal: Journal) {
    let client = &journal.client;
    begin_ranges(client, STREAM, &division(), &three_ranges()).await.unwrap();
    let known = key_ranges(client, STREAM).await.unwrap();
    assert_eq!(known.iter().map(|range| range.ends.clone()).collect::<Vec<_>>(), three_ranges());
    assert!(known.iter().all(|range| range.division == division() && range.start.is_none()));
    assert!(!is_partly_copied(client, STREAM).await.unwrap());
    let range = |start| Copied { source_oid: GIANT, start: Lsn(start), rows: 10, bytes: 100 };
    assert_eq!(finish_range(client, STREAM, 2, range(300)).await.unwrap(), None);
    assert!(is_partly_copied(client, STREAM).await.unwrap());
    for (number, why) in [(2, "it is copied"), (3, "there is none")] {
        let refused = finish_range(client, STREAM, number, range(400)).await.unwrap_err();
        assert!(matches!(refused, JournalError::Inconsistent { .. }), "{why}: {refused}");
        // The caller's transaction would have rolled back.
        let back = "update cleave.copying set chunks_left = 2";
        client.batch_execute(back).await.unwrap();
    }
    assert_eq!(finish_range(client, STREAM, 0, range(100)).await.unwrap(), None);
    assert_eq!(copied_tables(client, STREAM).await.unwrap(), []);
    let whole = Copied { source_oid: GIANT, start: Lsn(300), rows: 30, bytes: 300 };
    assert_eq!(finish_range(client, STREAM, 1, range(200)).await.unwrap(), Some(whole));
    assert_eq!(copied_tables(client, STREAM).await.unwrap(), [whole]);
    assert_eq!(tables_in_chunks(client, STREAM).await.unwrap(), []);
    let starts: Vec<_> = key_ranges(client, STREAM).await.unwrap().iter().map(|range| range.start).collect();
    assert_eq!(starts, [Some(Lsn(100)), Some(Lsn(200)), Some(Lsn(300))]);
    delete_stream(client, STREAM).await.unwrap();
    assert_eq!(key_ranges(client, STREAM).await.unwrap(), []);
}

async fn ranges_of_a_table_that_was_copied_whole_are_forgotten(journal: Journal) {
    let client = &journal.client;
    begin_ranges(client, STREAM, &division(), &three_ranges()).await.unwrap();
    let first = Copied { source_oid: GIANT, start: Lsn(100), rows: 10, bytes: 100 };
    finish_range(client, STREAM, 0, first).await.unwrap();
    record_copied(client, STREAM, Copied { start: Lsn(900), ..first }).await.unwrap();
    assert_eq!(key_ranges(client, STREAM).await.unwrap(), []);
}

async fn rows_read_by_themselves_raise_the_start_of_their_table(journal: Journal) {
    let client = &journal.client;
    let table = Copied { source_oid: GIANT, start: Lsn(300), rows: 30, bytes: 300 };
    let other = Copied { source_oid: Oid(7), ..table };
    for copied in [table, other] {
        record_copied(client, STREAM, copied).await.unwrap();
    }
    let row = |key: &[u8], start: u64, seen: &str| CopiedRow {
        source_oid: GIANT,
        key: key.to_vec(),
        start: Lsn(start),
        seen: seen.into(),
    };
    // One that is read again, in the same transaction and in a later one.
    let rows = [row(b"a", 400, "1:1:"), row(b"b", 200, "2:2:"), row(b"a", 500, "3:3:")];
    record_rows(client, STREAM, &rows, Lsn(100)).await.unwrap();
    let read = async |position| {
        let mut rows = copied_rows(client, STREAM, Lsn(position)).await.unwrap();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows
    };
    assert_eq!(read(100).await, [row(b"a", 500, "3:3:"), row(b"b", 200, "2:2:")]);
    assert_eq!(read(200).await, [row(b"a", 500, "3:3:")]);
    let mut copied = copied_tables(client, STREAM).await.unwrap();
    copied.sort_by_key(|copied| copied.source_oid);
    assert_eq!(copied, [other, Copied { start: Lsn(500), ..table }]);
    record_rows(client, STREAM, &[row(b"c", 450, "4:4:")], Lsn(200)).await.unwrap();
    assert_eq!(read(0).await, [row(b"a", 500, "3:3:"), row(b"c", 450, "4:4:")], "what is passed is gone");
    let start = copied_tables(client, STREAM).await.unwrap().into_iter().map(|copied| copied.start).max();
    assert_eq!(start, Some(Lsn(500)), "it never sinks");
}

const CHUNK: Copied = Copied { source_oid: Oid(16_385), start: Lsn(100), rows: 10, bytes: 1000 };
const COPYING: Copying =
    Copying { source_oid: Oid(16_385), target_oid: Oid(20_000), start: Lsn(100), chunks_left: 3 };

async fn a_table_is_copied_with_its_last_chunk(journal: Journal) {
    let client = &journal.client;
    begin_chunks(client, STREAM, COPYING).await.unwrap();
    assert_eq!(tables_in_chunks(client, STREAM).await.unwrap(), [COPYING]);
    for _ in 0..2 {
        assert_eq!(finish_chunk(client, STREAM, CHUNK).await.unwrap(), None);
        assert_eq!(copied_tables(client, STREAM).await.unwrap(), []);
    }
    let whole = Copied { rows: 30, bytes: 3000, ..CHUNK };
    assert_eq!(finish_chunk(client, STREAM, CHUNK).await.unwrap(), Some(whole));
    assert_eq!(copied_tables(client, STREAM).await.unwrap(), [whole]);
    assert_eq!(tables_in_chunks(client, STREAM).await.unwrap(), []);
    // One more than there are is never counted.
    assert!(finish_chunk(client, STREAM, CHUNK).await.is_err());
}

async fn a_chunk_of_an_earlier_snapshot_is_refused(journal: Journal) {
    let client = &journal.client;
    begin_chunks(client, STREAM, COPYING).await.unwrap();
    finish_chunk(client, STREAM, CHUNK).await.unwrap();
    // After a crash the table is emptied and read in a later snapshot, perhaps in other chunks.
    let again = Copying { start: Lsn(900), chunks_left: 2, ..COPYING };
    begin_chunks(client, STREAM, again).await.unwrap();
    let error = finish_chunk(client, STREAM, CHUNK).await.unwrap_err();
    assert!(matches!(error, JournalError::Inconsistent { .. }), "{error}");
    let chunk = Copied { start: Lsn(900), ..CHUNK };
    assert_eq!(finish_chunk(client, STREAM, chunk).await.unwrap(), None);
    let whole = Copied { rows: 20, bytes: 2000, ..chunk };
    assert_eq!(finish_chunk(client, STREAM, chunk).await.unwrap(), Some(whole));
}

async fn a_forgotten_stream_leaves_the_others_alone(journal: Journal) {
    let client = &journal.client;
    let copied = Copied { source_oid: Oid(16_385), start: Lsn(100), rows: 10, bytes: 1000 };
    begin_chunks(client, STREAM, COPYING).await.unwrap();
    for stream in [STREAM, "films/back"] {
        insert_position(client, stream, "slot", at(100)).await.unwrap();
        record_copied(client, stream, copied).await.unwrap();
    }
    delete_stream(client, STREAM).await.unwrap();
    delete_stream(client, STREAM).await.unwrap();
    assert_eq!(position(client, STREAM).await.unwrap(), None);
    assert_eq!(copied_tables(client, STREAM).await.unwrap(), []);
    assert_eq!(tables_in_chunks(client, STREAM).await.unwrap(), []);
    assert!(position(client, "films/back").await.unwrap().is_some());
    assert_eq!(copied_tables(client, "films/back").await.unwrap(), [copied]);
}
