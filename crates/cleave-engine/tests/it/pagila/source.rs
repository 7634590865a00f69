//! Pagila on PostgreSQL 14, read from where it lies; a test that cannot find it says so and is skipped.

use crate::cinema::Cinema;
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use futures_util::SinkExt;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use tokio_postgres::Client;

/// The service's tables, as the articles that split Pagila by hand choose them.
const FILMS: [&str; 6] = ["actor", "category", "film", "film_actor", "film_category", "language"];

/// Payments of three months ago, so that `rewards_report`, which looks at that month, has somebody to reward.
const REWARDED: &str = "
    create table public.payment_later partition of public.payment default;
    insert into public.payment (customer_id, staff_id, rental_id, amount, payment_date)
        select n % 3 + 1, 1, 1, 7.50, date_trunc('month', current_date - interval '3 months') + interval '12 hours'
        from generate_series(1, 12) n;
    analyze";

/// Pagila and a configuration that moves `films`; `None` where there is no Pagila.
pub(super) async fn cinema(test: &str, bridge: &str) -> Option<Cinema> {
    let m = database(test, Version::V14).await?;
    let n = TestDatabase::create(Version::V18, "pagila_n").await.unwrap();
    Some(Cinema::over(m, n, &FILMS, bridge))
}

/// A database with Pagila in it; `None` where there is no Pagila.
pub(crate) async fn database(test: &str, version: Version) -> Option<TestDatabase> {
    folder(test)?;
    let m = TestDatabase::create(version, "pagila_m").await.unwrap();
    fill(&m, test, &["pagila-schema.sql", "pagila-data.sql"]).await?;
    m.connect().await.unwrap().batch_execute(REWARDED).await.unwrap();
    Some(m)
}

/// Loads Pagila's files into a database; `None` where there is no Pagila.
pub(crate) async fn fill(database: &TestDatabase, test: &str, files: &[&str]) -> Option<()> {
    let folder = folder(test)?;
    let client = database.connect().await.unwrap();
    for file in files {
        load(&client, &std::fs::read_to_string(folder.join(file)).unwrap()).await;
    }
    Some(())
}

/// Schema and rows.
pub(crate) async fn load_all(database: &TestDatabase, folder: &Path) {
    let client = database.connect().await.unwrap();
    for file in ["pagila-schema.sql", "pagila-data.sql"] {
        load(&client, &std::fs::read_to_string(folder.join(file)).unwrap()).await;
    }
}

/// Where Pagila lies; without it the test is counted as skipped.
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pagila");
    let folder = std::env::var_os("PAGILA_DIR").map_or(beside, PathBuf::from);
    if folder.join("pagila-schema.sql").exists() {
        return Some(folder);
    }
    assert!(std::env::var_os("REQUIRE_PAGILA").is_none_or(|value| value != "1"), "no Pagila in {folder:?}");
    if let Some(list) = std::env::var_os("CLEAVE_SKIPPED_FILE") {
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        writeln!(list, "{test}: no Pagila in {}", folder.display()).unwrap();
    }
    None
}

/// Runs a file of pg_dump, its `COPY ... FROM stdin` with the rows below it.
async fn load(client: &Client, dump: &str) {
    const BEGIN: &str = " FROM stdin;";
    const END: &str = "\n\\.\n";
    let mut rest = dump;
    while let Some(at) = rest.find(BEGIN) {
        let start = rest[..at].rfind('\n').map_or(0, |newline| newline + 1);
        client.batch_execute(&rest[..start]).await.unwrap();
        let (rows, after) = rest[at + BEGIN.len()..].split_once(END).unwrap();
        let copy = format!("{} from stdin", &rest[start..at]);
        let mut sink = std::pin::pin!(client.copy_in(&copy).await.unwrap());
        // From the line's end before the first row to the one before the end mark; no rows, no bytes.
        let rows = format!("{rows}\n").into_bytes().split_off(1);
        sink.send(Cursor::new(rows)).await.unwrap();
        sink.finish().await.unwrap();
        rest = after;
    }
    client.batch_execute(rest).await.unwrap();
}
