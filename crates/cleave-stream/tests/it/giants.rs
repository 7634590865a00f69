//! Copying giants in ranges of their keys, in several snapshots, and what the stream makes of them.

use crate::pair::{PATIENCE, Pair, Stream, on_one_pair, on_pairs};
use cleave_journal::{KeyRange, copied_rows, copied_tables, key_ranges, tables_in_chunks};
use cleave_model::{Direction, Ident, Lsn, RangeType};
use cleave_pg::replication::SlotLifetime;
use cleave_sandbox::Version;
use cleave_stream::{
    Canceller, CopyFormat, CopyRanges, CopySpec, Follow, SnapshotRenewal, SnapshotSource, cancellation,
    copy_tables, create_slot_with_snapshot,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

on_pairs!(
    rows_that_move_between_ranges_of_different_ages_end_as_on_the_source,
    rows_that_move_between_ranges_end_as_on_the_source_in_text_too,
    rows_that_move_in_a_transaction_that_comes_in_blocks_end_as_on_the_source,
    a_truncate_empties_the_ranges_that_have_not_seen_it,
    a_finished_range_stays_when_the_copy_dies_and_others_are_read_later,
    a_range_that_was_copied_meanwhile_is_not_copied_twice,
    a_giant_that_was_truncated_behind_the_snapshot_is_not_taken_for_an_empty_one,
);

on_one_pair!(
    a_giant_that_changes_and_dies_all_the_time_ends_as_on_the_source,
    a_giant_is_divided_by_a_key_of_each_type,
    rows_of_others_in_a_giant_are_refused,
    ranges_of_a_table_that_was_made_anew_are_read_again,
    ranges_of_another_column_are_refused,
    columns_that_change_between_two_ranges_are_refused,
    a_missing_row_with_other_columns_is_refused,
);

/// `wide` is stored out of line.
const FILM: &str = "
    create table film (n int, part int, id int, wide text, note text, primary key (id, part));
    alter table film alter column wide set storage external;";

/// A type without a binary form that is the same everywhere: all values come as text.
const TEXT_ONLY: &str = "alter table film add column words tsquery default 'a & b';";

async fn fill(pair: &Pair) {
    pair.m
        .run(
            "insert into film (n, part, id, wide, note)
             select 0, i % 3, i, case when i % 4 = 0 then repeat('w', 3000) || i end, 'first' from generate_series(1, 3000) i",
        )
        .await;
    // The other order of columns: it is the source's that counts.
    pair.n.run("alter table film drop constraint film_pkey, add primary key (part, id)").await;
}

async fn spec(pair: &Pair, name: &str, (column, kind): (&str, RangeType)) -> (CopySpec, Canceller) {
    let (keep, cancelled) = cancellation();
    let slot = format!("cleave_{name}_{}_{}", pair.service, std::process::id());
    let mut spec = pair.copy_spec(SnapshotSource::TemporarySlot { name: slot.clone() }, cancelled).await;
    spec.jobs = 1;
    spec.renewal = Some(SnapshotRenewal { age: Duration::from_secs(3600), slot: format!("{slot}_next") });
    for table in &mut spec.tables {
        table.ranges = Some(CopyRanges { column: Ident::new(column), kind, bytes: 256 << 10 });
        table.format = CopyFormat::Binary;
    }
    (spec, keep)
}

async fn film(pair: &Pair, name: &str) -> (CopySpec, Canceller) {
    let (mut spec, keep) = spec(pair, name, ("id", RangeType::Int4)).await;
    for table in &mut spec.tables {
        table.format = CopyFormat::Text;
    }
    (spec, keep)
}

async fn ranges(pair: &Pair, spec: &CopySpec) -> Vec<KeyRange> {
    key_ranges(&pair.n.client, &spec.stream).await.unwrap()
}

async fn starts(pair: &Pair, spec: &CopySpec) -> Vec<Option<Lsn>> {
    ranges(pair, spec).await.iter().map(|range| range.start).collect()
}

/// Lets the copy end with an error when it has read range `number`, before that is committed.
async fn stop_at(pair: &Pair, number: i32) {
    pair.n
        .run(&format!(
            "create or replace function stop() returns trigger language plpgsql as
               'begin if new.number >= {number} then raise ''stopped here''; end if; return new; end';
             drop trigger if exists stop on cleave.copied_range;
             create trigger stop before update on cleave.copied_range for each row execute function stop();
             alter table cleave.copied_range enable always trigger stop"
        ))
        .await;
}

async fn go_on(pair: &Pair) {
    pair.n.run("drop trigger stop on cleave.copied_range").await;
}

async fn follow(pair: &Pair, spec: &CopySpec) -> Stream {
    let copied = copied_tables(&pair.n.client, &spec.stream).await.unwrap();
    let mut follow = pair.follow_spec(Direction::Forward, Lsn(0)).await;
    for route in &mut follow.routes {
        route.start = copied.iter().find(|copied| copied.source_oid == route.source_oid).unwrap().start;
    }
    Stream::new(Follow::start(follow))
}

/// Copies the first ranges, lets `between` happen, copies the others.
async fn copy_in_two(pair: &Pair, spec: &mut CopySpec, between: &str) {
    pair.publish(Direction::Forward).await;
    pair.slot_and_position().await;
    stop_at(pair, 3).await;
    let error = copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    assert!(format!("{error:?}").contains("stopped here"), "{error:?}");
    pair.m.run(between).await;
    go_on(pair).await;
    let slot = format!("cleave_again_{}_{}", pair.service, std::process::id());
    spec.snapshot = SnapshotSource::TemporarySlot { name: slot };
    copy_tables(spec.clone(), |_| {}).await.unwrap();
    let starts = starts(pair, spec).await;
    assert!(starts.len() > 5 && starts.is_sorted() && starts[2] < starts[3], "{starts:?}");
}

/// From a range that is not read yet into one that is, and the other way; and what becomes of those rows.
const MOVES: &str = "
    update film set id = -id where id > 2900;
    update film set id = 100000 + id where id <= 40;
    update film set n = 1 where id % 5 = 0;
    update film set id = id - 1, part = 7 where id % 50 = 0;
    delete from film where id % 17 = 0;
    insert into film values (3, 1, 2999, repeat('x', 4000), 'new'), (3, 1, 1, repeat('y', 4000), 'new');
    begin;
    update film set id = -50000 - id where id = 2801;
    update film set id = id - 1 where id < -50000;
    update film set note = 'twice' where id < -50000;
    commit;";

/// After the last snapshot: rows that were missing are other rows, or elsewhere, or nowhere.
const FUTURE: &str = "
    update film set wide = 'later' where id in (-2904, -2908);
    update film set note = 'later', wide = null where id = -2912;
    update film set id = 5000 + id where id in (-2916, -2920);
    update film set id = -id where id in (-2924, -2928);
    update film set id = id - 10000, note = 'moved on' where id in (-2932, -2936);
    update film set id = id - 10000 where id = -12936;
    delete from film where id in (-2940, -2944);
    insert into film values (9, 2, -2944, 'another', 'new');
    update film set part = part + 1 where id = -2948;
    update film set n = n + 1;";

async fn moves(source: Version, target: Version, schema: &str, name: &str) {
    let pair = Pair::new(source, target, name, schema).await;
    fill(&pair).await;
    let (mut spec, _keep) = film(&pair, name).await;
    copy_in_two(&pair, &mut spec, MOVES).await;
    let before = copied_tables(&pair.n.client, &spec.stream).await.unwrap()[0].start;
    assert_eq!(Some(before), starts(&pair, &spec).await.into_iter().max().unwrap());
    pair.m.run(FUTURE).await;
    let stream = follow(&pair, &spec).await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    let rows = copied_rows(&pair.n.client, &spec.stream, Lsn(0)).await.unwrap();
    assert!(rows.len() >= 20, "rows that were missing: {}", rows.len());
    let start = copied_tables(&pair.n.client, &spec.stream).await.unwrap()[0].start;
    assert_eq!(Some(start), rows.iter().map(|row| row.start).max(), "the table starts with its last row");
    assert!(start > before);
    // Nothing is filtered any more, by this stream or the next.
    pair.m.run("update film set id = 7 where id = -2999; update film set id = -3 where id = 2999").await;
    pair.drain(Direction::Forward, &stream).await;
    stream.stop().await;
    pair.m.run("update film set id = 9 where id = -3").await;
    let stream = follow(&pair, &spec).await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(copied_rows(&pair.n.client, &spec.stream, Lsn(0)).await.unwrap(), rows);
    stream.stop().await;
}

async fn rows_that_move_between_ranges_of_different_ages_end_as_on_the_source(
    source: Version,
    target: Version,
) {
    moves(source, target, FILM, "gmoves").await;
}

async fn rows_that_move_between_ranges_end_as_on_the_source_in_text_too(source: Version, target: Version) {
    moves(source, target, &format!("{FILM}{TEXT_ONLY}"), "gtext").await;
}

/// What is read by itself is told by the numbers of transactions, which come another way with one in blocks. Where neighbours
/// write much meanwhile it is read in slices, and comes whole.
async fn rows_that_move_in_a_transaction_that_comes_in_blocks_end_as_on_the_source(
    source: Version,
    target: Version,
) {
    let pair = Pair::new(source, target, "gblocks", FILM).await;
    fill(&pair).await;
    let (mut spec, _keep) = film(&pair, "gblocks").await;
    let database: String = pair.m.client.query_one("select current_database()", &[]).await.unwrap().get(0);
    pair.m.run(&format!("alter database {database} set logical_decoding_work_mem = '64kB'")).await;
    let moves = MOVES.replace("begin;", "savepoint one;").replace("commit;", "release one;");
    copy_in_two(&pair, &mut spec, &format!("begin; {moves} commit")).await;
    pair.m.run(&format!("begin; {FUTURE} commit")).await;
    let stream = follow(&pair, &spec).await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert!(copied_rows(&pair.n.client, &spec.stream, Lsn(0)).await.unwrap().len() >= 20);
    stream.stop().await;
}

async fn a_truncate_empties_the_ranges_that_have_not_seen_it(source: Version, target: Version) {
    let schema = format!("{FILM} create table other (id int primary key);");
    let pair = Pair::new(source, target, "gtruncate", &schema).await;
    fill(&pair).await;
    pair.m.run("insert into other values (1)").await;
    let (mut spec, _keep) = film(&pair, "gtruncate").await;
    let other = spec.tables.iter_mut().find(|table| table.source_name.name.as_str() == "other").unwrap();
    other.ranges = None;
    // The first ranges have rows that are gone, the last have what came afterwards.
    let between = "
        truncate film, other;
        insert into film select 1, 1, i, repeat('z', 3000) || i, 'second' from generate_series(1, 3000, 10) i;
        insert into other values (2);
        update film set id = -id where id in (2901, 2911, 2921)";
    copy_in_two(&pair, &mut spec, between).await;
    // Rows that are read by themselves are so after this one, too.
    pair.m
        .run("truncate film; insert into film values (4, 1, -2911, 'third', 'new'), (4, 1, 5, '', '')")
        .await;
    let stream = follow(&pair, &spec).await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(pair.n.count("select count(*) from film").await, 2);
    assert_eq!(copied_rows(&pair.n.client, &spec.stream, Lsn(0)).await.unwrap().len(), 3);
    pair.m.run("truncate film").await;
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(pair.n.count("select count(*) from film").await, 0);
    stream.stop().await;
}

async fn a_finished_range_stays_when_the_copy_dies_and_others_are_read_later(
    source: Version,
    target: Version,
) {
    let pair = Pair::new(source, target, "gstays", FILM).await;
    fill(&pair).await;
    let (mut spec, _keep) = film(&pair, "gstays").await;
    pair.publish(Direction::Forward).await;
    pair.slot_and_position().await;
    spec.jobs = 3;
    // In a snapshot that is too old at once each worker reads one range.
    let renewal = format!("cleave_next_{}_{}", pair.service, std::process::id());
    spec.renewal = Some(SnapshotRenewal { age: Duration::ZERO, slot: renewal });
    stop_at(&pair, 6).await;
    copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    let before = ranges(&pair, &spec).await;
    let done = before.iter().filter(|range| range.start.is_some()).count();
    assert!(done >= 4 && before.len() > 6, "{before:?}");
    let rows: u64 = before.iter().map(|range| range.rows).sum();
    assert_eq!(pair.n.count("select count(*) from film").await, i64::try_from(rows).unwrap());
    go_on(&pair).await;
    let slot = format!("cleave_again_{}_{}", pair.service, std::process::id());
    spec.snapshot = SnapshotSource::TemporarySlot { name: slot };
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let copied = copy_tables(spec.clone(), move |report| seen.lock().unwrap().push(report)).await.unwrap();
    let after = ranges(&pair, &spec).await;
    for (before, after) in before.iter().zip(&after).filter(|(before, _)| before.start.is_some()) {
        assert_eq!(before, after, "it was not read again");
    }
    let bytes: u64 = before.iter().map(|range| range.bytes).sum();
    let told = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(told[0].bytes, bytes, "what is there is counted");
    assert_eq!(told.last().unwrap().bytes, copied[0].bytes);
    assert_eq!(after.iter().map(|range| range.rows).sum::<u64>(), 3000);
    assert_eq!(after.iter().map(|range| range.start).max().unwrap(), Some(copied[0].start));
    let mut starts: Vec<_> = after.iter().map(|range| range.start).collect();
    starts.sort();
    starts.dedup();
    assert!(starts.len() > 3, "ranges of different ages: {starts:?}");
    assert_eq!(tables_in_chunks(&pair.n.client, &spec.stream).await.unwrap(), []);
    pair.assert_same().await;
}

/// Moves, changes, deletes and inserts rows until told to stop.
fn churn(url: &str) -> (Arc<AtomicBool>, tokio::task::JoinHandle<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (told, url) = (Arc::clone(&stop), url.to_owned());
    let task = tokio::spawn(async move {
        let client = cleave_sandbox::connect(&url).await.unwrap();
        let mut round = 0;
        while !told.load(Ordering::Relaxed) {
            round += 1;
            let sql = format!(
                "update film f set id = (f.id + 1500 + {0}) % 4000 where f.id % 97 = {0}
                   and not exists (select from film o where o.id = (f.id + 1500 + {0}) % 4000);
                 update film set n = n + 1 where id % 61 = {0};
                 update film set wide = repeat('v', 2500) || {round} where id % 89 = {0};
                 delete from film where id % 83 = {0} and n % 2 = 1;
                 insert into film values (0, 1, 10000 + {round}, repeat('u', 3000), 'new')",
                round % 50
            );
            client.batch_execute(&sql).await.unwrap();
        }
    });
    (stop, task)
}

async fn a_giant_that_changes_and_dies_all_the_time_ends_as_on_the_source(source: Version, target: Version) {
    let pair = Pair::new(source, target, "gchurn", FILM).await;
    fill(&pair).await;
    pair.publish(Direction::Forward).await;
    pair.slot_and_position().await;
    let (stop, writer) = churn(&pair.m.url);
    let (mut spec, _keep) = film(&pair, "gchurn").await;
    spec.jobs = 2;
    let mut round = 0;
    // Dropped at any moment, until nothing is left.
    while copied_tables(&pair.n.client, &spec.stream).await.unwrap().is_empty() {
        round += 1;
        let slot = format!("cleave_gdrop{round}_{}_{}", pair.service, std::process::id());
        spec.snapshot = SnapshotSource::TemporarySlot { name: slot.clone() };
        spec.renewal = Some(SnapshotRenewal { age: Duration::ZERO, slot: format!("{slot}_next") });
        let copy = tokio::spawn(copy_tables(spec.clone(), |_| {}));
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..900))).await;
        copy.abort();
    }
    for _ in 0..4 {
        let stream = follow(&pair, &spec).await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..400))).await;
        drop(stream);
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let stream = follow(&pair, &spec).await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

