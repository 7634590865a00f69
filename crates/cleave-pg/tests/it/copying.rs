//! COPY from session to session.

use crate::{on_every_version, session};
use cleave_pg::PgError;
use cleave_pg::copy::{CopyIn, CopyOut, Pump, Pumped, copy_in, copy_out};

const OUT: &str = "copy public.a to stdout";
const IN: &str = "copy public.b from stdin";

/// Moves everything; `on_part` is told the bytes of each part.
async fn pump(from: CopyOut, into: CopyIn, mut on_part: impl FnMut(u64)) -> Result<Pumped, PgError> {
    let mut pump = Pump::new(from, into);
    while let Some(bytes) = pump.step().await? {
        on_part(bytes);
    }
    pump.finish().await
}

#[tokio::test]
async fn a_table_arrives_as_it_left_in_both_formats() {
    on_every_version("copy", async |database| {
        let (source, target) = (session(&database).await, session(&database).await);
        let sql = "create table public.a (id int, t text, b bytea);
                   create table public.b (like public.a);
                   insert into public.a
                   select i, case when i % 7 > 0 then repeat(E'ä\\t\\n\\\\', i % 50) end, decode(md5(i::text), 'hex')
                   from generate_series(1, 20000) i";
        source.batch_execute(sql).await.unwrap();
        for format in ["text", "binary"] {
            target.batch_execute("truncate public.b").await.unwrap();
            let from = copy_out(&source, &format!("{OUT} (format {format})"), "reading a").await.unwrap();
            let into = copy_in(&target, &format!("{IN} (format {format})"), "filling b").await.unwrap();
            let mut seen = Vec::new();
            let pumped = pump(from, into, |bytes| seen.push(bytes)).await.unwrap();
            assert_eq!(pumped, Pumped { rows: 20_000, bytes: seen.iter().sum() });
            assert!(seen.len() > 5 && !seen.contains(&0));
            let sql = "select count(*) from (table public.a except all table public.b) difference";
            let different: i64 = source.query_one(sql, &[]).await.unwrap().get(0);
            assert_eq!(different, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_failure_of_either_side_says_which_and_leaves_both_sessions_usable() {
    on_every_version("copy_errors", async |database| {
        let (source, target) = (session(&database).await, session(&database).await);
        let sql = "create table public.a (n int);
                   create table public.b (n int check (n < 100000));
                   insert into public.a select generate_series(1, 200000)";
        source.batch_execute(sql).await.unwrap();
        let from = copy_out(&source, OUT, "reading a").await.unwrap();
        let into = copy_in(&target, IN, "filling b").await.unwrap();
        let error = pump(from, into, |_| {}).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("23514"), "{error}");
        assert!(error.to_string().starts_with("filling b failed"), "{error}");

        let broken = "copy (select 1000000 / (150000 - n) from public.a order by n) to stdout";
        let from = copy_out(&source, broken, "reading a").await.unwrap();
        let into = copy_in(&target, "copy public.b from stdin", "filling b").await.unwrap();
        let error = pump(from, into, |_| {}).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("22012"), "{error}");
        assert!(error.to_string().starts_with("reading a failed"), "{error}");
        let count: i64 = target.query_one("select count(*) from public.b", &[]).await.unwrap().get(0);
        assert_eq!(count, 0);
        source.query_one("select 1", &[]).await.unwrap();
    })
    .await;
}
