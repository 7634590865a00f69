//! What cannot be compared, and what is said then.

use crate::sides::{Sides, settled, table};
use cleave_pg::Endpoint;
use cleave_sandbox::Version;
use cleave_verify::{VerifyError, VerifySpec, VerifyTable, verify};
use std::sync::Arc;

const FILM: &str = "create table film (id int primary key, title text); insert into film values (1, 'one')";

fn film() -> VerifyTable {
    table("film", &["id", "title"], 1)
}

async fn error(spec: VerifySpec) -> (String, &'static str) {
    let error = verify(spec, |_| {}).await.unwrap_err();
    (error.to_string(), error.code())
}

#[tokio::test]
async fn a_missing_table_and_column_are_named_with_their_side() {
    let sides = Sides::create(Version::V14, Version::V18, "missing").await;
    sides.both(FILM).await;
    sides.on_follower("alter table film drop title; create view actor as select 1 as id").await;
    sides.home.batch_execute("create table actor (id int)").await.unwrap();
    let (text, code) = error(sides.spec(vec![film()])).await;
    assert_eq!((text.as_str(), code), ("table public.film on the follower has no column title", "C0602"));
    let (text, code) = error(sides.spec(vec![table("actor", &["id"], 0)])).await;
    assert_eq!((text.as_str(), code), ("the follower has no table public.actor", "C0601"));
}

#[tokio::test]
async fn a_table_that_may_not_be_read_or_hides_rows_is_refused() {
    let sides = Sides::create(Version::V14, Version::V18, "rights").await;
    sides.both(FILM).await;
    let role = format!("reader_{}", std::process::id());
    let sql = format!("create role {role} login password 'x'; grant usage on schema public to {role}");
    sides.home.batch_execute(&sql).await.unwrap();
    let home = Endpoint::parse(&sides.home_url).unwrap().with_user(&role, "x");
    let spec = || VerifySpec { home: home.clone(), ..sides.spec(vec![film()]) };
    let (denied, code) = error(spec()).await;
    assert_eq!(code, "C0603");
    assert!(denied.contains("the role on the home may not read table public.film"), "{denied}");

    let sql = format!(
        "grant select on film to {role}; alter table film enable row level security; \
         create policy late on film using (id > 1)"
    );
    sides.home.batch_execute(&sql).await.unwrap();
    let (hidden, code) = error(spec()).await;
    assert_eq!(code, "C0603");
    assert!(hidden.contains("row-level security"), "{hidden}");
    sides.home.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_may_be_tried_again() {
    let sides = Sides::create(Version::V14, Version::V18, "unreachable").await;
    sides.both(FILM).await;
    let follower = Endpoint::parse("postgres://postgres@127.0.0.1:1/none").unwrap();
    let spec = VerifySpec { follower, ..sides.spec(vec![film()]) };
    let error = verify(spec, |_| {}).await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(error.code(), "C0604");
}

#[tokio::test]
async fn a_stopped_stream_ends_the_comparison_only_where_it_is_needed() {
    let sides = Sides::create(Version::V14, Version::V18, "stopped").await;
    sides.both(FILM).await;
    let stopped = || VerifySpec {
        settle: Arc::new(|| {
            Box::pin(async { Err(VerifyError::StreamStopped { reason: "films/forward has stopped".into() }) })
        }),
        ..sides.spec(vec![film()])
    };
    assert!(verify(stopped(), |_| {}).await.unwrap().is_clean());
    sides.on_follower("delete from film").await;
    let (text, code) = error(stopped()).await;
    assert_eq!(
        (text.as_str(), code),
        ("the follower is not being kept current: films/forward has stopped", "C0605")
    );
}

#[tokio::test]
async fn a_cancelled_comparison_ends_and_leaves_no_statement_behind() {
    let sides = Sides::create(Version::V14, Version::V18, "cancelled").await;
    sides.both(FILM).await;
    sides.on_follower("begin; lock table film in access exclusive mode").await;
    let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
    let spec = VerifySpec {
        settle: settled(),
        cancel: Box::pin(async move {
            let _asked = cancelled.await;
        }),
        ..sides.spec(vec![film()])
    };
    let running = tokio::spawn(async move { verify(spec, |_| {}).await });
    let waiting = "select count(*) from pg_locks where not granted and relation = 'film'::regclass";
    while sides.follower.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
    cancel.send(()).unwrap();
    assert_eq!(running.await.unwrap().unwrap_err().code(), "C0606");
    while sides.follower.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::task::yield_now().await;
    }
}
