//! The replication connection: commands, the stream, its end.

use crate::{endpoint, on_every_version, session, until};
use cleave_model::Lsn;
use cleave_pg::{
    During, Session,
    replication::{ReplicationStream, SlotLifetime, SlotSnapshot},
    slots, wal,
};
use cleave_proto::{
    Timestamp,
    replication::{ReplicationMessage, StandbyStatusUpdate},
};
use cleave_testkit::TestDatabase;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// A table, a publication and a slot; the stream that reads it from its start.
async fn stream(database: &TestDatabase, session: &Session) -> (ReplicationStream, Lsn) {
    let sql = "create table public.film (id int primary key, title text);
               create publication \"Films\" for table public.film";
    session.batch_execute(sql).await.unwrap();
    let mut replication = cleave_pg::connect_replication(&endpoint(database), "test").await.unwrap();
    let name = database.name();
    let created =
        replication.create_slot(name, SlotLifetime::Permanent, SlotSnapshot::Discard, LIMIT).await.unwrap();
    assert_eq!(created.snapshot, None);
    (start(database).await, created.consistent_point)
}

async fn start(database: &TestDatabase) -> ReplicationStream {
    let replication = cleave_pg::connect_replication(&endpoint(database), "test").await.unwrap();
    let options = [("proto_version", "1"), ("publication_names", "\"Films\""), ("messages", "true")];
    replication.start_replication(database.name(), Lsn(0), &options).await.unwrap()
}

/// Reads to the next commit and returns the tags of pgoutput's messages and the last position.
async fn transaction(stream: &mut ReplicationStream) -> (String, Lsn) {
    let mut tags = String::new();
    loop {
        match stream.next().await.unwrap().unwrap() {
            ReplicationMessage::XLogData(data) => {
                tags.push(char::from(data.data[0]));
                if data.data[0] == b'C' {
                    return (tags, data.wal_end);
                }
            }
            ReplicationMessage::PrimaryKeepalive(_) => {}
        }
    }
}

fn status(flushed: Lsn) -> StandbyStatusUpdate {
    let clock = Timestamp(0);
    StandbyStatusUpdate { written: flushed, flushed, applied: flushed, clock, reply_requested: false }
}

#[tokio::test]
async fn the_system_is_identified_as_sql_sees_it() {
    on_every_version("identity", async |database| {
        let mut replication = cleave_pg::connect_replication(&endpoint(&database), "test").await.unwrap();
        let identity = replication.identify_system().await.unwrap();
        let facts = cleave_pg::facts(&session(&database).await).await.unwrap();
        assert_eq!(identity.dbname, database.name());
        assert_eq!(
            (identity.system_identifier, identity.timeline),
            (facts.system_identifier, facts.timeline)
        );
        assert!(identity.lsn > Lsn(0));
    })
    .await;
}

#[tokio::test]
async fn changes_arrive_in_order_and_a_confirmed_position_is_stored_by_the_server() {
    on_every_version("roundtrip", async |database| {
        let session = session(&database).await;
        let (mut stream, consistent_point) = stream(&database, &session).await;
        session.batch_execute("insert into public.film values (1, 'a'), (2, 'b')").await.unwrap();
        assert_eq!(transaction(&mut stream).await.0, "BRIIC");
        let marker = wal::emit_message(&session, "cleave.marker", "m1").await.unwrap();
        assert!(marker > consistent_point);
        let (tags, end) = transaction(&mut stream).await;
        assert_eq!(tags, "BMC");

        stream.send_status(&status(end)).await.unwrap();
        until("the slot to be confirmed", async || {
            let slot = slots::health(&session, database.name()).await.unwrap().unwrap();
            slot.confirmed_flush.is_some_and(|confirmed| confirmed >= end)
        })
        .await;
        stream.finish(LIMIT).await.unwrap();
        until("the slot to be free", async || {
            slots::health(&session, database.name()).await.unwrap().unwrap().active_pid.is_none()
        })
        .await;
        // What was confirmed does not come again.
        session.batch_execute("delete from public.film where id = 2").await.unwrap();
        let mut again = start(&database).await;
        assert_eq!(transaction(&mut again).await.0, "BRDC");
    })
    .await;
}

