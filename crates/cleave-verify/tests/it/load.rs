//! A follower that lags behind a home under load: no false alarm, and what is broken on purpose is found.

use crate::sides::{Sides, table};
use cleave_model::{Ident, QualifiedName};
use cleave_sandbox::{Version, connect};
use cleave_verify::{
    DifferenceKind, RowKey, Settle, VerifyError, VerifyLimits, VerifyProgress, VerifySpec, VerifyTable,
    verify,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_postgres::Client;

/// Rows 1 to QUIET are never written to by the load.
const QUIET: i32 = 3_000;
const ROWS: i32 = 6_000;
/// Rows that come and go all the time, under the same few keys.
const TRANSIENT: i32 = 40;
/// Enough for 2,000 commits a second on a machine that has nothing else to do.
const WRITERS: i32 = 8;
const LAG: Duration = Duration::from_millis(30);

const SCHEMA: &str = "
    create table item (id int primary key, n int not null, note text);
    create table log (kind text, n int);
    insert into item select n, 0, 'note ' || n from generate_series(1, 6000) n;
    insert into log select 'k' || n % 10, n % 5 from generate_series(1, 500) n;
    analyze";

/// A replication of its own: the home's decoded changes, applied after a delay in the order of their commits.
struct Replica {
    applied: watch::Receiver<u64>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
    marker: Arc<AtomicU64>,
    home: Arc<Client>,
    slot: String,
}

impl Replica {
    async fn start(sides: &Sides, lag: Duration) -> Self {
        let home = Arc::new(connect(&sides.home_url).await.unwrap());
        let name: String = home.query_one("select current_database()", &[]).await.unwrap().get(0);
        let slot = format!("{name}_load");
        home.query_one("select pg_create_logical_replication_slot($1, 'test_decoding')", &[&slot])
            .await
            .unwrap();
        let (report, applied) = watch::channel(0);
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        let (reader, writer) =
            (connect(&sides.home_url).await.unwrap(), connect(&sides.follower_url).await.unwrap());
        tasks.spawn(replicate(reader, writer, slot.clone(), lag, report, Arc::clone(&stop)));
        Self { applied, stop, tasks, marker: Arc::default(), home, slot }
    }

    /// A row of its own table marks the end of what was committed before.
    fn settle(&self) -> Settle {
        let (home, applied, marker) =
            (Arc::clone(&self.home), self.applied.clone(), Arc::clone(&self.marker));
        Arc::new(move || {
            let (home, mut applied) = (Arc::clone(&home), applied.clone());
            let number = marker.fetch_add(1, Ordering::Relaxed) + 1;
            Box::pin(async move {
                let sql = format!("select pg_logical_emit_message(true, 'marker', '{number}')");
                home.batch_execute(&sql).await.unwrap();
                let stopped = |_| VerifyError::StreamStopped { reason: "the test's replica".into() };
                applied.wait_for(|seen| *seen >= number).await.map_err(stopped)?;
                Ok(())
            })
        })
    }

    async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done.unwrap();
        }
        self.home.query_one("select pg_drop_replication_slot($1)", &[&self.slot]).await.unwrap();
    }
}

/// A transaction of the home: statements for the follower, or a marker.
#[derive(Default)]
struct Transaction {
    statements: String,
    marker: Option<u64>,
}