/// A table per type, in the order of its key, and which of its keys moves where.
const KINDS: [(RangeType, &str, &str, &str); 8] = [
    (RangeType::Int2, "smallint", "i", "-5"),
    (RangeType::Int4, "int", "i * 1000", "-5"),
    (RangeType::Int8, "bigint", "i * 10000000000", "-5"),
    (
        RangeType::Uuid,
        "uuid",
        "(lpad(to_hex(i), 8, '0') || repeat('8', 24))::uuid",
        "'00000000-0000-0000-0000-000000000000'",
    ),
    (RangeType::Bytea, "bytea", "decode(lpad(to_hex(i), 4, '0'), 'hex')", "''"),
    (RangeType::Date, "date", "date '2026-01-01' + i", "'-infinity'"),
    (
        RangeType::Timestamp,
        "timestamp",
        "timestamp '0100-01-01 10:00 BC' + i * interval '1 day 1.5 seconds'",
        "'0200-01-01 BC'",
    ),
    (
        RangeType::TimestampTz,
        "timestamptz",
        "timestamptz '2026-01-01 10:00+05' + i * interval '1 hour'",
        "'-infinity'",
    ),
];

async fn a_giant_is_divided_by_a_key_of_each_type(source: Version, target: Version) {
    for (at, (kind, type_name, keys, first)) in KINDS.into_iter().enumerate() {
        // Each type in both forms, over the pairs of versions.
        let (form, extra) = match (at + usize::from(source == Version::V16)) % 2 {
            0 => ("binary", ""),
            _ => ("text", ", words tsquery default 'a'"),
        };
        let schema = format!(
            "create table kind (id {type_name} primary key, wide text, n int{extra});
                 alter table kind alter column wide set storage external"
        );
        let pair = Pair::new(source, target, &format!("gkind_{form}"), &schema).await;
        let insert = format!(
            "insert into kind select {keys}, repeat('w', 2500) || i, 0 from generate_series(1, 400) i"
        );
        pair.m.run(&insert).await;
        let (mut spec, _keep) = spec(&pair, "gkind", ("id", kind)).await;
        for table in &mut spec.tables {
            table.ranges.as_mut().unwrap().bytes = 128 << 10;
            table.format = CopyFormat::Text;
        }
        let moved = format!(
            "update kind set n = 1;
                 update kind set id = {first} where id = (select id from kind order by id desc limit 1);
                 update kind set id = {last} where id = (select id from kind order by id offset 1 limit 1);
                 delete from kind where id in (select id from kind order by id desc offset 3 limit 2);
                 delete from kind where id in (select id from kind order by id offset 3 limit 2);",
            last = format_args!("(select {} from (values (500)) v (i))", keys)
        );
        copy_in_two(&pair, &mut spec, &moved).await;
        pair.m.run("update kind set n = 2").await;
        let stream = follow(&pair, &spec).await;
        pair.drain(Direction::Forward, &stream).await;
        pair.assert_same().await;
        let rows = copied_rows(&pair.n.client, &spec.stream, Lsn(0)).await.unwrap();
        assert_eq!(rows.len(), 1, "{type_name} in {form}");
        stream.stop().await;
    }
}

