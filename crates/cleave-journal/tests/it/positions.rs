//! Positions of streams and start positions of tables.

use crate::journal::{Journal, on_every_version, pid};
use cleave_journal::{
    Copied, Copying, JournalError, StreamPosition, advance_position, begin_chunks, copied_tables,
    delete_stream, finish_chunk, insert_position, position, record_copied, tables_in_chunks,
};
use cleave_model::{Lsn, Oid, Position};

on_every_version!(
    a_position_comes_back_as_it_was_written,
    a_position_moves_only_from_where_the_applier_thinks_it_is,
    of_two_appliers_at_once_the_second_fails,
    a_new_slot_starts_without_the_old_one_s_marker,
    a_position_that_rolled_back_has_not_moved,
    copied_tables_are_recorded_once_each,
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
