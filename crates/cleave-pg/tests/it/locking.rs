//! Who is in the way.

use crate::{on_every_version, session, until};
use cleave_model::Oid;
use cleave_pg::locks::{self, HolderKind};
use std::time::Duration;

#[tokio::test]
async fn blockers_are_named_by_session_and_prepared_transaction() {
    on_every_version("blockers", async |database| {
        let (reader, preparer) = (session(&database).await, session(&database).await);
        let (waiter, watcher) = (session(&database).await, session(&database).await);
        let name = database.name();
        reader.batch_execute("create table public.film (id int)").await.unwrap();
        let oid: u32 = watcher.query_one("select 'public.film'::regclass::oid", &[]).await.unwrap().get(0);
        assert!(locks::blockers_of_relations(&watcher, &[Oid(oid)]).await.unwrap().is_empty());
        reader.batch_execute("begin; /* card 4711 */ select from public.film").await.unwrap();
        let sql = format!("begin; insert into public.film values (1); prepare transaction '{name}'");
        preparer.batch_execute(&sql).await.unwrap();
        let pids = [waiter.backend_pid()];
        assert!(locks::blockers_of_pids(&watcher, &pids).await.unwrap().is_empty());

        let waiting = waiter.batch_execute("lock table public.film in access exclusive mode");
        let lock = async { waiter.batch_execute("begin").await.and(waiting.await) };
        let look = async {
            until("the lock to be waited for", async || {
                !locks::blockers_of_pids(&watcher, &pids).await.unwrap().is_empty()
            })
            .await;
            let found = locks::blockers_of_pids(&watcher, &pids).await.unwrap();
            let of_table = locks::blockers_of_relations(&watcher, &[Oid(oid)]).await.unwrap();
            reader.batch_execute("commit").await.unwrap();
            watcher.batch_execute(&format!("rollback prepared '{name}'")).await.unwrap();
            (found, of_table)
        };
        let (locked, (mut found, of_table)) = tokio::join!(lock, look);
        locked.unwrap();
        assert_eq!((found.len(), of_table.len()), (2, 2));
        found.sort_by_key(|blocker| blocker.pid);
        let (prepared, client) = (&found[0], &found[1]);
        assert_eq!((prepared.kind, prepared.prepared.as_deref()), (HolderKind::Prepared, Some(name)));
        assert_eq!(
            (prepared.mode.as_str(), prepared.user.as_deref()),
            ("RowExclusiveLock", Some("postgres"))
        );
        assert_eq!((client.kind, client.pid), (HolderKind::Client, Some(reader.backend_pid())));
        assert_eq!(client.state.as_deref(), Some("idle in transaction"));
        assert_eq!(
            (client.mode.as_str(), client.application.as_deref()),
            ("AccessShareLock", Some("cleave test"))
        );
        assert!(client.age_ms.is_some() && !format!("{client:?}").contains("4711"));
    })
    .await;
}

#[tokio::test]
async fn long_and_prepared_transactions_and_the_oldest_ids_are_listed() {
    on_every_version("long", async |database| {
        let (writer, preparer, watcher) =
            (session(&database).await, session(&database).await, session(&database).await);
        let name = database.name();
        writer.batch_execute("create table public.t (id int)").await.unwrap();
        writer.batch_execute("begin; insert into public.t values (1)").await.unwrap();
        let sql = format!("begin; insert into public.t values (2); prepare transaction '{name}'");
        preparer.batch_execute(&sql).await.unwrap();

        let old = locks::long_transactions(&watcher, Duration::ZERO).await.unwrap();
        let ours = old.iter().find(|transaction| transaction.pid == writer.backend_pid()).unwrap();
        assert!(ours.has_xid && ours.kind == HolderKind::Client);
        assert_eq!((ours.database.as_deref(), ours.query_kind.as_deref()), (Some(name), Some("BEGIN")));
        assert!(locks::long_transactions(&watcher, Duration::from_secs(3600)).await.unwrap().is_empty());

        let prepared = locks::prepared_transactions(&watcher).await.unwrap();
        assert!(prepared.iter().any(|transaction| transaction.name == name && transaction.database == name));
        let holders = locks::oldest_xid_holders(&watcher, 1000).await.unwrap();
        let session = locks::XidHolderKind::Session { pid: writer.backend_pid() };
        let prepared = locks::XidHolderKind::Prepared { name: name.to_owned() };
        for kind in [session, prepared] {
            assert!(holders.iter().any(|holder| holder.kind == kind), "{kind:?} {holders:?}");
        }
        writer.batch_execute("rollback").await.unwrap();
        watcher.batch_execute(&format!("rollback prepared '{name}'")).await.unwrap();
    })
    .await;
}