/// As when the session of an earlier run commits after this one has looked.
async fn a_range_that_was_copied_meanwhile_is_not_copied_twice(source: Version, target: Version) {
    let pair = Pair::new(source, target, "gtwice", FILM).await;
    fill(&pair).await;
    let (mut spec, _keep) = film(&pair, "gtwice").await;
    stop_at(&pair, 3).await;
    copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    go_on(&pair).await;
    // The range gets its start between the look at the journal and the end of its copy.
    pair.n
        .run(
            "create function meanwhile() returns trigger language plpgsql as
               'begin update cleave.copied_range set start = ''0/1'' where number = 3; return null; end';
             create trigger meanwhile after insert on film for each statement execute function meanwhile();
             alter table film enable always trigger meanwhile",
        )
        .await;
    spec.snapshot = SnapshotSource::TemporarySlot {
        name: format!("cleave_twice_{}_{}", pair.service, std::process::id()),
    };
    let before = pair.n.count("select count(*) from film").await;
    let error = copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("range 3"), "{error}");
    assert_eq!(pair.n.count("select count(*) from film").await, before);
}

async fn rows_of_others_in_a_giant_are_refused(source: Version, target: Version) {
    let pair = Pair::new(source, target, "gothers", FILM).await;
    fill(&pair).await;
    pair.n.run("insert into film values (7, 7, 7, 'whose?')").await;
    let (spec, _keep) = film(&pair, "gothers").await;
    let error = copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "C0511");
    assert_eq!(pair.n.count("select count(*) from film").await, 1);
    assert_eq!(ranges(&pair, &spec).await, []);
}

