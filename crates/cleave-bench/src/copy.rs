//! Initial copy of one table: Cleave's copy against `create subscription`.

use crate::RUNS;
use crate::arena::{Arena, Entry, Failure, Metric};
use cleave_journal::Lease;
use cleave_model::{Ident, Oid, QualifiedName, ServiceName};
use cleave_pg::{Endpoint, replication::SlotLifetime};
use cleave_stream::{
    CopyFormat, CopySpec, CopyTable, SnapshotSource, cancellation, copy_tables, create_slot_with_snapshot,
};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const ROWS: i64 = 1_000_000;
const LIMIT: Duration = Duration::from_secs(300);

/// Rows per second of both.
pub(crate) async fn entry(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    let mut runs = Vec::new();
    for run in 1..=RUNS {
        let ours = ours(arena, &format!("copy_ours_{run}")).await?;
        let theirs = theirs(arena, &format!("copy_theirs_{run}")).await?;
        runs.push((ROWS as f64 / ours.as_secs_f64(), ROWS as f64 / theirs.as_secs_f64()));
    }
    Ok(vec![Entry::new("copy", "native logical replication", (Metric::Rate, "rows/s"), &runs)])
}

async fn fill(source: &Client) -> Result<(), Failure> {
    let sql = format!(
        "insert into ev (n, label) select g % 1000, md5(g::text) from generate_series(1, {ROWS}) g; analyze ev; checkpoint"
    );
    Ok(source.batch_execute(&sql).await?)
}

async fn ours(arena: &Arena, database: &str) -> Result<Duration, Failure> {
    let (source, mut target) = arena.databases(database).await?;
    fill(&source).await?;
    cleave_journal::install(&mut target).await?;
    let lease = Lease::acquire(&target, "bench", "bench").await?;
    let oid: u32 = source.query_one("select 'ev'::regclass::oid", &[]).await?.get(0);
    let from = Endpoint::parse(&arena.source.url(database))?;
    let began = Instant::now();
    let slot =
        create_slot_with_snapshot(&from, &format!("cleave_{database}"), SlotLifetime::Temporary, LIMIT)
            .await?;
    let (_canceller, cancelled) = cancellation();
    let columns = ["id", "n", "label", "at"].map(|name| (Ident::new(name), Ident::new(name)));
    let spec = CopySpec {
        service: ServiceName::parse("bench")?,
        stream: "bench/forward".to_owned(),
        source: from,
        target: Endpoint::parse(&arena.target.url(database))?,
        tables: vec![CopyTable {
            source_oid: Oid(oid),
            source_name: QualifiedName::new("public", "ev"),
            target_name: QualifiedName::new("public", "ev"),
            columns: columns.to_vec(),
            format: CopyFormat::Binary,
            bytes_estimate: 0,
            search_path: String::new(),
            indexes: Vec::new(),
        }],
        snapshot: SnapshotSource::Given {
            name: slot.snapshot.clone(),
            consistent_point: slot.consistent_point(),
        },
        jobs: 1,
        chunk_bytes: 256 << 20,
        bytes_per_second_max: None,
        renewal: None,
        lease,
        cancelled,
    };
    copy_tables(spec, |_| ()).await?;
    let took = began.elapsed();
    expect_rows(&target).await?;
    Ok(took)
}

async fn theirs(arena: &Arena, database: &str) -> Result<Duration, Failure> {
    let (source, target) = arena.databases(database).await?;
    fill(&source).await?;
    source.batch_execute("create publication p for table ev").await?;
    let began = Instant::now();
    let subscribe =
        format!("create subscription {database} connection '{}' publication p", arena.source.url(database));
    target.batch_execute(&subscribe).await?;
    loop {
        let row = target.query_one("select srsubstate in ('s', 'r') from pg_subscription_rel", &[]).await?;
        if row.get(0) {
            break;
        }
        if began.elapsed() > LIMIT {
            return Err("the subscription did not copy in time".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = began.elapsed();
    expect_rows(&target).await?;
    target.batch_execute(&format!("drop subscription {database}")).await?;
    Ok(took)
}

async fn expect_rows(target: &Client) -> Result<(), Failure> {
    let rows: i64 = target.query_one("select count(*) from ev", &[]).await?.get(0);
    if rows == ROWS { Ok(()) } else { Err(format!("{rows} rows arrived, not {ROWS}").into()) }
}
