//! What real servers write, through the SQL interface of logical decoding (manual 9.28.6).

use bytes::Bytes;
use cleave_proto::{
    copy::{CopyRow, binary::BinaryRows, text::TextRows},
    pgoutput::{Cell, Change, Decoder, OldTuple, ProtocolVersion, Tuple},
    transaction::{Event, RelationStatus, TransactionTracker},
};
use cleave_sandbox::{Cluster, Options, Version, connect};
use futures_util::TryStreamExt;
use tokio_postgres::Client;

const TABLE: &str = "
    create type rating as enum ('G', 'R');
    create table film (id int primary key, title text, rating rating, big text);
    alter table film alter big set storage external;
    create publication p for table film
";

/// A database with the table, and a slot of the database's name.
async fn with_table(cluster: &Cluster, database: &str) -> Client {
    cluster.create_database(database).await.unwrap();
    let client = connect(&cluster.url(database)).await.unwrap();
    execute(&client, TABLE).await;
    let slot = "select pg_create_logical_replication_slot(current_database(), 'pgoutput')";
    client.batch_execute(slot).await.unwrap();
    client
}

/// One statement after the other, each in its own transaction unless `begin` says otherwise.
async fn execute(client: &Client, statements: &str) {
    for statement in statements.split(';') {
        client.batch_execute(statement).await.unwrap();
    }
}

/// Every change since the last call, through decoder and tracker.
async fn changes(client: &Client, version: ProtocolVersion, more_options: &str) -> Vec<Event> {
    let query = format!(
        "select data from pg_logical_slot_get_binary_changes(current_database(), null, null, 'proto_version', '{}', \
         'publication_names', 'p', 'messages', 'true'{more_options})",
        version.number()
    );
    let (mut decoder, mut tracker) = (Decoder::new(version), TransactionTracker::new());
    let rows = client.query(&query, &[]).await.unwrap();
    let data = rows.iter().map(|row| Bytes::from(row.get::<_, Vec<u8>>(0)));
    let events = data.map(|data| tracker.step(decoder.decode(data).unwrap()).unwrap()).collect();
    assert!(tracker.is_between_transactions());
    events
}

/// One line an event. What varies by version is left out: empty transactions, and relations said again with
/// their types.
fn told(events: &[Event]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for event in events {
        let line = match event {
            Event::Begin(_) => "begin".to_owned(),
            Event::Commit(_) if lines.last().is_some_and(|line| line == "begin") => {
                lines.pop();
                continue;
            }
            Event::Commit(transaction) => match &transaction.origin {
                None => "commit".to_owned(),
                Some(origin) => format!("commit from {}", origin.name),
            },
            Event::Origin(origin) => format!("origin {}", origin.name),
            Event::Relation { status: RelationStatus::Same, .. } => {
                while lines.pop_if(|line| line.starts_with("type ")).is_some() {}
                continue;
            }
            Event::Relation { relation, status, .. } => {
                let column = |column: &cleave_proto::pgoutput::RelationColumn| {
                    format!("{}{}", column.name, if column.key { "*" } else { "" })
                };
                let columns: Vec<String> = relation.columns.iter().map(column).collect();
                let new = if *status == RelationStatus::New { "new" } else { "changed" };
                format!("{new} {} {:?} {}", relation.name, relation.replica_identity, columns.join(" "))
            }
            Event::Type { type_name, .. } => format!("type {}", type_name.name),
            Event::Change { relation, change, .. } => format!("{} {}", relation.name, change_told(change)),
            Event::Truncate { relations, cascade, restart_identity, .. } => {
                format!("truncate {} cascade {cascade} restart {restart_identity}", relations[0].name)
            }
            Event::Logical { message, .. } => {
                let content = String::from_utf8_lossy(&message.content);
                format!("message {} {} {content}", message.transactional, message.prefix)
            }
            other => panic!("{other:?}"),
        };
        lines.push(line);
    }
    lines
}

fn change_told(change: &Change) -> String {
    match change {
        Change::Insert { new } => format!("insert {}", tuple_told(new)),
        Change::Update { old, new } => {
            let old = old.as_ref().map_or("-".to_owned(), old_told);
            format!("update {old} {}", tuple_told(new))
        }
        Change::Delete { old } => format!("delete {}", old_told(old)),
    }
}

fn old_told(old: &OldTuple) -> String {
    match old {
        OldTuple::Key(tuple) => format!("key {}", tuple_told(tuple)),
        OldTuple::Full(tuple) => format!("full {}", tuple_told(tuple)),
    }
}

