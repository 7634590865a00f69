//! Sessions: passwords, refusals, pinned settings, cancelling, notices.

use crate::{
    endpoint, on_every_version, refusals,
    secure_server::{PASSWORD, SecureServer},
    session, until,
};
use cleave_pg::{During, Endpoint};
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use std::time::Duration;

#[tokio::test]
async fn every_way_to_ask_for_a_password_is_answered_by_both_kinds_of_connection() {
    let runs = Version::ALL.map(|version| async move {
        let server = SecureServer::of(version).await;
        for role in ["by_scram", "by_md5", "by_password"] {
            let right = server.endpoint(role, &format!("password='{PASSWORD}'"));
            let sql = cleave_pg::connect(&right, "test").await.unwrap();
            let user: String = sql.query_one("select session_user::text", &[]).await.unwrap().get(0);
            assert_eq!(user, role);
            cleave_pg::connect_replication(&right, "test").await.unwrap();
            for error in refusals(&server.endpoint(role, "password='not it'")).await {
                assert_eq!(error.code(), "C0103", "{error}");
                let message = error.to_string();
                assert!(message.contains(role) && !message.contains("not it"), "{message}");
            }
            for error in refusals(&server.endpoint(role, "")).await {
                assert_eq!(error.code(), "C0103", "{error:?}");
                assert!(error.to_string().contains("the connection string has none"), "{error}");
            }
        }
        cleave_pg::connect_replication(&server.superuser(), "test").await.unwrap();
    });
    futures_util::future::join_all(runs).await;
}