async fn ranges_of_a_table_that_was_made_anew_are_read_again(source: Version, target: Version) {
    let pair = Pair::new(source, target, "ganew", FILM).await;
    fill(&pair).await;
    let (mut spec, _keep) = film(&pair, "ganew").await;
    stop_at(&pair, 3).await;
    copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    go_on(&pair).await;
    pair.n.run(&format!("drop table film; {FILM}")).await;
    for again in 0..2 {
        let slot = format!("cleave_anew{again}_{}_{}", pair.service, std::process::id());
        spec.snapshot = SnapshotSource::TemporarySlot { name: slot };
        copy_tables(spec.clone(), |_| {}).await.unwrap();
        pair.assert_same().await;
        let mut starts = starts(&pair, &spec).await;
        starts.dedup();
        assert!(starts.len() == 1 && starts[0].is_some(), "all in one snapshot: {starts:?}");
    }
}

async fn ranges_of_another_column_are_refused(source: Version, target: Version) {
    let pair = Pair::new(source, target, "gcolumn", FILM).await;
    fill(&pair).await;
    let (mut spec, _keep) = film(&pair, "gcolumn").await;
    stop_at(&pair, 3).await;
    copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    go_on(&pair).await;
    let slot = format!("cleave_column_{}_{}", pair.service, std::process::id());
    spec.snapshot = SnapshotSource::TemporarySlot { name: slot };
    spec.tables[0].ranges.as_mut().unwrap().column = Ident::new("part");
    let error = copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "C0553");
    assert!(error.to_string().contains("id (int4)") && error.to_string().contains("part (int4)"), "{error}");
}

