//! Two equal databases compared row by row: Cleave, the plain SQL limit, the query that `pgcopydb compare data` sends and,
//! where there is one that has the command (0.11 and newer), pgcopydb itself.
//!
//! Six of eight rows are narrow (pgbench's accounts), two are wide (orders with a numeric, a time and a document). The
//! limit is the fastest question to which equal databases give equal answers at the width of Cleave's hash: two seeds of
//! `hash_record_extended` in one scan per table, both servers at once. It is no comparison: rows that swap a value
//! answer alike.

use crate::RUNS;
use crate::arena::{Arena, Entry, Failure, Metric, say, scaled};
use cleave_model::{Ident, QualifiedName};
use cleave_pg::Endpoint;
use cleave_verify::{Checkpoints, VerifyLimits, VerifySpec, VerifyTable, verify};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// How many rows, in all.
const ROWS: u64 = 8_000_000;
const DATABASE: &str = "verify";
const TABLES: [(&str, &[&str]); 2] = [
    ("accounts", &["aid", "bid", "abalance", "filler"]),
    ("orders", &["id", "customer", "amount", "at", "detail"]),
];

/// Rows per second, beside the limit and beside pgcopydb and its query, and the memory this process took.
pub(crate) async fn entry(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    let rows = scaled(ROWS)?;
    say(&format!("verify: filling two databases with {rows} rows"));
    let (source, target) = filled(arena, rows).await?;
    let rival = pgcopydb();
    let (mut limits, mut queries, mut rivals) = (vec![], vec![], vec![]);
    let (mut ours_alone, mut megabytes) = (vec![], vec![]);
    for _ in 0..RUNS {
        let (took, memory) = ours(arena, rows).await?;
        let rate = |took: Duration| rows as f64 / took.as_secs_f64();
        limits.push((rate(took), rate(asked(&source, &target, LIMIT).await?)));
        queries.push((rate(took), rate(asked(&source, &target, PGCOPYDB_QUERY).await?)));
        ours_alone.push(rate(took));
        megabytes.push(memory);
        if let Ok(program) = &rival {
            rivals.push((rate(took), rate(theirs(arena, program)?)));
        }
    }
    let rate = (Metric::Rate, "rows/s");
    let beside_rival = match &rival {
        Ok(_) => Entry::new("verify", "pgcopydb compare data", rate, &rivals),
        Err(reason) => Entry::alone("verify", "pgcopydb compare data", rate, ours_alone, reason),
    };
    let memory = (Metric::Cost("peak memory"), "MB");
    Ok(vec![
        Entry::new("verify", "two seeds of hash_record_extended in SQL", rate, &limits),
        Entry::new("verify", "the query of pgcopydb compare data, 32 bits, in SQL", rate, &queries),
        beside_rival,
        Entry::alone("verify", "rival", memory, megabytes, "the aim is under 100 MB"),
    ])
}

async fn filled(arena: &Arena, rows: u64) -> Result<(Client, Client), Failure> {
    let (narrow, wide) = (rows * 3 / 4, rows - rows * 3 / 4);
    let sql = format!(
        "create table accounts (aid int primary key, bid int, abalance int, filler char(84)); \
         create table orders (id bigint primary key, customer int not null, amount numeric(12,2) not null, \
            at timestamptz not null, detail jsonb not null); \
         insert into accounts select g, g / 100000, 0, '' from generate_series(1, {narrow}) g; \
         insert into orders select g, g % 100000, (g % 100000) / 100.0, '2026-01-01Z'::timestamptz + g * '13 s'::interval, \
            jsonb_build_object('sku', md5(g::text), 'n', g % 10, 'tags', jsonb_build_array('a', g % 7)) \
            from generate_series(1, {wide}) g"
    );
    let (source, target) = arena.databases(DATABASE).await?;
    tokio::try_join!(source.batch_execute(&sql), target.batch_execute(&sql))?;
    // Apart: no vacuum runs in a transaction, and several statements in one message are one.
    for settled in ["vacuum analyze", "checkpoint"] {
        tokio::try_join!(source.batch_execute(settled), target.batch_execute(settled))?;
    }
    Ok((source, target))
}

/// The time, and the peak of this process's memory in MB.
async fn ours(arena: &Arena, rows: u64) -> Result<(Duration, f64), Failure> {
    let tables = TABLES.map(|(name, columns)| {
        let columns = columns.iter().map(|column| (Ident::from(*column), Ident::from(*column))).collect();
        let name = QualifiedName::new("public", name);
        VerifyTable::whole(name.clone(), name, columns, Some(vec![0]))
    });
    let spec = VerifySpec {
        home: Endpoint::parse(&arena.source.url(DATABASE))?,
        follower: Endpoint::parse(&arena.target.url(DATABASE))?,
        tables: tables.to_vec(),
        jobs: 1,
        settle: Arc::new(|| Box::pin(async { Ok(()) })),
        limits: VerifyLimits::default(),
        found: None,
        checkpoints: Checkpoints::default(),
        cancel: Box::pin(std::future::pending()),
    };
    // Forgets the peak so far; `man 5 proc`.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let began = Instant::now();
    let outcome = verify(spec, |_| ()).await?;
    let took = began.elapsed();
    if !outcome.is_clean() || outcome.rows() != rows {
        return Err("the databases are not equal".into());
    }
    Ok((took, peak_megabytes()?))
}

fn peak_megabytes() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak is known")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}

/// Cleave reads a table with one process per server, and so do these: what differs is what it costs.
const SETTINGS: &str = "set jit = off; set max_parallel_workers_per_gather = 0";
const LIMIT: &str = "sum(hash_record_extended(t, 1))::text || sum(hash_record_extended(t, 2))::text";
const PGCOPYDB_QUERY: &str = "sum(hashtext(t::text)::bigint)::text";

/// Asks both servers for a sum over each table at once.
async fn asked(source: &Client, target: &Client, sum: &str) -> Result<Duration, Failure> {
    tokio::try_join!(source.batch_execute(SETTINGS), target.batch_execute(SETTINGS))?;
    let began = Instant::now();
    for (table, _) in TABLES {
        let sql = format!("select count(*), {sum} from {table} t");
        let (here, there) = tokio::try_join!(source.query_one(&sql, &[]), target.query_one(&sql, &[]))?;
        if here.get::<_, String>(1) != there.get::<_, String>(1) {
            return Err(format!("{table} is not equal").into());
        }
    }
    Ok(began.elapsed())
}

/// Where it is, if it can compare.
fn pgcopydb() -> Result<PathBuf, String> {
    let program = std::env::var_os("PGCOPYDB").map_or_else(|| PathBuf::from("pgcopydb"), PathBuf::from);
    let help = Command::new(&program).args(["compare", "data", "--help"]).output();
    match help {
        Ok(answer) if answer.status.success() => Ok(program),
        Ok(_) => Err("this pgcopydb has no command `compare data`".to_owned()),
        Err(_) => Err("there is no pgcopydb in PATH, and PGCOPYDB names none".to_owned()),
    }
}

fn theirs(arena: &Arena, program: &Path) -> Result<Duration, Failure> {
    let work = std::env::temp_dir().join(format!("cleave_bench_pgcopydb_{}", std::process::id()));
    let began = Instant::now();
    let done = Command::new(program)
        .args(["compare", "data", "--source", &arena.source.url(DATABASE)])
        .args(["--target", &arena.target.url(DATABASE)])
        .arg("--dir")
        .arg(&work)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let took = began.elapsed();
    std::fs::remove_dir_all(&work).ok();
    if done.success() { Ok(took) } else { Err(format!("pgcopydb compare data ended with {done}").into()) }
}
