//! Slots, publications, origins and the log through SQL.

use crate::{endpoint, on_every_version, session};
use cleave_model::{Ident, Lsn};
use cleave_pg::{origins, publications, slots, wal};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_slot_is_created_seen_and_dropped_while_our_walsender_reads_it() {
    on_every_version("slots", async |database| {
        let mut session = session(&database).await;
        let name = database.name();
        assert!(slots::list(&session).await.unwrap().is_empty());
        let consistent_point = slots::create_logical(&mut session, name, LIMIT).await.unwrap();
        let slot = slots::health(&session, name).await.unwrap().unwrap();
        let listed = slots::list(&session).await.unwrap();
        // The log grows between the two looks, so what the slot retains does too.
        let listed: Vec<_> = listed
            .into_iter()
            .map(|other| slots::Slot { retained_bytes: slot.retained_bytes, ..other })
            .collect();
        assert_eq!(listed, std::slice::from_ref(&slot));
        assert_eq!(
            (slot.confirmed_flush, slot.active_pid, slot.invalidation),
            (Some(consistent_point), None, None)
        );
        assert_eq!((slot.wal_status, slot.plugin.as_str()), (slots::WalStatus::Reserved, "pgoutput"));
        assert_eq!(
            slots::create_logical(&mut session, name, LIMIT).await.unwrap_err().sqlstate(),
            Some("42710")
        );

        session.batch_execute("create publication p for all tables").await.unwrap();
        let options = [("proto_version", "1"), ("publication_names", "p")];
        let replication = cleave_pg::connect_replication(&endpoint(&database), "test").await.unwrap();
        let stream = replication.start_replication(name, Lsn(0), &options).await.unwrap();
        slots::drop(&session, name, LIMIT).await.unwrap();
        assert!(!slots::exists(&session, name).await.unwrap());
        slots::drop(&session, name, LIMIT).await.unwrap();
        drop(stream);
    })
    .await;
}

#[tokio::test]
async fn a_slot_that_somebody_else_holds_is_not_taken_from_them() {
    on_every_version("foreign", async |database| {
        let session = session(&database).await;
        let foreign = database.connect().await.unwrap();
        let name = database.name();
        let sql = "select pg_create_logical_replication_slot($1::text, 'pgoutput', true)";
        foreign.execute(sql, &[&name]).await.unwrap();
        let error = slots::drop(&session, name, LIMIT).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("55006"), "{error}");
        assert!(slots::health(&session, name).await.unwrap().unwrap().temporary);
    })
    .await;
}

#[tokio::test]
async fn publications_list_their_tables() {
    on_every_version("publications", async |database| {
        let session = session(&database).await;
        let name = Ident::new("Odd \"name\"");
        assert!(!publications::exists(&session, &name).await.unwrap());
        let sql = format!(
            "create table public.b (); create table public.\"A\" ();
             create publication {} for table public.b, public.\"A\"",
            name.quoted()
        );
        session.batch_execute(&sql).await.unwrap();
        assert!(publications::exists(&session, &name).await.unwrap());
        let tables = publications::tables(&session, &name).await.unwrap();
        let names: Vec<String> = tables.iter().map(|(_, table)| table.to_string()).collect();
        assert_eq!(names, ["public.\"A\"", "public.b"]);
    })
    .await;
}

#[tokio::test]
async fn an_origin_is_made_once_used_by_one_session_and_dropped_once() {
    on_every_version("origins", async |database| {
        let (session, other) = (session(&database).await, session(&database).await);
        let name = database.name();
        origins::create(&session, name).await.unwrap();
        origins::create(&session, name).await.unwrap();
        let ours =
            origins::list(&session).await.unwrap().into_iter().filter(|origin| origin.name == name).count();
        assert_eq!(ours, 1);
        origins::session_reset(&session).await.unwrap();
        origins::session_setup(&session, name).await.unwrap();
        assert_eq!(origins::session_setup(&other, name).await.unwrap_err().sqlstate(), Some("55006"));
        origins::session_reset(&session).await.unwrap();
        origins::session_setup(&other, name).await.unwrap();
        assert_eq!(origins::drop(&session, name).await.unwrap_err().sqlstate(), Some("55006"));
        origins::session_reset(&other).await.unwrap();
        origins::drop(&session, name).await.unwrap();
        origins::drop(&session, name).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_log_moves_and_a_transaction_has_a_fate() {
    on_every_version("wal", async |database| {
        let (mut session, watcher) = (session(&database).await, session(&database).await);
        let before = wal::current_wal_lsn(&session).await.unwrap();
        let message = wal::emit_message(&session, "cleave.heartbeat", "").await.unwrap();
        assert!(message > before && wal::current_wal_lsn(&session).await.unwrap() >= message);
        for (commit, fate) in [(true, wal::XactStatus::Committed), (false, wal::XactStatus::Aborted)] {
            let transaction = session.transaction().await.unwrap();
            let xid = wal::current_xid(transaction.client()).await.unwrap();
            assert_eq!(wal::xact_status(&watcher, xid).await.unwrap(), wal::XactStatus::InProgress);
            if commit {
                transaction.commit().await.unwrap()
            } else {
                transaction.rollback().await.unwrap()
            }
            assert_eq!(wal::xact_status(&watcher, xid).await.unwrap(), fate);
        }
        assert_eq!(wal::xact_status(&watcher, (1 << 40) + 5).await.unwrap_err().sqlstate(), Some("22023"));
    })
    .await;
}