async fn columns_that_change_between_two_ranges_are_refused(source: Version, target: Version) {
    let pair = Pair::new(source, target, "gddl", FILM).await;
    fill(&pair).await;
    let (mut spec, _keep) = film(&pair, "gddl").await;
    stop_at(&pair, 3).await;
    copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    go_on(&pair).await;
    let mut again = 0;
    // It comes and goes: rows that had it are not all alike.
    for change in ["alter table film add column extra int default 7", "alter table film drop column extra"] {
        pair.m.run(change).await;
        again += 1;
        let slot = format!("cleave_gddl{again}_{}_{}", pair.service, std::process::id());
        spec.snapshot = SnapshotSource::TemporarySlot { name: slot };
        let error = copy_tables(spec.clone(), |_| {}).await.unwrap_err();
        assert!(error.code() == "C0553" && error.to_string().contains("columns were changed"), "{error}");
    }
    let count = starts(&pair, &spec).await.iter().flatten().count();
    assert_eq!(count, 3);
}

async fn a_missing_row_with_other_columns_is_refused(source: Version, target: Version) {
    let pair = Pair::new(source, target, "gfuture", FILM).await;
    fill(&pair).await;
    let (mut spec, _keep) = film(&pair, "gfuture").await;
    copy_in_two(&pair, &mut spec, "update film set id = -id where id = 2904").await;
    pair.m.run("alter table film add column extra int; update film set extra = 1").await;
    let stream = follow(&pair, &spec).await;
    let error = stream.failure().await;
    assert!(error.code() == "C0553" && error.to_string().contains("columns were changed"), "{error}");
    assert_eq!(pair.n.count("select count(*) from film where id in (-2904, 2904)").await, 0);
    stream.stop().await;
}