#[tokio::test]
async fn a_refusal_says_why_for_both_kinds_of_connection() {
    on_every_version("refusals", async |database| {
        let existing = endpoint(&database);
        for error in refusals(&existing.clone().with_dbname("not_there")).await {
            assert_eq!((error.code(), error.sqlstate()), ("C0106", Some("3D000")), "{error}");
        }
        for error in refusals(&existing.with_user("nobody_here", "x")).await {
            assert_eq!(error.code(), "C0103", "the server does not tell that a role is missing: {error}");
        }
        let admin = session(&database).await;
        let role = format!("{}_r", database.name());
        admin.batch_execute(&format!("create role {role} nologin password 'x'")).await.unwrap();
        for error in refusals(&endpoint(&database).with_user(&role, "x")).await {
            assert_eq!(error.code(), "C0104", "{error}");
        }
        let login = format!("alter role {role} login connection limit 0");
        admin.batch_execute(&login).await.unwrap();
        let limited = endpoint(&database).with_user(&role, "x");
        let error = cleave_pg::connect(&limited, "test").await.map(drop).unwrap_err();
        assert_eq!(error.code(), "C0107", "{error}");
        let error = cleave_pg::connect_replication(&limited, "test").await.map(drop).unwrap_err();
        assert_eq!(error.code(), "C0104", "a role without REPLICATION: {error}");
        admin.batch_execute(&format!("drop role {role}")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_and_a_silent_one_times_out() {
    for error in refusals(&Endpoint::parse("postgres://me@127.0.0.1:1/d").unwrap()).await {
        assert_eq!(error.code(), "C0101");
        assert!(error.is_connection_lost() && error.to_string().contains("127.0.0.1:1"), "{error}");
    }
    for error in refusals(&Endpoint::parse("host=/nowhere user=me").unwrap()).await {
        assert_eq!(error.code(), "C0101");
    }
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://me@{}/d?connect_timeout=1", silent.local_addr().unwrap());
    for error in refusals(&Endpoint::parse(&url).unwrap()).await {
        assert_eq!(error.code(), "C0102");
        assert!(error.to_string().contains("1000 ms"), "{error}");
    }
}

#[tokio::test]
async fn the_first_host_that_answers_and_is_of_the_wanted_kind_is_taken() {
    let database = TestDatabase::create(Version::V18, "hosts").await.unwrap();
    let port = database.cluster().port();
    let url = |attributes: &str| {
        let name = database.name();
        let text = format!(
            "postgres://postgres@127.0.0.1:1,127.0.0.1:{port}/{name}?target_session_attrs={attributes}"
        );
        Endpoint::parse(&text).unwrap()
    };
    let session = cleave_pg::connect(&url("read-write"), "test").await.unwrap();
    session.batch_execute("create table public.written ()").await.unwrap();
    cleave_pg::connect_replication(&url("read-write"), "test").await.unwrap();
    for error in refusals(&url("read-only")).await {
        assert!(error.is_connection_lost(), "{error}");
    }
}

#[tokio::test]
async fn settings_of_the_database_do_not_change_how_values_read() {
    on_every_version("settings", async |database| {
        let admin = session(&database).await;
        let settings = ["datestyle = 'German'", "bytea_output = 'escape'", "timezone = 'Asia/Tokyo'",
            "statement_timeout = 50", "idle_in_transaction_session_timeout = 1", "search_path = public"];
        for setting in settings {
            let sql = format!("alter database {} set {setting}", database.name());
            admin.batch_execute(&sql).await.unwrap();
        }
        let session = session(&database).await;
        let sql = "select timestamptz '2024-02-01 00:00+00'::text, '\\x01'::bytea::text, current_schemas(false)::text,
                   current_setting('application_name'), pg_sleep(0.1)::text";
        let row = session.query_one(sql, &[]).await.unwrap();
        let texts: Vec<String> = (0..4).map(|at| row.get(at)).collect();
        assert_eq!(texts, ["2024-02-01 00:00:00+00", "\\x01", "{}", "cleave test"]);
        let pid: i32 = session.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        assert_eq!(pid, session.backend_pid());
        assert_eq!(session.server_version_num() / 10_000, database.version().major());
    })
    .await;
}

#[tokio::test]
async fn a_running_statement_can_be_cancelled_and_is_cancelled_when_its_session_is_dropped() {
    on_every_version("cancel", async |database| {
        let running = session(&database).await;
        let canceller = running.canceller();
        let watcher = session(&database).await;
        let active = async |pid: i32| {
            let sql = "select exists (select from pg_stat_activity where pid = $1 and state = 'active')";
            watcher.query_one(sql, &[&pid]).await.unwrap().get::<_, bool>(0)
        };
        let pid = running.backend_pid();
        let (outcome, ()) = tokio::join!(running.batch_execute("select pg_sleep(60)"), async {
            until("the statement to run", || active(pid)).await;
            canceller.cancel().await.unwrap();
        });
        let error = outcome.during("sleeping").unwrap_err();
        assert!(error.is_canceled() && error.to_string().starts_with("sleeping failed"), "{error}");

        tokio::select! {
            outcome = running.batch_execute("select pg_sleep(60)") => panic!("it ended: {outcome:?}"),
            () = until("the statement to run", || active(pid)) => {}
        }
        drop(running);
        until("the statement to end", async || !active(pid).await).await;
    })
    .await;
}

#[tokio::test]
async fn notices_are_collected_and_errors_leave_row_values_out() {
    on_every_version("notices", async |database| {
        let session = session(&database).await;
        let sql = "do $$ begin raise warning 'mind the gap'; end $$;
                   create table public.t (id int primary key); insert into public.t values (4711)";
        session.batch_execute(sql).await.unwrap();
        let notices = session.notices();
        assert_eq!(
            notices.iter().map(|notice| notice.message.as_str()).collect::<Vec<_>>(),
            ["mind the gap"]
        );
        assert!(session.notices().is_empty());
        let duplicate = session.batch_execute("insert into public.t values (4711)").await;
        let error = duplicate.during("filling the table t").unwrap_err();
        assert_eq!((error.code(), error.sqlstate()), ("C0111", Some("23505")));
        assert!(!format!("{error} {error:?}").contains("4711"), "{error:?}");
        let constraint = error.server_error().and_then(|report| report.constraint.as_deref());
        assert_eq!(constraint, Some("t_pkey"));
    })
    .await;
}

#[tokio::test]
async fn a_terminated_session_is_a_lost_connection() {
    on_every_version("lost", async |database| {
        let (victim, other) = (session(&database).await, session(&database).await);
        let pid = victim.backend_pid();
        let sleeps = "select exists (select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep')";
        let killing = async {
            // Killed before its statement has come, it could not say why it ends.
            while !other.query_one(sleeps, &[&pid]).await.unwrap().get::<_, bool>(0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other.batch_execute(&format!("select pg_terminate_backend({pid})")).await.unwrap();
        };
        let (outcome, ()) = tokio::join!(victim.batch_execute("select pg_sleep(60)"), killing);
        let error = outcome.during("sleeping").unwrap_err();
        assert_eq!((error.code(), error.sqlstate()), ("C0108", Some("57P01")), "{error}");
        let error = victim.batch_execute("select 1").await.during("going on").unwrap_err();
        assert!(error.is_connection_lost(), "{error}");
    })
    .await;
}