fn tuple_told(tuple: &Tuple) -> String {
    let cells = tuple.cells.iter().map(|cell| match cell {
        Cell::Null => "null".to_owned(),
        Cell::Unchanged => "unchanged".to_owned(),
        Cell::Text(bytes) if bytes.len() > 40 => format!("{} bytes", bytes.len()),
        Cell::Text(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Cell::Binary(bytes) => format!("{:02x?}", &bytes[..]),
    });
    format!("({})", cells.collect::<Vec<_>>().join(", "))
}

async fn every_kind_of_change_is_read(cluster: &Cluster) {
    let client = with_table(cluster, "changes").await;
    let work = "
        insert into film values (1, 'a', 'G', repeat('x', 9000));
        update film set title = 'b';
        update film set id = 2;
        delete from film;
        alter table film replica identity full;
        insert into film values (3, null, null, '');
        delete from film;
        truncate film restart identity cascade;
        select pg_logical_emit_message(true, 'cleave', 'hi');
        select pg_logical_emit_message(false, 'cleave', 'now');
        select pg_replication_origin_session_setup('peer');
        insert into film values (4);
        select pg_replication_origin_session_reset()
    ";
    execute(&client, work).await;
    let transactions: [&[&str]; 8] = [
        &[
            "type public.rating",
            "new public.film Default id* title rating big",
            "public.film insert (1, a, G, 9000 bytes)",
        ],
        &["public.film update - (1, b, G, unchanged)"],
        &["public.film update key (1, null, null, null) (2, b, G, unchanged)"],
        &["public.film delete key (2, null, null, null)"],
        &[
            "type public.rating",
            "changed public.film Full id* title* rating* big*",
            "public.film insert (3, null, null, )",
        ],
        &["public.film delete full (3, null, null, )"],
        &["truncate public.film cascade true restart true"],
        &["message true cleave hi"],
    ];
    let mut expected: Vec<&str> = transactions
        .iter()
        .flat_map(|lines| ["begin"].into_iter().chain(lines.iter().copied()).chain(["commit"]))
        .collect();
    expected.push("message false cleave now");
    expected.extend(["begin", "origin peer", "public.film insert (4, null, null, null)", "commit from peer"]);
    let lines = told(&changes(&client, ProtocolVersion::V1, "").await);
    assert_eq!(lines, expected);

    client.batch_execute("insert into film values (258, 'é', 'R', null)").await.unwrap();
    let lines = told(&changes(&client, ProtocolVersion::V1, ", 'binary', 'true'").await);
    assert!(
        lines.contains(&"public.film insert ([00, 00, 01, 02], [c3, a9], [52], null)".to_owned()),
        "{lines:?}"
    );
}

/// With little memory the server sends a transaction in blocks.
async fn a_transaction_in_progress_is_read(cluster: &Cluster) {
    let client = with_table(cluster, "blocks").await;
    client.batch_execute("set logical_decoding_work_mem = '64kB'").await.unwrap();
    let work = "
        begin;
        select pg_replication_origin_session_setup('peer');
        insert into film select n, repeat('a', 200) from generate_series(1, 1000) n;
        savepoint part;
        insert into film select n, repeat('b', 200) from generate_series(1001, 2000) n;
        rollback to part;
        alter table film add more int;
        insert into film select n, repeat('c', 200) from generate_series(2001, 3000) n;
        commit;
        select pg_replication_origin_session_reset();
        insert into film (id, more) values (4000, 1);
    ";
    execute(&client, work).await;
    let events = changes(&client, ProtocolVersion::V2, ", 'streaming', 'on'").await;
    let (mut blocks, mut committed, mut kept, mut aborted) = (0, None, Vec::new(), 0);
    for event in &events {
        match event {
            Event::StreamStart(start) => {
                blocks += 1;
                assert_eq!(start.first_segment, blocks == 1);
            }
            Event::Change { stream_xid: Some(xid), relation, .. } => {
                kept.push((*xid, relation.columns.len()))
            }
            Event::StreamAbort(abort) => {
                assert_ne!(abort.xid, abort.subxid);
                aborted += 1;
                kept.retain(|(xid, _)| *xid != abort.subxid);
            }
            Event::StreamCommit(transaction) => {
                committed = transaction.origin.clone().map(|origin| origin.name)
            }
            _ => {}
        }
    }
    assert!(blocks > 1 && aborted > 0, "{blocks} blocks, {aborted} parts rolled back");
    assert_eq!(committed.as_deref(), Some("peer"));
    let width = |columns| kept.iter().filter(|(_, width)| *width == columns).count();
    assert_eq!((width(4), width(5)), (1000, 1000));
    // The next transaction relies on what the one before was told.
    let Some([Event::Change { relation, .. }, Event::Commit(_)]) = events.last_chunk::<2>() else {
        panic!("{:?}", events.last())
    };
    assert_eq!(relation.columns.len(), 5);
}

/// What versions 3 and 4 add: a transaction that is prepared before it commits or is rolled back, whole and in blocks, and
/// the place of an abort.
async fn prepared_transactions_are_read(cluster: &Cluster, version: ProtocolVersion) {
    let client = with_table(cluster, "prepared").await;
    let again = "select pg_drop_replication_slot(current_database());
                 select pg_create_logical_replication_slot(current_database(), 'pgoutput', false, true)";
    execute(&client, again).await;
    client.batch_execute("set logical_decoding_work_mem = '64kB'").await.unwrap();
    let work = "
        begin;
        insert into film values (1);
        prepare transaction 'small';
        commit prepared 'small';
        begin;
        insert into film select n, repeat('a', 200) from generate_series(1000, 2000) n;
        prepare transaction 'large';
        commit prepared 'large';
        begin;
        insert into film values (2);
        prepare transaction 'undone';
        rollback prepared 'undone';
        begin;
        insert into film select n, repeat('a', 200) from generate_series(3000, 4000) n;
        savepoint part;
        insert into film select n, repeat('a', 200) from generate_series(5000, 6000) n;
        rollback to part;
        commit
    ";
    execute(&client, work).await;
    let streaming = if version == ProtocolVersion::V4 { "parallel" } else { "on" };
    let options = format!(", 'streaming', '{streaming}', 'two_phase', 'true'");
    let events = changes(&client, version, &options).await;
    let told: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            Event::BeginPrepare(prepared) => Some(format!("begin {}", prepared.gid)),
            Event::Prepare { prepared, .. } => Some(format!("prepare {}", prepared.gid)),
            Event::StreamPrepare { prepared, .. } => Some(format!("prepare blocks {}", prepared.gid)),
            Event::CommitPrepared(committed) => Some(format!("commit {}", committed.gid)),
            Event::RollbackPrepared(aborted) => Some(format!("rollback {}", aborted.gid)),
            Event::StreamCommit(_) => Some("commit blocks".to_owned()),
            _ => None,
        })
        .collect();
    let expected = [
        "begin small",
        "prepare small",
        "commit small",
        "prepare blocks large",
        "commit large",
        "begin undone",
        "prepare undone",
        "rollback undone",
        "commit blocks",
    ];
    assert_eq!(told, expected);
    let aborts: Vec<bool> = events
        .iter()
        .filter_map(|event| match event {
            Event::StreamAbort(abort) => Some(abort.aborted.is_some()),
            _ => None,
        })
        .collect();
    assert!(!aborts.is_empty() && aborts.iter().all(|placed| *placed == (version == ProtocolVersion::V4)));
}