async fn replicate(
    reader: Client,
    writer: Client,
    slot: String,
    lag: Duration,
    report: watch::Sender<u64>,
    stop: Arc<AtomicBool>,
) {
    let sql = "select data from pg_logical_slot_get_changes($1, null, null, 'include-xids', '0', 'skip-empty-xacts', '0')";
    let mut waiting: VecDeque<(Instant, Transaction)> = VecDeque::new();
    let mut open = Transaction::default();
    while !stop.load(Ordering::Relaxed) {
        for row in reader.query(sql, &[&slot]).await.unwrap() {
            let line: &str = row.get(0);
            if line == "COMMIT" {
                waiting.push_back((Instant::now() + lag, std::mem::take(&mut open)));
            } else if let Some((_, content)) = line.split_once("prefix: marker, sz: ") {
                let number = content.split_once("content:").unwrap().1;
                open.marker = Some(number.parse().unwrap());
            } else if let Some(change) = line.strip_prefix("table public.") {
                open.statements.push_str(&statement(change));
            }
        }
        while waiting.front().is_some_and(|(due, _)| *due <= Instant::now()) {
            let (_, transaction) = waiting.pop_front().unwrap();
            if !transaction.statements.is_empty() {
                writer.batch_execute(&format!("begin; {} commit", transaction.statements)).await.unwrap();
            }
            if let Some(number) = transaction.marker {
                report.send_replace(number);
            }
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// `item: UPDATE: id[integer]:7 n[integer]:8 note[text]:'a b'` as a statement. The load's texts have no blanks in
/// them except what the schema made.
fn statement(change: &str) -> String {
    let (table, rest) = change.split_once(": ").unwrap();
    let (kind, rest) = rest.split_once(": ").unwrap();
    // Under replica identity full: the old row, then the new one.
    let (old, new) = match rest.split_once(" new-tuple: ") {
        Some((old, new)) => (old.trim_start_matches("old-key: "), new),
        None => (rest, rest),
    };
    let (old, new) = (values(old), values(new));
    let condition = |row: &BTreeMap<String, String>| -> String {
        let key = row.iter().filter(|(column, _)| table == "log" || column.as_str() == "id");
        key.map(|(column, value)| format!("{column} = {value}")).collect::<Vec<_>>().join(" and ")
    };
    match kind {
        "INSERT" => {
            let columns: Vec<&str> = new.keys().map(String::as_str).collect();
            let values: Vec<&str> = new.values().map(String::as_str).collect();
            format!("insert into {table} ({}) values ({});", columns.join(", "), values.join(", "))
        }
        "UPDATE" => {
            let set: Vec<String> = new
                .iter()
                // As an applier that leaves unchanged columns alone: what is broken in them stays broken.
                .filter(|(column, _)| *column == "n")
                .map(|(column, value)| format!("{column} = {value}"))
                .collect();
            format!("update {table} set {} where {};", set.join(", "), condition(&new))
        }
        "DELETE" => {
            format!(
                "delete from {table} where ctid = (select ctid from {table} where {} limit 1);",
                condition(&old)
            )
        }
        other => panic!("unexpected change {other}"),
    }
}

fn values(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut rest = text;
    while let Some((column, tail)) = rest.split_once('[') {
        let (_, tail) = tail.split_once("]:").unwrap();
        let end = match tail.strip_prefix('\'') {
            Some(quoted) => quoted.find('\'').unwrap() + 2,
            None => tail.find(' ').unwrap_or(tail.len()),
        };
        values.insert(column.trim().to_owned(), tail[..end].to_owned());
        rest = &tail[end..];
    }
    values
}

/// Writers: each takes rows of its own, so that none waits for another.
struct Load {
    stop: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    tasks: JoinSet<()>,
    since: Instant,
}

impl Load {
    async fn start(url: &str) -> Self {
        let (stop, commits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let (client, stop, commits) =
                (connect(url).await.unwrap(), Arc::clone(&stop), Arc::clone(&commits));
            tasks.spawn(async move {
                let mut random = fastrand::Rng::with_seed(writer.unsigned_abs().into());
                while !stop.load(Ordering::Relaxed) {
                    client.batch_execute(&write(&mut random, writer)).await.unwrap();
                    commits.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(2)).await;
                }
            });
        }
        Self { stop, commits, tasks, since: Instant::now() }
    }

    /// Ends the load and gives its commits per second.
    async fn stop(mut self) -> u64 {
        let seconds = self.since.elapsed().as_secs_f64();
        let commits = self.commits.load(Ordering::Relaxed);
        self.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done.unwrap();
        }
        (commits as f64 / seconds) as u64
    }
}

fn write(random: &mut fastrand::Rng, writer: i32) -> String {
    let row = QUIET + 1 + WRITERS * random.i32(0..(ROWS - QUIET) / WRITERS) + writer;
    let transient = ROWS + 1 + WRITERS * random.i32(0..TRANSIENT / WRITERS) + writer;
    match random.u8(0..8) {
        0 => format!("insert into item values ({transient}, 1, 'transient') on conflict do nothing"),
        1 => format!("delete from item where id = {transient}"),
        2 => format!(
            "delete from item where id = {transient}; insert into item values ({transient}, 1, 'transient')"
        ),
        3 => format!("insert into log values ('w{writer}', 1)"),
        4 => format!(
            "delete from log where ctid = (select ctid from log where kind = 'w{writer}' limit 1) and kind = 'w{writer}'"
        ),
        _ => format!("update item set n = n + 1 where id = {row}"),
    }
}

fn tables() -> Vec<VerifyTable> {
    vec![table("item", &["id", "n", "note"], 1), table("log", &["kind", "n"], 0)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_a_lagging_row_is_never_different_and_a_broken_one_always_is() {
    let sides = Sides::create(Version::V14, Version::V18, "load").await;
    sides.both(SCHEMA).await;
    sides.home.batch_execute("alter table log replica identity full").await.unwrap();
    let replica = Replica::start(&sides, LAG).await;
    let load = Load::start(&sides.home_url).await;
    let rechecked = Mutex::new(0_u64);
    let progress = |event: VerifyProgress| {
        if let VerifyProgress::Rechecking { rows, round: 1, .. } = event {
            *rechecked.lock().unwrap() += rows;
        }
    };
    // Rows that change all the time use up their rounds: fewer of them keep the test short.
    // Some five ranges of the table.
    let limits = VerifyLimits { rounds: 8, scan_bytes: 300 << 10, ..VerifyLimits::default() };
    let spec = || VerifySpec { settle: replica.settle(), limits, ..sides.spec(tables()) };
    for _ in 0..3 {
        let outcome = verify(spec(), progress).await.unwrap();
        assert_eq!(outcome.differing(), 0, "{outcome:?}");
    }
    assert!(*rechecked.lock().unwrap() > 0, "no row lagged behind: the test shows nothing");

    sides
        .on_follower(
            "update item set note = 'broken' where id in (5, 4001); delete from item where id = 6; \
             insert into item values (-1, 0, null); \
             insert into log values ('k1', 1); update item set note = null where id = 4400",
        )
        .await;
    let outcome = verify(spec(), progress).await.unwrap();
    let (item, log) = (&outcome.tables[0], &outcome.tables[1]);
    let mut named = BTreeMap::new();
    for difference in &item.differences {
        let RowKey::Key(key) = &difference.row else { panic!("a keyed table") };
        named.insert(key[0].clone(), difference.kind.clone());
    }
    let note = || DifferenceKind::Different { columns: vec![Ident::from("note")] };
    let mut expected = BTreeMap::from([
        ("5".to_owned(), note()),
        ("4001".to_owned(), note()),
        ("4400".to_owned(), note()),
        ("6".to_owned(), DifferenceKind::Missing),
        ("-1".to_owned(), DifferenceKind::Extra),
    ]);
    let unproven: BTreeSet<String> = item.unproven_rows.iter().map(RowKey::to_string).collect();
    expected.retain(|key, _| !unproven.contains(&format!("({key})")));
    assert!(expected.len() >= 3, "rows that nobody writes to are always proven: {unproven:?}");
    assert_eq!(named, expected);
    assert!(log.missing == 0 && log.extra <= 1 && log.extra + log.unproven > 0, "{log:?}");

    let rate = load.stop().await;
    println!("compared under {rate} commits/s");
    let outcome = verify(spec(), progress).await.unwrap();
    let log = &outcome.tables[1];
    assert_eq!((log.extra, log.missing, outcome.unproven()), (1, 0, 0), "{log:?}");
    replica.stop().await;
}

#[tokio::test]
async fn a_row_that_never_holds_still_is_unproven_and_not_different() {
    let sides = Sides::create(Version::V14, Version::V18, "restless").await;
    sides.both("create table hot (id int primary key, n int); insert into hot values (1, 0), (2, 0)").await;
    sides.on_follower("update hot set n = -1").await;
    let home = Arc::new(connect(&sides.home_url).await.unwrap());
    // Nothing follows, and row 1 changes in every round.
    let settle: Settle = Arc::new(move || {
        let home = Arc::clone(&home);
        Box::pin(async move {
            home.batch_execute("update hot set n = n + 1 where id = 1").await.unwrap();
            Ok(())
        })
    });
    let mut spec = VerifySpec { settle, ..sides.spec(vec![table("hot", &["id", "n"], 1)]) };
    spec.limits.rounds = 5;
    let outcome = verify(spec, |_| {}).await.unwrap();
    let hot = &outcome.tables[0];
    assert_eq!((hot.different, hot.unproven, hot.equal), (1, 1, 0));
    assert_eq!(hot.unproven_rows, [RowKey::Key(vec!["1".into()])]);
    assert_eq!(hot.differences[0].row, RowKey::Key(vec!["2".into()]));
    assert_eq!(hot.table, QualifiedName::new("public", "hot"));
}

/// A transaction whose commit is in the log but not yet visible at home (it waits for a synchronous standby) can be
/// on the follower already. It still holds its lock on the table; so does the transaction here.
#[tokio::test]
async fn a_difference_is_not_proven_while_a_writer_of_before_is_still_open() {
    let sides = Sides::create(Version::V14, Version::V18, "writer").await;
    sides.both("create table film (id int primary key, n int); insert into film values (1, 0)").await;
    sides.home.batch_execute("begin; update film set n = 1").await.unwrap();
    sides.on_follower("update film set n = 1").await;
    let film = || vec![table("film", &["id", "n"], 1)];
    let mut spec = sides.spec(film());
    spec.limits.rounds = 4;
    let outcome = verify(spec, |_| {}).await.unwrap();
    assert_eq!((outcome.tables[0].different, outcome.tables[0].unproven), (0, 1));
    sides.home.batch_execute("commit").await.unwrap();
    assert!(sides.verify(film()).await.is_clean());
}