async fn a_giant_that_was_truncated_behind_the_snapshot_is_not_taken_for_an_empty_one(
    source: Version,
    target: Version,
) {
    let pair = Pair::new(source, target, "gempty", FILM).await;
    fill(&pair).await;
    pair.publish(Direction::Forward).await;
    let (mut spec, _keep) = film(&pair, "gempty").await;
    let SnapshotSource::TemporarySlot { name } = spec.snapshot.clone() else { panic!() };
    let slot =
        create_slot_with_snapshot(&spec.source, &name, SlotLifetime::Temporary, PATIENCE).await.unwrap();
    pair.m.run("truncate film; insert into film values (1, 1, 1, 'w', 'new')").await;
    let consistent_point = slot.consistent_point();
    spec.snapshot = SnapshotSource::Given { name: slot.snapshot.clone(), consistent_point };
    let error = copy_tables(spec.clone(), |_| {}).await.unwrap_err();
    assert!(error.code() == "C0553" && error.to_string().contains("truncated or rewritten"), "{error}");
    assert_eq!(ranges(&pair, &spec).await, []);
    drop(slot);
    spec.snapshot = SnapshotSource::TemporarySlot { name: format!("{name}_again") };
    copy_tables(spec.clone(), |_| {}).await.unwrap();
    pair.assert_same().await;
}