/// `COPY ... TO STDOUT` in both formats, against the values as SQL has them.
async fn copied_rows_are_read(cluster: &Cluster) {
    let client = with_table(cluster, "rows").await;
    let values: [Option<&str>; 4] =
        [Some("tab\t and \\N and\r\n\u{8}\u{b}\u{c}é"), None, Some(""), Some("\\.")];
    for (id, value) in (0_i32..).zip(values) {
        client.execute("insert into film (id, title) values ($1, $2)", &[&id, &value]).await.unwrap();
    }
    let query = "copy (select title from film order by id) to stdout";
    let text: Vec<Bytes> = client.copy_out(query).await.unwrap().try_collect().await.unwrap();
    let query = format!("{query} (format binary)");
    let binary: Vec<Bytes> = client.copy_out(&query).await.unwrap().try_collect().await.unwrap();
    let (mut text_rows, mut binary_rows) = (TextRows::new(1000), BinaryRows::new(1000));
    let (mut from_text, mut from_binary): (Vec<CopyRow>, Vec<CopyRow>) = (Vec::new(), Vec::new());
    for chunk in text {
        text_rows.push(chunk);
        from_text.extend(std::iter::from_fn(|| text_rows.next_row().unwrap()));
    }
    for chunk in binary {
        binary_rows.push(chunk);
        from_binary.extend(std::iter::from_fn(|| binary_rows.next_row().unwrap()));
    }
    text_rows.finish().unwrap();
    binary_rows.finish().unwrap();
    let field = |value: &Option<&'static str>| value.map(|value| Bytes::from_static(value.as_bytes()));
    let expected: Vec<CopyRow> = values.iter().map(|value| CopyRow { fields: vec![field(value)] }).collect();
    assert_eq!(from_text, expected);
    assert_eq!(from_binary, expected);
}

async fn what_a_server_writes_is_read(version: Version) {
    let options = Options::new().setting("max_prepared_transactions", "4");
    let cluster = Cluster::start(version, &options).await.unwrap();
    let client = connect(&cluster.url("postgres")).await.unwrap();
    client.batch_execute("select pg_replication_origin_create('peer')").await.unwrap();
    every_kind_of_change_is_read(&cluster).await;
    a_transaction_in_progress_is_read(&cluster).await;
    copied_rows_are_read(&cluster).await;
    match version {
        Version::V14 => {}
        Version::V15 => prepared_transactions_are_read(&cluster, ProtocolVersion::V3).await,
        _ => prepared_transactions_are_read(&cluster, ProtocolVersion::V4).await,
    }
}

#[tokio::test]
async fn what_14_writes_is_read() {
    what_a_server_writes_is_read(Version::V14).await;
}

#[tokio::test]
async fn what_15_writes_is_read() {
    what_a_server_writes_is_read(Version::V15).await;
}

#[tokio::test]
async fn what_16_writes_is_read() {
    what_a_server_writes_is_read(Version::V16).await;
}

#[tokio::test]
async fn what_17_writes_is_read() {
    what_a_server_writes_is_read(Version::V17).await;
}

#[tokio::test]
async fn what_18_writes_is_read() {
    what_a_server_writes_is_read(Version::V18).await;
}