#[tokio::test]
async fn values_are_printed_with_the_pinned_settings() {
    on_every_version("pinned", async |database| {
        let mut session = session(&database).await;
        let name = database.name();
        let sql = format!(
            "create table public.film (at timestamptz, span interval, data bytea, kind regclass);
             alter table public.film replica identity full;
             create publication \"Films\" for table public.film;
             alter database {name} set datestyle = 'German';
             alter database {name} set intervalstyle = 'iso_8601';
             alter database {name} set bytea_output = 'escape';
             alter database {name} set timezone = 'Asia/Tokyo';
             alter database {name} set search_path = public;"
        );
        session.batch_execute(&sql).await.unwrap();
        slots::create_logical(&mut session, name, LIMIT).await.unwrap();
        let sql = "insert into public.film values
                   ('2024-02-01 00:00+00', '1 day 02:00', '\\x01ff', 'public.film')";
        session.batch_execute(sql).await.unwrap();
        let mut stream = start(&database).await;
        let insert = loop {
            if let ReplicationMessage::XLogData(data) = stream.next().await.unwrap().unwrap()
                && data.data[0] == b'I'
            {
                break String::from_utf8_lossy(&data.data).into_owned();
            }
        };
        for text in ["2024-02-01 00:00:00+00", "1 day 02:00:00", "\\x01ff", "public.film"] {
            assert!(insert.contains(text), "{text}: {insert:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_dropped_read_loses_no_message() {
    on_every_version("select", async |database| {
        let session = session(&database).await;
        let (mut stream, _) = stream(&database, &session).await;
        let sql = "insert into public.film select i, repeat('x', 3000) from generate_series(1, 2000) i";
        let writing = session.batch_execute(sql);
        let reading = async {
            let mut inserts = 0;
            let mut commits = 0;
            while commits == 0 {
                // The read is broken off again and again, in the middle of messages too.
                let next = tokio::time::timeout(Duration::from_micros(200), stream.next()).await;
                if let Ok(message) = next
                    && let Some(ReplicationMessage::XLogData(data)) = message.unwrap()
                {
                    inserts += usize::from(data.data[0] == b'I');
                    commits += usize::from(data.data[0] == b'C');
                }
            }
            inserts
        };
        let (written, inserts) = tokio::join!(writing, reading);
        written.unwrap();
        assert_eq!(inserts, 2000);
    })
    .await;
}

#[tokio::test]
async fn an_exported_snapshot_is_the_state_at_the_consistent_point() {
    on_every_version("snapshot", async |database| {
        let mut session = session(&database).await;
        session
            .batch_execute("create table public.t (id int); insert into public.t values (1)")
            .await
            .unwrap();
        let mut replication = cleave_pg::connect_replication(&endpoint(&database), "test").await.unwrap();
        let name = database.name();
        let created = replication
            .create_slot(name, SlotLifetime::Temporary, SlotSnapshot::Export, LIMIT)
            .await
            .unwrap();
        session.batch_execute("insert into public.t values (2)").await.unwrap();
        let transaction = session.transaction().await.unwrap();
        let snapshot = created.snapshot.unwrap();
        let sql =
            format!("set transaction isolation level repeatable read; set transaction snapshot '{snapshot}'");
        transaction.batch_execute(&sql).await.unwrap();
        let count: i64 = transaction.query_one("select count(*) from public.t", &[]).await.unwrap().get(0);
        assert_eq!(count, 1);
        transaction.commit().await.unwrap();
        drop(replication);
        until("the temporary slot to go", async || !slots::exists(&session, name).await.unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn a_slot_that_cannot_become_consistent_in_time_is_given_up_and_leaves_nothing() {
    on_every_version("late_slot", async |database| {
        let (writer, mut sql) = (session(&database).await, session(&database).await);
        writer
            .batch_execute("create table public.t (id int); begin; insert into public.t values (1)")
            .await
            .unwrap();
        let name = database.name();
        let limit = Duration::from_millis(300);
        let mut replication = cleave_pg::connect_replication(&endpoint(&database), "test").await.unwrap();
        let late = replication.create_slot(name, SlotLifetime::Permanent, SlotSnapshot::Discard, limit).await;
        assert_eq!(late.unwrap_err().code(), "C0114");
        let late = slots::create_logical(&mut sql, name, limit).await.unwrap_err();
        assert_eq!(late.code(), "C0114", "{late}");
        assert!(!slots::exists(&sql, name).await.unwrap());
        writer.batch_execute("commit").await.unwrap();
        // Both connections are as good as before.
        replication.create_slot(name, SlotLifetime::Permanent, SlotSnapshot::Discard, LIMIT).await.unwrap();
        replication.drop_slot(name).await.unwrap();
        slots::create_logical(&mut sql, name, LIMIT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_the_server_reports_in_a_command_or_in_the_stream_keeps_its_sqlstate() {
    on_every_version("stream_errors", async |database| {
        let session = session(&database).await;
        let (mut first, _) = stream(&database, &session).await;
        let taken = cleave_pg::connect_replication(&endpoint(&database), "test").await.unwrap();
        let error =
            taken.start_replication(database.name(), Lsn(0), &[("proto_version", "1")]).await.unwrap_err();
        assert_eq!((error.code(), error.sqlstate()), ("C0111", Some("55006")), "{error}");

        let mut missing = cleave_pg::connect_replication(&endpoint(&database), "test").await.unwrap();
        let error = missing.drop_slot("not_there").await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("42704"), "{error}");
        missing.identify_system().await.unwrap();

        let pid = first.walsender_pid();
        session.execute("select pg_terminate_backend($1)", &[&pid]).await.during("terminating").unwrap();
        let error = loop {
            match first.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended as if it had been asked to"),
                Err(error) => break error,
            }
        };
        assert_eq!((error.code(), error.sqlstate()), ("C0108", Some("57P01")), "{error}");
    })
    .await;
}
